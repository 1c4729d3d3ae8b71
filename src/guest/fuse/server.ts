/**
 * Serves a tree to the kernel, one request after the other and each at once: no answer ever waits for anything, so a
 * close is done before whatever the program asks next, and there is nothing that INTERRUPT could interrupt.
 */

import { KernelError } from '../../kernel/errors.ts';
import { type Answer, Errno, type Gift, NOTHING, Refusal } from './answer.ts';
import type { Channel } from './channel.ts';
import { FileRequests } from './file-requests.ts';
import { Handles } from './handles.ts';
import { type Inode, Inodes } from './inodes.ts';
import { NameRequests } from './name-requests.ts';
import { IN_HEADER_BYTES, NOTIFY_POLL, Opcode, OUT_HEADER_BYTES } from './protocol.ts';
import * as reply from './reply.ts';
import { MalformedRequest, parseBody, parseHeader, type RequestHeader } from './request.ts';
import type { TreeDirectory, TreeHandle } from './tree.ts';

/** Directories change when the model says so, and by nobody's mkdir. What sysfs answers to that. */
const CHANGES_NAMES: ReadonlyMap<number, number> = new Map([
  [Opcode.Create, Errno.EACCES],
  [Opcode.Symlink, Errno.EPERM],
  [Opcode.Mknod, Errno.EPERM],
  [Opcode.Mkdir, Errno.EPERM],
  [Opcode.Unlink, Errno.EPERM],
  [Opcode.Rmdir, Errno.EPERM],
  [Opcode.Rename, Errno.EPERM],
  [Opcode.Rename2, Errno.EPERM],
  [Opcode.Link, Errno.EPERM],
]);
/** Requests that get no answer, whatever becomes of them. */
const SILENT: ReadonlySet<number> = new Set([
  Opcode.Forget,
  Opcode.BatchForget,
  Opcode.Interrupt,
  Opcode.Destroy,
]);

export interface FuseServerInit {
  channel: Channel;
  root: TreeDirectory;
  /** Told of errors that are no refusals: mistakes of ours. */
  report: (error: unknown) => void;
}

export class FuseServer {
  readonly #channel: Channel;
  readonly #report: (error: unknown) => void;
  readonly #inodes: Inodes;
  readonly #handles = new Handles();
  readonly #names: NameRequests;
  readonly #files: FileRequests;
  readonly #header = Buffer.alloc(OUT_HEADER_BYTES);
  #ended = false;

  constructor({ channel, root, report }: FuseServerInit) {
    this.#channel = channel;
    this.#report = report;
    this.#inodes = new Inodes(root);
    this.#names = new NameRequests(this.#inodes, this.#handles);
    this.#files = new FileRequests(this.#handles, (kh) => {
      this.#send(0n, NOTIFY_POLL, reply.pollNotification(kh));
    });
  }

  /** Answers until the mount is gone, or `end`. What is open then is closed. */
  serve(): void {
    while (!this.#ended) {
      const request = this.#channel.receive();
      if (request === undefined) break;
      this.handle(request);
    }
    this.#handles.releaseAll();
  }

  /** `serve` returns after the request that is being answered. */
  end(): void {
    this.#ended = true;
  }

  /** Files and directories that are open, inodes that the kernel remembers. */
  get counts(): { open: number; inodes: number } {
    return { open: this.#handles.size, inodes: this.#inodes.size };
  }

  /** What is open through the inode with that number, of files with an inode per open. */
  openWithNumber(ino: bigint): readonly TreeHandle[] {
    const inode = this.#inodes.withNumber(ino);
    return inode === undefined ? [] : this.#handles.of(inode);
  }

  /** Answers one request. */
  handle(request: Buffer): void {
    let header: RequestHeader;
    try {
      header = parseHeader(request);
    } catch (error) {
      this.#report(error);
      return;
    }
    const answer = this.#answer(header, request.subarray(IN_HEADER_BYTES));
    if (answer === undefined) return;
    if (answer instanceof Refusal) this.#send(header.unique, -answer.errno);
    else if (answer instanceof Uint8Array) this.#send(header.unique, 0, answer);
    else if (!this.#send(header.unique, 0, answer.bytes)) answer.takeBack();
  }

  #answer(header: RequestHeader, body: Buffer): Answer | Gift {
    const { opcode } = header;
    try {
      return this.#dispatch(header, body);
    } catch (error) {
      const isMalformed = error instanceof MalformedRequest;
      if (error instanceof KernelError) return new Refusal(error.errno);
      if (!isMalformed) this.#report(error);
      if (SILENT.has(opcode)) return undefined;
      return new Refusal(isMalformed ? Errno.EINVAL : Errno.EIO);
    }
  }

  #dispatch(header: RequestHeader, body: Buffer): Answer | Gift {
    const { nodeid } = header;
    switch (header.opcode) {
      case Opcode.Init:
        return reply.initReply(parseBody[Opcode.Init](body).flags);
      case Opcode.Lookup:
        return this.#withInode(nodeid, (inode) => this.#names.lookup(inode, header, body));
      case Opcode.Forget:
        return this.#names.forget([{ nodeid, count: parseBody[Opcode.Forget](body).count }]);
      case Opcode.BatchForget:
        return this.#names.forget(parseBody[Opcode.BatchForget](body).nodes);
      case Opcode.Getattr:
        return this.#withInode(nodeid, (inode) => this.#names.attributes(inode));
      case Opcode.Setattr:
        return this.#withInode(nodeid, (inode) => this.#names.setAttributes(inode, body));
      case Opcode.Readlink:
        return this.#withInode(nodeid, (inode) => this.#names.readlink(inode));
      case Opcode.Opendir:
        return this.#withInode(nodeid, (inode) => this.#names.openDirectory(inode));
      case Opcode.Readdir:
        return this.#withInode(nodeid, (inode) => this.#names.readDirectory(inode, body));
      case Opcode.Releasedir:
        return this.#names.releaseDirectory(body);
      case Opcode.Open:
        return this.#withInode(nodeid, (inode) => this.#files.open(inode, header, body));
      case Opcode.Read:
        return this.#files.read(header, body);
      case Opcode.Write:
        return this.#files.write(header, body);
      case Opcode.Ioctl:
        return this.#files.ioctl(header, body);
      case Opcode.Poll:
        return this.#files.poll(body);
      case Opcode.Release:
        return this.#files.release(body);
      case Opcode.Statfs:
        return reply.statfsReply();
      case Opcode.Interrupt:
        return undefined;
      case Opcode.Destroy:
        this.end();
        return undefined;
      default:
        return new Refusal(CHANGES_NAMES.get(header.opcode) ?? Errno.ENOSYS);
    }
  }

  #withInode(nodeid: bigint, work: (inode: Inode) => Answer | Gift): Answer | Gift {
    const inode = this.#inodes.find(nodeid);
    return inode === undefined ? new Refusal(Errno.ESTALE) : work(inode);
  }

  /** @returns whether it was wanted */
  #send(unique: bigint, error: number, body: Uint8Array = NOTHING): boolean {
    this.#header.writeUInt32LE(OUT_HEADER_BYTES + body.length, 0);
    this.#header.writeInt32LE(error, 4);
    this.#header.writeBigUInt64LE(unique, 8);
    return this.#channel.send(this.#header, body);
  }
}
