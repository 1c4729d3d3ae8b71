/** Requests about open files. */

import { type Answer, Errno, type Gift, NOTHING, Refusal } from './answer.ts';
import type { Handles, OpenFile } from './handles.ts';
import type { Inode } from './inodes.ts';
import { Opcode, OpenFlag, POLL_SCHEDULE_NOTIFY } from './protocol.ts';
import * as reply from './reply.ts';
import { parseBody, type RequestHeader } from './request.ts';

/** `POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM` */
const ALWAYS_READY = 0x145;

export class FileRequests {
  readonly #handles: Handles;
  readonly #notify: (kh: bigint) => void;

  /** @param notify tells the kernel that what it asked about with this number may be ready */
  constructor(handles: Handles, notify: (kh: bigint) => void) {
    this.#handles = handles;
    this.#notify = notify;
  }

  open(inode: Inode, { requester }: RequestHeader, body: Buffer): Answer | Gift {
    const { entry } = inode;
    if (entry.kind !== 'file') return new Refusal(entry.kind === 'directory' ? Errno.EISDIR : Errno.EINVAL);
    const handle = entry.open(requester, parseBody[Opcode.Open](body).flags);
    inode.spareOf = undefined;
    const fh = this.#handles.add(inode, handle);
    const stream = handle.stream === true ? OpenFlag.Stream | OpenFlag.NonSeekable : 0;
    return {
      bytes: reply.openReply(fh, OpenFlag.DirectIo | stream),
      takeBack: () => this.#handles.release(fh),
    };
  }

  read({ requester }: RequestHeader, body: Buffer): Answer {
    const { fh, offset, size } = parseBody[Opcode.Read](body);
    return this.#withFile(fh, ({ handle }) => {
      if (handle.read === undefined) return new Refusal(Errno.EINVAL);
      const bytes = handle.read(requester, size, handle.stream === true ? 0n : offset);
      return bytes.length > size ? bytes.subarray(0, size) : bytes;
    });
  }

  write({ requester }: RequestHeader, body: Buffer): Answer {
    const { fh, offset, data } = parseBody[Opcode.Write](body);
    return this.#withFile(fh, ({ handle }) => {
      if (handle.write === undefined) return new Refusal(Errno.EINVAL);
      return reply.writeReply(handle.write(requester, data, handle.stream === true ? 0n : offset));
    });
  }

  ioctl({ requester }: RequestHeader, body: Buffer): Answer {
    const request = parseBody[Opcode.Ioctl](body);
    const handle = this.#handles.find(request.fh)?.handle;
    if (handle?.ioctl === undefined) return new Refusal(Errno.ENOTTY);
    const answer = handle.ioctl(requester, request);
    if (typeof answer === 'number') return reply.ioctlReply(answer, NOTHING);
    return reply.ioctlReply(answer.result, answer.data.subarray(0, request.room));
  }

  poll(body: Buffer): Answer {
    const { fh, kh, flags } = parseBody[Opcode.Poll](body);
    return this.#withFile(fh, (file) => {
      if ((flags & POLL_SCHEDULE_NOTIFY) !== 0) this.#wakeWhenReady(file, kh);
      return reply.pollReply(file.handle.poll?.() ?? ALWAYS_READY);
    });
  }

  release(body: Buffer): Answer {
    this.#handles.release(parseBody[Opcode.Release](body).fh);
    return NOTHING;
  }

  #wakeWhenReady(file: OpenFile, kh: bigint): void {
    file.stopWaking?.();
    file.stopWaking = file.handle.onWake?.(() => this.#notify(kh));
  }

  #withFile(fh: bigint, work: (file: OpenFile) => Answer): Answer {
    const file = this.#handles.find(fh);
    return file === undefined ? new Refusal(Errno.EINVAL) : work(file);
  }
}
