/**
 * File descriptors, as far as calls need them: some hand one out, some are told one. Whoever serves processes brings
 * their tables; in-process there is `FileTable`.
 */

import { KernelError } from '../kernel/errors.ts';

/** What a descriptor stands for (`struct file` of an anonymous inode). */
export interface OpenFile {
  /** As `/proc/PID/fd` shows it, e.g. `[iommufd_fault]`. */
  readonly name: string;
  /** `release`: the last descriptor is closed. */
  close(): void;
}

/** One process's descriptors. */
export interface OpenFiles {
  /**
   * `get_unused_fd_flags` and `fd_install`.
   *
   * @throws KernelError EMFILE no number is left
   */
  install(file: OpenFile): number;
  /** `fget`. */
  find(fd: number): OpenFile | undefined;
}

/** Lowest number a process that has its three standard streams gets. */
const FIRST_FD = 3;

/** The descriptors of a process that lives in this one. */
export class FileTable implements OpenFiles {
  readonly #files = new Map<number, OpenFile>();
  readonly #limit: number;

  /** @param limit RLIMIT_NOFILE */
  constructor(limit = 1024) {
    this.#limit = limit;
  }

  /** Descriptors that are open. */
  get size(): number {
    return this.#files.size;
  }

  install(file: OpenFile): number {
    let fd = FIRST_FD;
    while (this.#files.has(fd)) fd++;
    if (fd >= this.#limit) {
      throw new KernelError('EMFILE', file.name, `all ${this.#limit} descriptors are open`, 'close one');
    }
    this.#files.set(fd, file);
    return fd;
  }

  find(fd: number): OpenFile | undefined {
    return this.#files.get(fd);
  }

  /**
   * `close`.
   *
   * @throws KernelError EBADF it is not open
   */
  close(fd: number): void {
    const file = this.#files.get(fd);
    if (file === undefined) throw new KernelError('EBADF', `descriptor ${fd}`, 'is not open');
    this.#files.delete(fd);
    file.close();
  }

  /** `exit_files`: closes whatever is open, lowest first. */
  closeAll(): void {
    for (const fd of [...this.#files.keys()].sort((a, b) => a - b)) this.close(fd);
  }
}
