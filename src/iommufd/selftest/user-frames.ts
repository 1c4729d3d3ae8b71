/** Which page frames are behind user memory, without keeping them (`get_user_pages_fast` and `put_page`). */

import { FrameRuns } from '../../iommu/frame-runs.ts';
import type { Context } from '../context.ts';
import { PAGE_BYTES } from '../limits.ts';

/**
 * The frame of the page that `address` is in.
 *
 * @throws KernelError EFAULT the caller has no memory there
 */
export function frameBehind(context: Context, address: bigint): number {
  const runs = new FrameRuns();
  context.process.memory.pin(address - (address % PAGE_BYTES), 1, false, runs);
  const frame = runs.first(0);
  context.iommufd.physical.unpin(frame, 1);
  return frame;
}
