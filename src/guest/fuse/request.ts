/** What the kernel asks, decoded. Whatever the bytes are, the result is a request or a `MalformedRequest`. */

import { IN_HEADER_BYTES, Opcode } from './protocol.ts';

/** Who asks: the thread, and what it is allowed to do files with. */
export interface Requester {
  /** Of the thread, as the mount's maker sees it; 0 for one it cannot see. */
  readonly tid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface RequestHeader {
  readonly opcode: number;
  readonly unique: bigint;
  readonly nodeid: bigint;
  readonly requester: Requester;
}

/** A request that breaks the protocol. Its header may still be good enough to refuse it. */
export class MalformedRequest extends Error {}

/** @throws MalformedRequest fewer bytes than a header has, or than it says there are */
export function parseHeader(bytes: Buffer): RequestHeader {
  if (bytes.length < IN_HEADER_BYTES) throw new MalformedRequest(`${bytes.length} bytes are no request`);
  if (bytes.readUInt32LE(0) !== bytes.length) throw new MalformedRequest('its length is not what it says');
  return {
    opcode: bytes.readUInt32LE(4),
    unique: bytes.readBigUInt64LE(8),
    nodeid: bytes.readBigUInt64LE(16),
    requester: { uid: bytes.readUInt32LE(24), gid: bytes.readUInt32LE(28), tid: bytes.readUInt32LE(32) },
  };
}

export interface IoctlRequest {
  readonly fh: bigint;
  readonly command: number;
  readonly argument: bigint;
  /** What the kernel copied from `argument`, where the command's number says how much that is. */
  readonly data: Uint8Array;
  /** How much it will copy back at most. */
  readonly room: number;
}

/** The bodies that are looked at. Each takes all bytes behind the header. @throws MalformedRequest too few */
export const parseBody = {
  [Opcode.Init]: (body: Buffer) => ({ major: u32(body, 0), minor: u32(body, 4), flags: u32(body, 12) }),
  [Opcode.Lookup]: (body: Buffer) => ({ name: nameIn(body) }),
  [Opcode.Forget]: (body: Buffer) => ({ count: u64(body, 0) }),
  [Opcode.BatchForget]: batchForget,
  [Opcode.Setattr]: (body: Buffer) => ({
    valid: u32(body, 0),
    mode: u32(body, 68),
    uid: u32(body, 76),
    gid: u32(body, 80),
  }),
  [Opcode.Open]: (body: Buffer) => ({ flags: u32(body, 0) }),
  [Opcode.Read]: (body: Buffer) => ({ fh: u64(body, 0), offset: u64(body, 8), size: u32(body, 16) }),
  [Opcode.Write]: write,
  [Opcode.Release]: (body: Buffer) => ({ fh: u64(body, 0) }),
  [Opcode.Ioctl]: ioctl,
  [Opcode.Poll]: (body: Buffer) => ({ fh: u64(body, 0), kh: u64(body, 8), flags: u32(body, 16) }),
} as const;

function batchForget(body: Buffer): { nodes: { nodeid: bigint; count: bigint }[] } {
  const count = u32(body, 0);
  need(body, 8 + count * 16);
  const nodes = Array.from({ length: count }, (_, index) => ({
    nodeid: u64(body, 8 + index * 16),
    count: u64(body, 16 + index * 16),
  }));
  return { nodes };
}

const WRITE_BYTES = 40;

function write(body: Buffer): { fh: bigint; offset: bigint; data: Buffer } {
  const [fh, offset, size] = [u64(body, 0), u64(body, 8), u32(body, 16)];
  need(body, WRITE_BYTES + size);
  return { fh, offset, data: body.subarray(WRITE_BYTES, WRITE_BYTES + size) };
}

const IOCTL_BYTES = 32;

function ioctl(body: Buffer): IoctlRequest {
  const size = u32(body, 24);
  need(body, IOCTL_BYTES + size);
  return {
    fh: u64(body, 0),
    command: u32(body, 12),
    argument: u64(body, 16),
    data: body.subarray(IOCTL_BYTES, IOCTL_BYTES + size),
    room: u32(body, 28),
  };
}

function nameIn(body: Buffer): string {
  const end = body.indexOf(0);
  if (end <= 0) throw new MalformedRequest('a name without an end, or none');
  return body.toString('utf8', 0, end);
}

function u32(body: Buffer, at: number): number {
  need(body, at + 4);
  return body.readUInt32LE(at);
}

function u64(body: Buffer, at: number): bigint {
  need(body, at + 8);
  return body.readBigUInt64LE(at);
}

function need(body: Buffer, bytes: number): void {
  if (body.length < bytes) throw new MalformedRequest(`${body.length} bytes where ${bytes} are needed`);
}
