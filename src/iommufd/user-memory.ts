/** Memory that can be mapped for DMA: what iommufd asks of a process's address space, or of a file. */

import type { FrameRuns } from '../iommu/frame-runs.ts';
import { PAGE_SIZE } from './limits.ts';

/**
 * Pages that can be pinned, numbered from 0. Page `n` of a process's memory is the one at address n * PAGE_SIZE; of
 * a file, the one at that offset.
 */
export interface PageSource {
  /** Shown in messages. */
  readonly name: string;
  /** Bytes can be copied without pinning (`copy_from_user`). Absent: only pinned pages are looked at. */
  readonly user?: UserMemory;
  /**
   * `pin_user_pages` with FOLL_LONGTERM, or `memfd_pin_folios`: all or none, counted in `PhysicalMemory`.
   *
   * @param writable pages will be written to (FOLL_WRITE)
   * @param runs the frames are pushed here, in order; as it was on failure
   * @throws KernelError EFAULT a page is not there, or not writable; EINVAL past the end of a file; ENOMEM
   */
  pin(firstPage: number, count: number, writable: boolean, runs: FrameRuns): void;
}

/** The memory of a process, as the kernel gets at it. Addresses are bytes. */
export interface UserMemory {
  /** Shown in messages. */
  readonly name: string;
  /** The process is gone (`mmget_not_zero` fails): nothing can be copied or pinned, what is pinned stays. */
  readonly gone?: boolean;
  /** `copy_from_user`: @throws KernelError EFAULT part of it is not readable */
  read(address: bigint, into: Uint8Array): void;
  /** `copy_to_user`: @throws KernelError EFAULT part of it is not writable */
  write(address: bigint, from: Uint8Array): void;
  /**
   * `pin_user_pages`, as `PageSource.pin`.
   *
   * @param address a multiple of PAGE_SIZE
   * @throws KernelError EFAULT
   */
  pin(address: bigint, count: number, writable: boolean, runs: FrameRuns): void;
}

class UserPages implements PageSource {
  readonly user: UserMemory;

  constructor(user: UserMemory) {
    this.user = user;
  }

  get name(): string {
    return this.user.name;
  }

  pin(firstPage: number, count: number, writable: boolean, runs: FrameRuns): void {
    this.user.pin(BigInt(firstPage) * BigInt(PAGE_SIZE), count, writable, runs);
  }
}

const sources = new WeakMap<UserMemory, UserPages>();

/** The pages of a process's memory; the same object each time. */
export function pagesOf(memory: UserMemory): PageSource {
  let source = sources.get(memory);
  if (source === undefined) {
    source = new UserPages(memory);
    sources.set(memory, source);
  }
  return source;
}
