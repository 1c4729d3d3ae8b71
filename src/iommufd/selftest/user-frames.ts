/** Which page frames are behind user memory, without keeping them (`get_user_pages_fast` and `put_page`). */

import { FrameRuns } from '../../iommu/frame-runs.ts';
import type { Context } from '../context.ts';
import { PAGE_BYTES } from '../limits.ts';
import { pagesOf } from '../user-memory.ts';

/**
 * The frame of the page that `address` is in.
 *
 * @throws KernelError EFAULT the caller has no memory there; EOVERFLOW it is the last page of all addresses
 */
export function frameBehind(context: Context, address: bigint): number {
  const runs = new FrameRuns();
  pagesOf(context.process.memory).pin(Number(BigInt.asUintN(64, address) / PAGE_BYTES), 1, false, runs);
  const frame = runs.first(0);
  context.iommufd.physical.unpin(frame, 1);
  return frame;
}
