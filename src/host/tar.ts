/**
 * Reads tar: ustar with GNU long names and pax headers. Knows nothing of what the files mean.
 *
 * A block is 512 bytes; a header block is followed by the file's bytes, padded to whole blocks.
 */

import { InputError } from '../kernel/errors.ts';

export interface TarEntry {
  /** As it stands in the archive, not yet cleaned of `./`, `/` and `..`. */
  path: string;
  kind: 'file' | 'directory' | 'link' | 'hard link';
  /** Target of either kind of link. */
  target: string;
  data: Uint8Array;
}

const BLOCK = 512;
/** Names longer than the kernel takes are no names of files. */
const LONGEST_PATH = 4096;
const KINDS: Record<string, TarEntry['kind']> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '5': 'directory',
  '2': 'link',
  '1': 'hard link',
};

/** True when the first block is a tar header with a right checksum. */
export function looksLikeTar(bytes: Uint8Array): boolean {
  return bytes.length >= BLOCK && checksumHolds(bytes, 0);
}

/**
 * Yields files, directories and links; devices and pipes are passed over.
 *
 * @throws InputError naming the offset where a header is broken or the archive ends inside a file.
 */
export function* readTar(bytes: Uint8Array, place: string): Generator<TarEntry> {
  let pending: Partial<Record<'path' | 'target' | 'size', string>> = {};
  let at = 0;
  // Two zero blocks end an archive, yet some writers leave them out.
  while (at < bytes.length && bytes[at] !== 0) {
    if (at + BLOCK > bytes.length) throw cutOff(place, at);
    if (!checksumHolds(bytes, at)) throw new InputError(place, `broken tar header at offset ${at}`);
    const type = String.fromCharCode(bytes[at + 156]!);
    const special = type === 'L' || type === 'K' || type === 'x' || type === 'g';
    const size = !special && pending.size !== undefined ? decimal(pending.size) : octal(bytes, at + 124, 12);
    if (size === undefined) throw new InputError(place, `broken file size in the tar header at offset ${at}`);
    const start = at + BLOCK;
    const kind = KINDS[type];
    const stored = kind === undefined || kind === 'file' ? size : 0;
    if (start + stored > bytes.length) throw cutOff(place, at);
    const data = bytes.subarray(start, start + stored);
    if (type === 'x') pending = { ...pending, ...paxRecords(data) };
    else if (type === 'L') pending.path = text(data, 0, Math.min(data.length, LONGEST_PATH + 1));
    else if (type === 'K') pending.target = text(data, 0, Math.min(data.length, LONGEST_PATH + 1));
    else if (type !== 'g') {
      const path = pending.path ?? ustarPath(bytes, at);
      const target = pending.target ?? text(bytes, at + 157, 100);
      pending = {};
      if (kind !== undefined && path.length <= LONGEST_PATH) yield { path, kind, target, data };
    }
    at = start + Math.ceil(stored / BLOCK) * BLOCK;
  }
}

function cutOff(place: string, at: number): InputError {
  return new InputError(place, `the tar archive is cut off inside the entry at offset ${at}`);
}

function checksumHolds(bytes: Uint8Array, at: number): boolean {
  let sum = 8 * 0x20; // the checksum field itself counts as spaces
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += bytes[at + i]!;
  return sum === octal(bytes, at + 148, 8);
}

function ustarPath(bytes: Uint8Array, at: number): string {
  const name = text(bytes, at, 100);
  const prefix = text(bytes, at + 257, 6) === 'ustar' ? text(bytes, at + 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** `LENGTH KEY=VALUE\n` records; what is malformed ends the list. */
function paxRecords(data: Uint8Array): Partial<Record<'path' | 'target' | 'size', string>> {
  const found: Partial<Record<'path' | 'target' | 'size', string>> = {};
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const length = space < 0 || space - at > 8 ? undefined : decimal(latin(data, at, space));
    if (length === undefined || at + length > data.length || length <= space - at + 1) break;
    const record = utf8(data, space + 1, at + length - 1);
    const equals = record.indexOf('=');
    const value = record.slice(equals + 1);
    const key = record.slice(0, equals);
    if (key === 'path' || key === 'size') found[key] = value;
    else if (key === 'linkpath') found.target = value;
    at += length;
  }
  return found;
}

/** Octal digits ended by space or zero; the base-256 form is only used for sizes no sysfs file has. */
function octal(bytes: Uint8Array, at: number, length: number): number | undefined {
  const digits = latin(bytes, at, at + length)
    .replace(/[\0 ]+$/, '')
    .replace(/^ +/, '');
  return /^[0-7]{0,12}$/.test(digits) ? Number.parseInt(digits || '0', 8) : undefined;
}

function decimal(digits: string): number | undefined {
  return /^[0-9]{1,12}$/.test(digits) ? Number(digits) : undefined;
}

/** Text up to the first zero byte. */
function text(bytes: Uint8Array, at: number, length: number): string {
  const zero = bytes.subarray(at, at + length).indexOf(0);
  return utf8(bytes, at, zero < 0 ? at + length : at + zero);
}

function utf8(bytes: Uint8Array, start: number, end: number): string {
  return view(bytes).toString('utf8', start, end);
}

function latin(bytes: Uint8Array, start: number, end: number): string {
  return view(bytes).toString('latin1', start, end);
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
