/** Four numbers that stand for a cache of translations: a nested domain's IOTLB, a device's own cache. */

import { KernelError } from '../../kernel/errors.ts';
import { INVALIDATE_ALL, MOCK_CACHE_ENTRIES } from './numbers.ts';

export interface Invalidation {
  /** `IOMMU_TEST_INVALIDATE_FLAG_ALL`. */
  flags: number;
  entry: number;
}

/** @throws KernelError EOPNOTSUPP an unknown flag; EINVAL no such entry, even where all of them are meant */
export function checkInvalidation(object: string, { flags, entry }: Invalidation): void {
  if ((flags & ~INVALIDATE_ALL) !== 0) {
    throw new KernelError('EOPNOTSUPP', object, `invalidation flags 0x${flags.toString(16)} are unknown`);
  }
  if (entry >= MOCK_CACHE_ENTRIES) {
    throw new KernelError('EINVAL', object, `has no entry ${entry}, only ${MOCK_CACHE_ENTRIES}`);
  }
}

/** What is invalidated becomes 0. */
export function invalidateCache(cache: Uint32Array, { flags, entry }: Invalidation): void {
  if ((flags & INVALIDATE_ALL) !== 0) cache.fill(0);
  else cache[entry] = 0;
}
