/** Flags and checks the calls that map have in common. */

import { Prot } from '../../iommu/domain.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Placement } from '../iova-space.ts';
import { ULONG_MAX } from '../limits.ts';

/** `IOMMU_IOAS_MAP_*`. */
export const MapFlag = { FixedIova: 1, Writeable: 2, Readable: 4 } as const;

const KNOWN = MapFlag.FixedIova | MapFlag.Writeable | MapFlag.Readable;

/** @throws KernelError EOPNOTSUPP an unknown flag */
export function checkMapFlags(label: string, flags: number): void {
  if ((flags & ~KNOWN) !== 0) {
    throw new KernelError('EOPNOTSUPP', label, `unknown mapping flags in 0x${(flags >>> 0).toString(16)}`);
  }
}

/**
 * Asked of addresses that are only an output, too.
 *
 * @throws KernelError EOVERFLOW one of the numbers is 2^64-1 or above
 */
export function checkBelowMax(label: string, ...values: bigint[]): void {
  if (values.some((value) => value >= ULONG_MAX)) {
    throw new KernelError('EOVERFLOW', label, 'an address or length is 2^64-1');
  }
}

/** @throws KernelError EINVAL the mapping could be neither read nor written */
export function checkMapAccess(label: string, flags: number): void {
  if ((flags & (MapFlag.Readable | MapFlag.Writeable)) === 0) {
    throw new KernelError('EINVAL', label, 'a mapping has to be readable, writeable or both');
  }
}

/** `conv_iommu_prot`: always coherent, since user space has no way to flush caches. */
export function convIommuProt(flags: number): number {
  let prot: number = Prot.Cache;
  if ((flags & MapFlag.Writeable) !== 0) prot |= Prot.Write;
  if ((flags & MapFlag.Readable) !== 0) prot |= Prot.Read;
  return prot;
}

/** `iova` where the flags say it is fixed, else anywhere. */
export function placementOf(flags: number, iova: bigint): Placement {
  return (flags & MapFlag.FixedIova) !== 0 ? { iova } : {};
}
