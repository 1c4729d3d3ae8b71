/**
 * `/proc/PID/task/TID/fail-nth` of kernels with fault injection, for the steps of the model: a thread writes N, and the
 * N-th step of its calls from then on that can fail, fails. What it reads is how many are still to come; 0 when one
 * has failed.
 *
 * No file can be put into /proc, so it is `/dev/fail-nth`, and is about the thread that uses it.
 */

import type { FaultInjector } from '../iommu/fault-injector.ts';
import { KernelError } from '../kernel/errors.ts';
import type { TreeFile } from './fuse/tree.ts';

export class FailNth {
  readonly #faults: FaultInjector;
  /** By thread, of those that wrote more than 0. */
  readonly #left = new Map<number, number>();

  constructor(faults: FaultInjector) {
    this.#faults = faults;
  }

  /** Makes a call of a thread. */
  during<T>(tid: number, call: () => T): T {
    const left = this.#left.get(tid);
    if (left === undefined || left === 0) return call();
    this.#faults.failAt(left);
    try {
      return call();
    } finally {
      this.#left.set(tid, this.#faults.fired === undefined ? left - this.#faults.taken : 0);
      this.#faults.disarm();
    }
  }

  readonly file: TreeFile = {
    kind: 'file',
    mode: 0o666,
    size: 0,
    open: () => ({
      read: ({ tid }) => Buffer.from(`${this.#left.get(tid) ?? 0}\n`),
      write: ({ tid }, bytes) => {
        this.#arm(tid, Buffer.from(bytes).toString());
        return bytes.length;
      },
    }),
  };

  /** @throws KernelError EINVAL no whole number, or too large a one */
  #arm(tid: number, word: string): void {
    if (!/^\d{1,9}\n?$/.test(word)) throw new KernelError('EINVAL', '/dev/fail-nth', 'takes a whole number');
    if (Number(word) === 0) this.#left.delete(tid);
    else this.#left.set(tid, Number(word));
  }
}
