/** `IOMMU_IOAS_MAP`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { checkBelowMax, checkMapAccess, checkMapFlags, convIommuProt, placementOf } from './map-flags.ts';

/** `struct iommu_ioas_map`. */
export interface IoasMapRequest {
  /** `MapFlag` bits. */
  flags: number;
  ioasId: number;
  reserved: number;
  userVa: bigint;
  /** Bytes. */
  length: bigint;
  /** In with `MapFlag.FixedIova`; out always. */
  iova: bigint;
}

/**
 * `iommufd_ioas_map`: the process's memory at `userVa` appears in the address space. Without a page table the memory
 * is not looked at yet.
 *
 * @throws KernelError EOPNOTSUPP an unknown flag, `reserved`; EOVERFLOW `iova` or `length` is 2^64-1; EINVAL neither
 *   readable nor writeable; ENOENT no such IOAS; else as `IovaSpace.mapUserPages`
 */
export function ioasMap(context: Context, request: IoasMapRequest): void {
  const { label } = context;
  checkMapFlags(label, request.flags);
  if (request.reserved !== 0) throw new KernelError('EOPNOTSUPP', label, 'a reserved field is not 0');
  checkBelowMax(label, request.iova, request.length);
  checkMapAccess(label, request.flags);
  using held = context.objects.use<Ioas>(request.ioasId, 'ioas');
  request.iova = held.object.iovas.mapUserPages(
    context.process.memory,
    request.userVa,
    request.length,
    convIommuProt(request.flags),
    placementOf(request.flags, request.iova),
  );
}
