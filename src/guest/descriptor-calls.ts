/**
 * Calls that give the program a descriptor. No file system can put one into a process, so the launcher
 * (native/ringfence-exec.c) does: it is told of such a call before the kernel makes it, hands it on over the very
 * file it is meant for, opens what it is told to, and installs that in the program.
 */

import { readlinkSync } from 'node:fs';
import { KernelError } from '../kernel/errors.ts';
import type { Caller, Installation, IoctlResult } from '../uapi/open-file.ts';
import { readStatus } from './proc-files.ts';

/** `RINGFENCE_CALL`: `_IOWR('R', 1, struct ringfence_call)`; 32 bytes: tid, command, argument, result, token, flags. */
export const RINGFENCE_CALL = 0xc020_5201;
/** `RINGFENCE_PLACED`: `_IOW('R', 2, struct ringfence_placed)`; token, and the number or `-errno`. */
export const RINGFENCE_PLACED = 0x4008_5202;

/** Flags of the answer: `O_CLOEXEC`; the number is what the call returns. */
const CLOSE_ON_EXEC = 1;
const RETURNS_NUMBER = 2;
const CALL_BYTES = 32;
const PLACED_BYTES = 8;

interface Pending {
  readonly installation: Installation;
  readonly caller: Caller;
}

export class DescriptorCalls {
  readonly #launcher: string | undefined;
  /** Made and not placed yet, by the name under which the launcher opens them. */
  readonly #pending = new Map<number, Pending>();
  #trusted: number | undefined;
  #next = 1;

  /** @param launcher its path; none: no descriptor can be installed */
  constructor(launcher: string | undefined) {
    this.#launcher = launcher;
  }

  /** Whether a thread is the launcher: the child of this process that runs its program. */
  isLauncher(tid: number): boolean {
    if (this.#launcher === undefined) return false;
    if (this.#trusted === undefined && this.#looksLikeLauncher(tid)) this.#trusted = tid;
    return this.#trusted === tid;
  }

  /**
   * Makes the call of `RINGFENCE_CALL`.
   *
   * @param make makes it for a thread
   * @throws KernelError what the call is refused with; EINVAL the request is too short
   */
  call(
    data: Uint8Array,
    make: (tid: number, command: number, argument: bigint) => { result: IoctlResult; caller: Caller },
  ): { result: number; data: Uint8Array } {
    const view = viewOf(data, CALL_BYTES);
    const [tid, command, argument] = [
      view.getUint32(0, true),
      view.getUint32(4, true),
      view.getBigUint64(8, true),
    ];
    const reply = Buffer.alloc(CALL_BYTES);
    reply.set(data.subarray(0, 16));
    const { result, caller } = make(tid, command, argument);
    if (typeof result === 'number') reply.writeInt32LE(result, 16);
    else {
      const token = this.#next++;
      this.#pending.set(token, { installation: result, caller });
      reply.writeInt32LE(result.value, 16);
      reply.writeUInt32LE(token, 20);
      reply.writeUInt32LE(
        (result.closeOnExec ? CLOSE_ON_EXEC : 0) | (result.at === 0n ? RETURNS_NUMBER : 0),
        24,
      );
    }
    return { result: 0, data: reply };
  }

  /** What the launcher opens as `token`. */
  pending(token: number): Installation | undefined {
    return this.#pending.get(token)?.installation;
  }

  /**
   * `RINGFENCE_PLACED`: the descriptor is in the program, or could not be put there and the call is undone.
   *
   * @throws KernelError EFAULT its number cannot be written; EINVAL nothing waits under that token
   */
  placed(data: Uint8Array): number {
    const view = viewOf(data, PLACED_BYTES);
    const token = view.getUint32(0, true);
    const number = view.getInt32(4, true);
    const pending = this.#pending.get(token);
    if (pending === undefined) throw new KernelError('EINVAL', `token ${token}`, 'nothing waits under it');
    this.#pending.delete(token);
    const { installation, caller } = pending;
    if (number < 0) {
      installation.undo();
      return 0;
    }
    if (installation.at !== 0n) {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(number);
      caller.memory.write(installation.at, bytes);
    }
    return 0;
  }

  #looksLikeLauncher(tid: number): boolean {
    if (readStatus(tid)?.parent !== process.pid) return false;
    try {
      return readlinkSync(`/proc/${tid}/exe`) === this.#launcher;
    } catch {
      return false;
    }
  }
}

function viewOf(data: Uint8Array, bytes: number): DataView {
  if (data.length < bytes)
    throw new KernelError('EINVAL', 'the launcher', `sent ${data.length} of ${bytes} bytes`);
  return new DataView(data.buffer, data.byteOffset, bytes);
}
