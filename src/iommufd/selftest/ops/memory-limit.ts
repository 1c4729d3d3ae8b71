/** SET_TEMP_MEMORY_LIMIT. */

import type { Context } from '../../context.ts';
import type { MemoryLimitRequest } from '../requests.ts';
import { selftestOf } from '../selftest.ts';

/**
 * `IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT`: see `Selftest.memoryLimit`.
 *
 * @throws KernelError EINVAL less than 12
 */
export function setTempMemoryLimit(context: Context, request: MemoryLimitRequest): void {
  selftestOf(context).setMemoryLimit(request.limit);
}
