/** Memory that can be mapped for DMA: what iommufd asks of a process's address space, or of a file. */

import type { FrameRuns } from '../iommu/frame-runs.ts';
import { KernelError } from '../kernel/errors.ts';
import { PAGE_SIZE } from './limits.ts';

/** Pages of 64 bits of addresses. */
const PAGES_MAX = 2 ** 64 / PAGE_SIZE;

/**
 * Pages that can be pinned, numbered from 0. Page `n` of a process's memory is the one at address n * PAGE_SIZE; of
 * a file, the one at that offset.
 */
export interface PageSource {
  /** Shown in messages. */
  readonly name: string;
  /** Bytes can be copied without pinning (`copy_from_user`). Absent: only pinned pages are looked at. */
  readonly user?: UserMemory;
  /** `get_file`: a page set maps it from now on. @throws KernelError EBADF it is not open any more */
  hold?(): void;
  /** `fput`: undoes one `hold`. */
  release?(): void;
  /**
   * `pin_user_pages` with FOLL_LONGTERM, or `memfd_pin_folios`: all or none, counted in `PhysicalMemory`.
   *
   * @param writable pages will be written to (FOLL_WRITE)
   * @param runs the frames are pushed here, in order; as it was on failure
   * @throws KernelError EFAULT a page is not there, or not writable; EOVERFLOW of a process, up to the last page of
   *   all addresses; EINVAL past the end of a file; ENOMEM
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
  /** `copy_to_user`: @throws KernelError EFAULT part of it is not writable; what comes before may be written then */
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
    if (firstPage + count >= PAGES_MAX) {
      throw new KernelError(
        'EOVERFLOW',
        this.name,
        `the ${count} pages to be pinned end with the last address`,
      );
    }
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
