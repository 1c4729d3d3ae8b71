/** The running kernel's sysfs: a write is a system call, and what becomes of it is read back. */

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO, type ErrnoName, KernelError } from '../kernel/errors.ts';
import type { Memory } from './memory.ts';
import { type HandoverTree, SysfsView } from './tree.ts';

/** One write(2) to an existing file; throws what Node throws. */
export type Store = (file: string, value: string) => void;

export class LiveTree extends SysfsView implements HandoverTree {
  readonly rehearsal = false;
  readonly #store: Store;

  /** @param store stands in for the kernel's files in tests */
  constructor(root = '/sys', store: Store = writeAttribute) {
    super(root);
    this.#store = store;
  }

  write(path: string, value: string): void {
    try {
      this.#store(join(this.root, path.slice('/sys/'.length)), value);
    } catch (error) {
      throw asKernelError(error, path);
    }
  }

  requireDriver(name: string): void {
    if (this.hasDriver(name)) return;
    throw new KernelError('ENODEV', name, 'this driver is not loaded', `run: modprobe ${name}`);
  }

  remember(): undefined {
    return undefined;
  }

  settle(_memory: Memory): void {}
}

/** No O_CREAT and no O_TRUNC: a file that is not there must stay so, and sysfs has nothing to cut off. */
function writeAttribute(file: string, value: string): void {
  const fd = openSync(file, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    writeSync(fd, value);
  } finally {
    closeSync(fd);
  }
}

const PROBLEMS: Partial<Record<string, [problem: string, remedy?: string]>> = {
  EACCES: ['permission denied', 'run it as root'],
  EPERM: ['not permitted', 'run it as root; a locked-down kernel or a container may forbid it'],
  EROFS: ['this sysfs is read-only', 'containers mount it so; run it on the host'],
  ENOENT: ['no such file'],
  ENODEV: ['the kernel has no such device there, or the driver does not take it'],
  EBUSY: ['the device is in use'],
  EINVAL: ['the driver refuses the device'],
};

/** What a failed system call says, in the words of the kernel's errors. */
export function asKernelError(error: unknown, object: string): KernelError {
  if (error instanceof KernelError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  const [problem, remedy] = PROBLEMS[code] ?? [`the write failed (${code})`];
  const known = code in ERRNO ? (code as ErrnoName) : code === 'EROFS' ? 'EACCES' : 'EIO';
  return new KernelError(known, object, problem, remedy);
}
