/**
 * Who is charged for pinned memory, and up to where (RLIMIT_MEMLOCK).
 *
 * Pages are charged where and how the process that mapped them was to be charged, whoever causes them to be pinned
 * or unpinned later.
 */

import { KernelError } from '../kernel/errors.ts';
import { PAGE_BYTES } from './limits.ts';
import type { Process } from './process.ts';

/**
 * `IOPT_PAGES_ACCOUNT_*`: no limit (CAP_IPC_LOCK), one count for all processes of a user, or one for each process
 * as VFIO has it.
 */
export type AccountMode = 'none' | 'user' | 'process';

/** Pages, charged and given back. */
export interface PinAccount {
  readonly mode: AccountMode;
  /** `do_update_pinned`: @throws KernelError ENOMEM over the limit; nothing was charged then */
  charge(pages: number): void;
  uncharge(pages: number): void;
  /** Charged here and not given back. */
  readonly charged: number;
}

class ProcessAccount implements PinAccount {
  readonly #process: Process;
  readonly mode: AccountMode;
  #charged = 0;

  constructor(process: Process, mode: AccountMode) {
    this.#process = process;
    this.mode = mode;
  }

  get charged(): number {
    return this.#charged;
  }

  charge(pages: number): void {
    const counter = this.#counter();
    if (counter !== undefined) {
      const limit = this.#process.memlockLimit / PAGE_BYTES;
      if (BigInt(counter.lockedPages + pages) > limit) {
        throw new KernelError(
          'ENOMEM',
          this.#process.name,
          `${counter.lockedPages} pages are locked, ${pages} more exceed RLIMIT_MEMLOCK of ${limit} pages`,
          'raise the limit or unmap something',
        );
      }
      counter.lockedPages += pages;
    }
    this.#process.pinnedPages += pages;
    this.#charged += pages;
  }

  uncharge(pages: number): void {
    if (pages > this.#charged) {
      throw new KernelError(
        'EINVAL',
        this.#process.name,
        `${pages} pages given back, ${this.#charged} charged`,
      );
    }
    const counter = this.#counter();
    if (counter !== undefined) counter.lockedPages -= pages;
    this.#process.pinnedPages -= pages;
    this.#charged -= pages;
  }

  /** Where `locked_vm` is counted. */
  #counter(): { lockedPages: number } | undefined {
    if (this.mode === 'user') return this.#process.user;
    return this.mode === 'process' ? this.#process : undefined;
  }
}

const accounts = new WeakMap<Process, Map<AccountMode, PinAccount>>();

/** The account of a process in a mode; the same object each time. */
export function accountFor(process: Process, mode: AccountMode): PinAccount {
  let ofProcess = accounts.get(process);
  if (ofProcess === undefined) {
    ofProcess = new Map();
    accounts.set(process, ofProcess);
  }
  let account = ofProcess.get(mode);
  if (account === undefined) {
    account = new ProcessAccount(process, mode);
    ofProcess.set(mode, account);
  }
  return account;
}
