/** `IOMMU_HWPT_SET_DIRTY_TRACKING`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { HwptPaging } from '../hwpt-paging.ts';

/** `IOMMU_HWPT_DIRTY_TRACKING_ENABLE`. */
export const DIRTY_TRACKING_ENABLE = 1;

/** `struct iommu_hwpt_set_dirty_tracking`. */
export interface HwptSetDirtyTrackingRequest {
  flags: number;
  hwptId: number;
  /** Not looked at. */
  reserved: number;
}

/**
 * `iommufd_hwpt_set_dirty_tracking`: switching on forgets what was dirty before.
 *
 * @throws KernelError EOPNOTSUPP a flag, or the table was not made for it; ENOENT no such paging HWPT; the driver's
 *   refusal
 */
export function hwptSetDirtyTracking(context: Context, request: HwptSetDirtyTrackingRequest): void {
  if ((request.flags & ~DIRTY_TRACKING_ENABLE) !== 0) {
    throw new KernelError('EOPNOTSUPP', context.label, `dirty tracking knows no flags ${request.flags}`);
  }
  using held = context.objects.use<HwptPaging>(request.hwptId, 'hwpt-paging');
  const { ioas, domain } = held.object;
  ioas.iovas.setDirtyTracking(domain, (request.flags & DIRTY_TRACKING_ENABLE) !== 0);
}
