/** For tests: a kernel that asks what it is told to ask, without a mount. */

import type { Channel } from './channel.ts';
import { IN_HEADER_BYTES, Opcode, OUT_HEADER_BYTES, ROOT_NODE } from './protocol.ts';
import { FuseServer } from './server.ts';
import type { TreeDirectory } from './tree.ts';

export interface Answer {
  unique: bigint;
  /** Positive, as in errno.h; 0 for success. */
  errno: number;
  body: Buffer;
}

export class FakeKernel implements Channel {
  readonly server: FuseServer;
  /** Everything that was sent and not taken by `ask`. */
  readonly sent: Answer[] = [];
  readonly reported: unknown[] = [];
  /** Answers are not wanted any more, as when the program was killed. */
  deaf = false;
  #unique = 0n;
  readonly #requests: Buffer[] = [];

  constructor(root: TreeDirectory) {
    this.server = new FuseServer({ channel: this, root, report: (error) => this.reported.push(error) });
  }

  receive(): Buffer | undefined {
    return this.#requests.shift();
  }

  send(header: Buffer, body: Uint8Array = new Uint8Array(0)): boolean {
    if (header.readUInt32LE(0) !== OUT_HEADER_BYTES + body.length) throw new Error('a wrong length');
    if (this.deaf) return false;
    this.sent.push({
      unique: header.readBigUInt64LE(8),
      errno: 0 - header.readInt32LE(4),
      body: Buffer.from(body),
    });
    return true;
  }

  /** Asks later, when the server serves. */
  queue(opcode: number, nodeid = ROOT_NODE, body: Uint8Array = new Uint8Array(0)): void {
    this.#requests.push(this.request(opcode, nodeid, body));
  }

  /** Asks, and takes the answer; none where none is given. */
  ask(opcode: number, nodeid = ROOT_NODE, body: Uint8Array = new Uint8Array(0), tid = 1): Answer | undefined {
    this.server.handle(this.request(opcode, nodeid, body, tid));
    const at = this.sent.findIndex(({ unique }) => unique === this.#unique);
    return at < 0 ? undefined : this.sent.splice(at, 1)[0];
  }

  request(opcode: number, nodeid: bigint, body: Uint8Array, tid = 1): Buffer {
    const header = Buffer.alloc(IN_HEADER_BYTES);
    header.writeUInt32LE(IN_HEADER_BYTES + body.length, 0);
    header.writeUInt32LE(opcode, 4);
    header.writeBigUInt64LE(++this.#unique, 8);
    header.writeBigUInt64LE(nodeid, 16);
    header.writeUInt32LE(tid, 32);
    return Buffer.concat([header, body]);
  }

  /** Looks a path up. @returns its node, or the errno */
  lookup(path: string, tid = 1): { nodeid: bigint; ino: bigint; mode: number } | number {
    let found = { nodeid: ROOT_NODE, ino: 0n, mode: 0 };
    for (const name of path.split('/').filter(Boolean)) {
      const { errno, body } = this.ask(Opcode.Lookup, found.nodeid, Buffer.from(`${name}\0`), tid)!;
      if (errno !== 0) return errno;
      found = {
        nodeid: body.readBigUInt64LE(0),
        ino: body.readBigUInt64LE(40),
        mode: body.readUInt32LE(40 + 60),
      };
    }
    return found;
  }

  /** Opens a path. @returns its handle, or the errno */
  open(
    path: string,
    flags = 0,
    tid = 1,
  ): { fh: bigint; nodeid: bigint; ino: bigint; flags: number } | number {
    const node = this.lookup(path, tid);
    if (typeof node === 'number') return node;
    const { errno, body } = this.ask(Opcode.Open, node.nodeid, words(flags, 0), tid)!;
    if (errno !== 0) return errno;
    return { ...node, fh: body.readBigUInt64LE(0), flags: body.readUInt32LE(8) };
  }

  read(fh: bigint, size: number, offset = 0n): Answer {
    return this.ask(Opcode.Read, ROOT_NODE, Buffer.concat([longs(fh, offset), words(size, 0, 0, 0, 0, 0)]))!;
  }

  write(fh: bigint, data: Uint8Array, offset = 0n): Answer {
    const fields = [longs(fh, offset), words(data.length, 0, 0, 0, 0, 0)];
    return this.ask(Opcode.Write, ROOT_NODE, Buffer.concat([...fields, data]))!;
  }

  release(fh: bigint): Answer {
    return this.ask(Opcode.Release, ROOT_NODE, Buffer.concat([longs(fh), words(0, 0, 0, 0)]))!;
  }

  forget(nodeid: bigint, count: bigint): void {
    this.ask(Opcode.Forget, nodeid, longs(count));
  }
}

export function words(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => {
    out.writeUInt32LE(value >>> 0, 4 * index);
  });
  return out;
}

export function longs(...values: bigint[]): Buffer {
  const out = Buffer.alloc(8 * values.length);
  values.forEach((value, index) => {
    out.writeBigUInt64LE(value, 8 * index);
  });
  return out;
}
