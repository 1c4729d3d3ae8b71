/** `IOMMU_IOAS_UNMAP`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { ULONG_MAX } from '../limits.ts';
import { checkBelowMax } from './map-flags.ts';

/** `struct iommu_ioas_unmap`. */
export interface IoasUnmapRequest {
  ioasId: number;
  iova: bigint;
  /** In: bytes of the range; out: bytes that were mapped there. */
  length: bigint;
}

/**
 * `iommufd_ioas_unmap`: takes away the mappings in a range, each as a whole; 0 and 2^64-1 stand for everything there
 * may be.
 *
 * @throws KernelError ENOENT no such IOAS, or nothing is mapped in the range; EOVERFLOW an address or length is 2^64-1;
 *   else as `IovaSpace.unmap`
 */
export function ioasUnmap(context: Context, request: IoasUnmapRequest): void {
  using held = context.objects.use<Ioas>(request.ioasId, 'ioas');
  const { iovas, label } = held.object;
  if (request.iova === 0n && request.length === ULONG_MAX) {
    request.length = iovas.unmapAll();
    return;
  }
  checkBelowMax(label, request.iova, request.length);
  const unmapped = iovas.unmap(request.iova, request.length);
  if (unmapped === 0n) throw new KernelError('ENOENT', label, 'nothing is mapped in the range');
  request.length = unmapped;
}
