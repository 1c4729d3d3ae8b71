/** MD_CHECK_MAP and MD_CHECK_REFS: whether page table and pin counts are what user memory says they should be. */

import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import { PAGE_BYTES, ULONG_MAX } from '../../limits.ts';
import { useMockHwpt } from '../mock-hwpt.ts';
import { MOCK_PAGE_SIZE } from '../numbers.ts';
import type { CheckMapRequest, CheckRefsRequest } from '../requests.ts';
import { frameBehind } from '../user-frames.ts';

const STEP = BigInt(MOCK_PAGE_SIZE);

/**
 * `iommufd_test_md_check_pa`: every half page from `iova` on leads to the frame behind the user memory from `uptr` on.
 *
 * @throws KernelError EINVAL something is no multiple of half a page, the HWPT is not the mock's, or the frames differ;
 *   ENOENT no such HWPT; EFAULT no user memory
 */
export function mdCheckMap(context: Context, request: CheckMapRequest): void {
  const { iova, length, uptr } = request;
  if ((iova | length | uptr) % STEP !== 0n || uptr + length > ULONG_MAX) {
    throw new KernelError('EINVAL', context.label, `a range to check is not made of ${STEP} byte pages`);
  }
  using held = useMockHwpt(context, request.id);
  const { table } = held.domain;
  for (let done = 0n; done < length; done += STEP) {
    const address = uptr + done;
    const wanted = BigInt(frameBehind(context, address)) * PAGE_BYTES + (address % PAGE_BYTES);
    const found = table.translate(iova + done);
    if (found !== wanted) throw mismatch(held.label, iova + done, found, wanted);
  }
}

/**
 * `iommufd_test_md_check_refs`: every page of user memory is pinned `refs` times.
 *
 * @throws KernelError EINVAL not whole pages; EFAULT no user memory; EIO a page is pinned another number of times
 */
export function mdCheckRefs(context: Context, request: CheckRefsRequest): void {
  const { length, uptr, refs } = request;
  if ((length | uptr) % PAGE_BYTES !== 0n || uptr + length > ULONG_MAX) {
    throw new KernelError('EINVAL', context.label, 'memory to check is not made of pages');
  }
  for (let done = 0n; done < length; done += PAGE_BYTES) {
    const pins = context.iommufd.physical.pins(frameBehind(context, uptr + done));
    if (pins === refs) continue;
    const where = `user page 0x${(uptr + done).toString(16)}`;
    throw new KernelError('EIO', where, `is pinned ${pins} times, ${refs} are expected`);
  }
}

function mismatch(label: string, iova: bigint, found: bigint | undefined, wanted: bigint): KernelError {
  const leads = found === undefined ? 'nowhere' : `to 0x${found.toString(16)}`;
  const problem = `0x${iova.toString(16)} leads ${leads}, not to 0x${wanted.toString(16)}`;
  return new KernelError('EINVAL', label, problem);
}
