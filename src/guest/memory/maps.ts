/** `/proc/PID/maps`: what a process has mapped where, and what it may do there. */

import { readSync } from 'node:fs';

export interface Mapping {
  /** First byte, and the byte after the last. Below 2^47, so plain numbers hold them. */
  readonly start: number;
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  /** Device and inode of what is mapped shared, as the file has them; undefined for private memory. */
  readonly shared: string | undefined;
  /** Of `start` within it, in bytes. */
  readonly offset: number;
  /** `[vvar]` and its like, pages without a `struct page`: they can be read but not pinned. */
  readonly unpinnable: boolean;
}

const USER_END = 2 ** 47;
const LF = 0x0a;
const SPACE = 0x20;
const DASH = 0x2d;
const BRACKET = 0x5b;
const LETTER_R = 0x72;
const LETTER_S = 0x73;
const LETTER_V = 0x76;
const LETTER_W = 0x77;
const LETTER_X = 0x78;

/** Grows to the longest file met; one for all, as nothing is kept in it. */
let buffer = Buffer.alloc(1 << 14);

/**
 * All mappings, ascending; none where the process has no memory any more.
 *
 * @param fd `/proc/PID/maps`, opened while the process ran the program that is meant
 * @param untouchable a device, as in the file: what is mapped of it is told as inaccessible
 */
export function readMaps(fd: number, untouchable: string | undefined): Mapping[] {
  let length = 0;
  for (;;) {
    if (length === buffer.length) buffer = Buffer.concat([buffer], 2 * buffer.length);
    const got = readOrNothing(fd, length);
    if (got === 0) break;
    length += got;
  }
  return parseMaps(buffer.subarray(0, length), untouchable);
}

/** The lines of such a file. */
export function parseMaps(text: Buffer, untouchable: string | undefined): Mapping[] {
  const mappings: Mapping[] = [];
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf(LF, at);
    const end = found < 0 ? text.length : found;
    const mapping = parseLine(text, at, end, untouchable);
    if (mapping !== undefined) mappings.push(mapping);
    at = end + 1;
  }
  return mappings;
}

/** Index of the mapping `address` lies in, or of the first above it. */
export function indexOfMapping(mappings: readonly Mapping[], address: number): number {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (mappings[middle]!.end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

function readOrNothing(fd: number, length: number): number {
  try {
    return readSync(fd, buffer, length, buffer.length - length, length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 0;
    throw error;
  }
}

/** `55d8c0a00000-55d8c0a21000 rw-s 00003000 00:01 1034                      /dev/zero (deleted)` */
function parseLine(
  text: Buffer,
  from: number,
  end: number,
  untouchable: string | undefined,
): Mapping | undefined {
  const dash = text.indexOf(DASH, from);
  const permissions = text.indexOf(SPACE, dash) + 1;
  const offset = permissions + 5;
  const device = text.indexOf(SPACE, offset) + 1;
  const start = hexadecimal(text, from, dash);
  if (start >= USER_END) return undefined;
  const isShared = text[permissions + 3] === LETTER_S;
  const reachable = untouchable === undefined || !isAt(text, device, untouchable);
  return {
    start,
    end: hexadecimal(text, dash + 1, permissions - 1),
    readable: reachable && text[permissions] === LETTER_R,
    writable: reachable && text[permissions + 1] === LETTER_W,
    executable: reachable && text[permissions + 2] === LETTER_X,
    shared: isShared ? text.toString('latin1', device, endOfInode(text, device, end)) : undefined,
    offset: hexadecimal(text, offset, device - 1),
    unpinnable: isVvar(text, device, end),
  };
}

function isAt(text: Buffer, at: number, word: string): boolean {
  return text.toString('latin1', at, at + word.length) === word && text[at + word.length] === SPACE;
}

function endOfInode(text: Buffer, device: number, end: number): number {
  const inode = text.indexOf(SPACE, device) + 1;
  const after = text.indexOf(SPACE, inode);
  return after < 0 || after > end ? end : after;
}

function isVvar(text: Buffer, device: number, end: number): boolean {
  const bracket = text.indexOf(BRACKET, device);
  return bracket > 0 && bracket < end && text[bracket + 1] === LETTER_V && text[bracket + 2] === LETTER_V;
}

function hexadecimal(text: Buffer, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at++) {
    const digit = text[at]!;
    value = value * 16 + (digit > 0x40 ? digit - 0x57 : digit - 0x30);
  }
  return value;
}
