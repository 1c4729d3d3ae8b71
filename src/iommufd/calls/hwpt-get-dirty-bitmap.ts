/** `IOMMU_HWPT_GET_DIRTY_BITMAP`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { DirtyBitmap } from '../dirty-bitmap.ts';
import type { HwptPaging } from '../hwpt-paging.ts';

/** `IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR`. */
export const DIRTY_BITMAP_NO_CLEAR = 1;

/** `struct iommu_hwpt_get_dirty_bitmap`. */
export interface HwptGetDirtyBitmapRequest {
  hwptId: number;
  flags: number;
  reserved: number;
  iova: bigint;
  length: bigint;
  /** Bytes of addresses per bit. */
  pageSize: bigint;
  /** Where the bitmap is; its bits are added to. */
  data: bigint;
}

/**
 * `iommufd_hwpt_get_dirty_bitmap`: bit n of the bitmap is set if `iova + n * pageSize` was written to since the bits
 * were cleared, as they are by this unless told. A bitmap that cannot be written, a gap between mappings and a driver
 * that refuses end it early without an error, as in the kernel.
 *
 * @throws KernelError EOPNOTSUPP flags or reserved; ENOENT no such paging HWPT; EINVAL no length; EOVERFLOW past 2^64-1;
 *   EINVAL the range is not aligned for the address space or for `pageSize`; EOPNOTSUPP the table was not made for dirty
 *   tracking; ENOMEM
 */
export function hwptGetDirtyBitmap(context: Context, request: HwptGetDirtyBitmapRequest): void {
  if ((request.flags & ~DIRTY_BITMAP_NO_CLEAR) !== 0 || request.reserved !== 0) {
    throw new KernelError(
      'EOPNOTSUPP',
      context.label,
      'a flag nobody knows, or a reserved field that is not 0',
    );
  }
  using held = context.objects.use<HwptPaging>(request.hwptId, 'hwpt-paging');
  const { ioas, domain } = held.object;
  const { iova, length, pageSize, data } = request;
  const noClear = (request.flags & DIRTY_BITMAP_NO_CLEAR) !== 0;
  const bitmap = new DirtyBitmap({ memory: context.process.memory, data, iova, length, pageSize });
  try {
    ioas.iovas.readAndClearDirty(domain, { iova, length, pageSize, noClear }, bitmap);
  } finally {
    bitmap.free();
  }
}
