/** Descriptors during a call: looked up in the calling thread, and handed out by whoever serves the call. */

import type { OpenFile, OpenFiles } from '../iommufd/open-files.ts';
import { makeProcess, type ProcessInit } from '../iommufd/process.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Caller, CallingProcess } from './open-file.ts';

/** What stands in a reply until the number is known. */
const NO_NUMBER = -1;

export class CallFiles implements OpenFiles {
  #caller: Caller | undefined;
  #installed: OpenFile | undefined;

  /**
   * Makes a call on behalf of `caller`.
   *
   * @param call is given a function that answers which file a descriptor is wanted for
   * @returns what the call returned
   */
  during<T>(caller: Caller, call: (installed: () => OpenFile | undefined) => T): T {
    const before = this.#caller;
    this.#caller = caller;
    this.#installed = undefined;
    try {
      return call(() => this.#installed);
    } finally {
      this.#caller = before;
      this.#installed = undefined;
    }
  }

  /**
   * Only remembers `file`; the number comes once the call is over.
   *
   * @throws KernelError ENOSYS descriptors cannot be put into the process
   */
  install(file: OpenFile): number {
    const reason = this.#caller === undefined ? 'no call is under way' : this.#caller.noDescriptors;
    if (reason !== undefined) {
      throw new KernelError('ENOSYS', file.name, `no descriptor can be put into the process: ${reason}`);
    }
    this.#installed = file;
    return NO_NUMBER;
  }

  find(fd: number): OpenFile | undefined {
    return this.#caller?.fileOf(fd);
  }
}

/** A process for `Caller.process`, as `makeProcess`. */
export function callingProcess(init: Omit<ProcessInit, 'files'>): CallingProcess {
  const files = new CallFiles();
  return { ...makeProcess({ ...init, files }), files };
}
