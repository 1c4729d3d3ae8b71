/** Answers, as the kernel wants them laid out. */

import { FileType, INIT_REPLY_BYTES, InitFlag, MAJOR, MAX_PAGES, MAX_TRANSFER, MINOR } from './protocol.ts';

/** What `stat` shows. */
export interface Attributes {
  readonly ino: bigint;
  readonly size: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const ATTRIBUTE_BYTES = 88;
const PAGE = 4096;
/** Requests the kernel has under way without anybody waiting. RELEASE is one, and must never queue up behind others. */
const MAX_BACKGROUND = 0xffff;
/** Block size, longest name. */
const NAME_MAX = 255;

/** When the tree came up: files here have no times of their own. */
const now = Math.floor(Date.now() / 1000);

export function initReply(flags: number): Buffer {
  const out = Buffer.alloc(INIT_REPLY_BYTES);
  const wanted =
    InitFlag.AtomicTruncate | InitFlag.BigWrites | InitFlag.ParallelDirectories | InitFlag.MaxPages;
  out.writeUInt32LE(MAJOR, 0);
  out.writeUInt32LE(MINOR, 4);
  out.writeUInt32LE((flags & wanted) >>> 0, 12);
  out.writeUInt16LE(MAX_BACKGROUND, 16);
  out.writeUInt16LE(MAX_BACKGROUND, 18);
  out.writeUInt32LE(MAX_TRANSFER, 20);
  out.writeUInt32LE(1, 24);
  out.writeUInt16LE(MAX_PAGES, 28);
  return out;
}

/** @param keep for how many seconds the kernel may go on with this without asking */
export function entryReply(nodeid: bigint, attributes: Attributes, keep: bigint): Buffer {
  const out = Buffer.alloc(40 + ATTRIBUTE_BYTES);
  out.writeBigUInt64LE(nodeid, 0);
  out.writeBigUInt64LE(keep, 16);
  out.writeBigUInt64LE(keep, 24);
  putAttributes(out, 40, attributes);
  return out;
}

export function attributesReply(attributes: Attributes, keep: bigint): Buffer {
  const out = Buffer.alloc(16 + ATTRIBUTE_BYTES);
  out.writeBigUInt64LE(keep, 0);
  putAttributes(out, 16, attributes);
  return out;
}

function putAttributes(out: Buffer, at: number, { ino, size, mode, uid, gid }: Attributes): void {
  out.writeBigUInt64LE(ino, at);
  out.writeBigUInt64LE(BigInt(size), at + 8);
  for (const time of [24, 32, 40]) out.writeBigUInt64LE(BigInt(now), at + time);
  out.writeUInt32LE(mode, at + 60);
  out.writeUInt32LE((mode & FileType.Directory) === FileType.Directory ? 2 : 1, at + 64);
  out.writeUInt32LE(uid, at + 68);
  out.writeUInt32LE(gid, at + 72);
  out.writeUInt32LE(PAGE, at + 80);
}

export function openReply(fh: bigint, flags: number): Buffer {
  const out = Buffer.alloc(16);
  out.writeBigUInt64LE(fh, 0);
  out.writeUInt32LE(flags, 8);
  return out;
}

export function writeReply(taken: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeUInt32LE(taken, 0);
  return out;
}

export function ioctlReply(result: number, data: Uint8Array): Buffer {
  const out = Buffer.alloc(16 + data.length);
  out.writeInt32LE(result, 0);
  out.set(data, 16);
  return out;
}

export function pollReply(events: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeUInt32LE(events, 0);
  return out;
}

export function statfsReply(): Buffer {
  const out = Buffer.alloc(80);
  out.writeUInt32LE(PAGE, 40);
  out.writeUInt32LE(NAME_MAX, 44);
  out.writeUInt32LE(PAGE, 48);
  return out;
}

export interface DirectoryLine {
  readonly name: string;
  /** One of `FileType`. */
  readonly type: number;
}

/** The kernel looks inode numbers up itself where it is told this one. */
const UNKNOWN_INODE = 0xffff_ffffn;

/**
 * As many lines from number `from` on as fit in `room` bytes.
 *
 * @param from what the line before the first said comes next; 0 at the beginning
 */
export function directoryReply(lines: readonly DirectoryLine[], from: number, room: number): Buffer {
  const out = Buffer.alloc(room);
  let at = 0;
  for (let index = from; index < lines.length; index++) {
    const { name, type } = lines[index]!;
    const bytes = Buffer.byteLength(name);
    const padded = Math.ceil((24 + bytes) / 8) * 8;
    if (at + padded > room) break;
    out.writeBigUInt64LE(UNKNOWN_INODE, at);
    out.writeBigUInt64LE(BigInt(index + 1), at + 8);
    out.writeUInt32LE(bytes, at + 16);
    out.writeUInt32LE(type >>> 12, at + 20);
    out.write(name, at + 24);
    at += padded;
  }
  return out.subarray(0, at);
}

export function pollNotification(kh: bigint): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(kh, 0);
  return out;
}
