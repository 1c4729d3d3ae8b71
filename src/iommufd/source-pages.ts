/** New page sets for what a process or a file offers (`iopt_alloc_pages`). */

import type { FaultInjector } from '../iommu/fault-injector.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import type { PinAccount } from './account.ts';
import { PAGE_BYTES, ULONG_MAX } from './limits.ts';
import { PageSet } from './page-set.ts';
import type { PageSource } from './user-memory.ts';

export interface SourcePagesInit {
  /** Of the address space, for messages. */
  name: string;
  source: PageSource;
  /** Bytes; where it begins in the source, and how much it is. */
  start: bigint;
  length: bigint;
  writable: boolean;
  /** `start` is an address of the process, not an offset in a file. */
  isAddress: boolean;
  account: () => PinAccount;
  faults: FaultInjector;
  physical: PhysicalMemory;
}

/**
 * `iopt_alloc_pages`: whole pages around the bytes asked for. Nothing is pinned or looked at yet.
 *
 * @throws KernelError EINVAL no length, or all but a page of what there is and more; EOVERFLOW the end is not below
 *   2^64; ENOMEM
 */
export function allocPages(init: SourcePagesInit): PageSet {
  const { name, source, start, length, writable, isAddress, account, faults, physical } = init;
  // A file's range is checked as a whole before its length is looked at.
  if (!isAddress) checkEnd(init);
  if (length === 0n || length > ULONG_MAX - PAGE_BYTES) {
    throw new KernelError('EINVAL', name, `${length} bytes cannot be mapped`);
  }
  checkEnd(init);
  faults.step('page set');
  const firstPage = start / PAGE_BYTES;
  return new PageSet({
    source,
    firstPage: Number(firstPage),
    pages: Number((start + length - 1n) / PAGE_BYTES - firstPage) + 1,
    writable,
    account: account(),
    faults,
    physical,
    ...(isAddress ? { userAddress: firstPage * PAGE_BYTES } : {}),
  });
}

function checkEnd({ name, source, start, length }: SourcePagesInit): void {
  if (start + length <= ULONG_MAX) return;
  throw new KernelError(
    'EOVERFLOW',
    name,
    `${length} bytes from 0x${start.toString(16)} of ${source.name} on wrap around`,
  );
}
