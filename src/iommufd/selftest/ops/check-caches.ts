/** MD_CHECK_IOTLB and DEV_CHECK_CACHE: whether an invalidation reached what it should. */

import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import { useMockNested } from '../mock-hwpt.ts';
import type { CheckDevCacheRequest, CheckIotlbRequest } from '../requests.ts';
import { useMockIdev } from '../use-idev.ts';

/**
 * `iommufd_test_md_check_iotlb`
 *
 * @throws KernelError ENOENT `id` is no nested HWPT; EINVAL it is not the mock's, there is no such entry, or it differs
 */
export function mdCheckIotlb(context: Context, request: CheckIotlbRequest): void {
  using held = useMockNested(context, request.id);
  check(held.label, held.domain.iotlb, request.entry, request.iotlb);
}

/**
 * `iommufd_test_dev_check_cache` (later than 6.12)
 *
 * @throws KernelError ENOENT `id` is no device; EINVAL it is no mock device, there is no such entry, or it differs
 */
export function devCheckCache(context: Context, request: CheckDevCacheRequest): void {
  using held = useMockIdev(context, request.id);
  check(held.device.name, held.device.cache, request.entry, request.cache);
}

function check(object: string, cache: Uint32Array, entry: number, wanted: number): void {
  const found = cache[entry];
  if (found === wanted) return;
  const has = found === undefined ? 'is not there' : `is 0x${found.toString(16)}`;
  throw new KernelError('EINVAL', object, `entry ${entry} ${has}, 0x${wanted.toString(16)} is expected`);
}
