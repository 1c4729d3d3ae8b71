/** Dirty bits of what an address space maps: clearing them, and reading them into a bitmap of the process. */

import type { DirtyOps, Domain } from '../iommu/domain.ts';
import type { FaultInjector } from '../iommu/fault-injector.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import { contiguousPieces } from './contiguous-areas.ts';
import { isAligned, lastOf } from './iova-range.ts';

/** A range of I/O addresses, and how much of it one bit stands for, as `IOMMU_HWPT_GET_DIRTY_BITMAP` asks. Bytes. */
export interface DirtyRequest {
  readonly iova: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  /** `IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR`. */
  readonly noClear: boolean;
}

/** Where dirty bytes are marked (`struct iova_bitmap`). */
export interface DirtyMarks {
  /** `iova_bitmap_set`: calls come in ascending order. */
  set(iova: bigint, length: bigint): void;
}

/** What dirty tracking needs of the address space. */
export interface DirtyHost {
  readonly name: string;
  readonly faults: FaultInjector;
  readonly iovaAlignment: bigint;
  /** Areas that are there in full, ascending. */
  settledAreas(): Iterable<Area>;
  areaAt(iova: bigint): Area | undefined;
}

/**
 * `iommufd_check_iova_range`
 *
 * @returns last address of the range
 * @throws KernelError EINVAL no length; EOVERFLOW past 2^64-1; EINVAL begin or end is not aligned for the address
 *   space, no page size, or begin or end is not a multiple of it
 */
function checkDirtyRange(host: DirtyHost, { iova, length, pageSize }: DirtyRequest): bigint {
  const { name, iovaAlignment } = host;
  if (length === 0n) throw new KernelError('EINVAL', name, 'dirty bits of no bytes are asked for');
  const last = lastOf(name, iova, length);
  const edges = iova | (last + 1n);
  if (!isAligned(edges, iovaAlignment)) {
    throw new KernelError('EINVAL', name, `the range does not lie on multiples of ${iovaAlignment} bytes`);
  }
  if (pageSize === 0n || (edges & (pageSize - 1n)) !== 0n) {
    throw new KernelError(
      'EINVAL',
      name,
      `the range does not lie on multiples of the page size, ${pageSize} bytes`,
    );
  }
  return last;
}

/**
 * `iopt_set_dirty_tracking`: from now on writes of devices leave a mark, or no longer. Old marks are removed first.
 *
 * @throws KernelError EOPNOTSUPP the domain was not made for it; else the driver's refusal
 */
export function setDirtyTracking(host: DirtyHost, domain: Domain, enable: boolean): void {
  const ops = dirtyOpsOf(domain);
  host.faults.step('dirty tracking');
  if (enable) {
    for (const { iova, last } of host.settledAreas()) ops.readAndClearDirty(domain, iova, last, true);
  }
  ops.setDirtyTracking(domain, enable);
}

/**
 * `iopt_read_and_clear_dirty_data`: reports what devices wrote to since it was last cleared. Ends without complaint
 * at the first gap between mappings, or where the driver refuses: the kernel drops that error.
 *
 * @throws KernelError as `checkDirtyRange`; EOPNOTSUPP the domain was not made for dirty tracking; ENOMEM
 */
export function readAndClearDirty(
  host: DirtyHost,
  domain: Domain,
  request: DirtyRequest,
  marks: DirtyMarks,
): void {
  const end = checkDirtyRange(host, request);
  const ops = dirtyOpsOf(domain);
  host.faults.step('dirty bitmap');
  try {
    for (const { start, last } of contiguousPieces((iova) => host.areaAt(iova), request.iova, end)) {
      ops.readAndClearDirty(domain, start, last, !request.noClear, (iova, size) => marks.set(iova, size));
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

function dirtyOpsOf(domain: Domain): DirtyOps {
  if (domain.dirtyOps === undefined) {
    throw new KernelError(
      'EOPNOTSUPP',
      domain.label,
      'was not made for dirty tracking',
      'allocate an HWPT with it',
    );
  }
  return domain.dirtyOps;
}
