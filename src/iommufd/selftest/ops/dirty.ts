/** DIRTY: marks pages as written to, as DMA would. */

import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import { useMockHwpt } from '../mock-hwpt.ts';
import { MOCK_PAGE_SIZE } from '../numbers.ts';
import type { DirtyRequest } from '../requests.ts';

/** Bytes of bitmap at most. */
const BITMAP_MAX = 16n * 1024n * 1024n;

/**
 * `iommufd_test_dirty`: for each bit that is set, the page is marked if one is mapped there; `outNrDirty` counts them.
 *
 * Right only for pages of 2 KiB: the kernel divides by `pageSize` and takes the result for a number of such pages, and
 * so does this. What is mapped read-only no device can write to: here it stays clean, the kernel marks it.
 *
 * @throws KernelError EINVAL no bitmap, an empty or misaligned range, or dirty tracking is off; EOVERFLOW a bitmap of
 *   more than 16 MiB; ENOENT no such HWPT; EFAULT the bitmap cannot be read
 */
export function dirty(context: Context, request: DirtyRequest): void {
  const { iova, length, pageSize, uptr } = request;
  if (pageSize === 0n || length === 0n || iova % pageSize !== 0n || length % pageSize !== 0n || uptr === 0n) {
    throw new KernelError('EINVAL', context.label, 'the range to mark is empty, misaligned or has no bitmap');
  }
  const pages = length / pageSize;
  if (pages > BITMAP_MAX * 8n) {
    throw new KernelError('EOVERFLOW', context.label, `a bitmap of ${pages} bits is too large`);
  }
  using held = useMockHwpt(context, request.id);
  const { domain, label } = held;
  if (!domain.trackingDirty) {
    throw new KernelError('EINVAL', label, 'tracks no dirty pages', 'switch dirty tracking on');
  }
  context.iommufd.faults.step('copy of the bitmap');
  const bitmap = new Uint8Array(Number((pages + 7n) / 8n));
  context.process.memory.read(uptr, bitmap);
  const firstPage = iova / pageSize;
  let marked = 0n;
  for (let at = 0; at < Number(pages); at++) {
    if (((bitmap[at >> 3]! >> (at & 7)) & 1) === 0) continue;
    const page = (firstPage + BigInt(at)) * BigInt(MOCK_PAGE_SIZE);
    if (typeof domain.table.access(page, true) === 'object') marked++;
  }
  request.outNrDirty = marked;
}
