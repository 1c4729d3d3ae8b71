/** `IOMMU_HWPT_INVALIDATE`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { HwptNested } from '../hwpt-nested.ts';
import { PAGE_SIZE } from '../limits.ts';
import { userDataArrayAt } from '../user-data.ts';
import type { Viommu } from '../viommu.ts';
import { RepliedError } from './replied-error.ts';

/** Most entries of one call. */
const ENTRIES_MAX = 2 ** 19;

/** `struct iommu_hwpt_invalidate`. */
export interface HwptInvalidateRequest {
  /** A nested HWPT, or since 6.13 a vIOMMU. */
  hwptId: number;
  dataUptr: bigint;
  /** Of the driver; 0 is a type as any other. */
  dataType: number;
  /** Bytes of one entry. */
  entryLen: number;
  /** In: entries. Out: entries dealt with, whatever the call answers. */
  entryNum: number;
  reserved: number;
}

/**
 * `iommufd_hwpt_invalidate`: the guest has changed its table, and what the hardware has cached of it goes.
 *
 * @throws RepliedError EOPNOTSUPP reserved; EINVAL entries without a pointer or a length, longer than a page, or more
 *   than 2^19; ENOENT no such nested HWPT; what the driver says of an entry. `entryNum` is right all the same
 */
export function hwptInvalidate(context: Context, request: HwptInvalidateRequest): void {
  const array = userDataArrayAt(context.process.memory, {
    type: request.dataType,
    address: request.dataUptr,
    entryLength: request.entryLen,
    entries: request.entryNum,
  });
  try {
    check(context, request);
    using held = context.objects.use<HwptNested | Viommu>(request.hwptId, 'hwpt-nested', 'viommu');
    const target = held.object;
    if (target.type === 'viommu') {
      const { slice, label } = target as Viommu;
      if (slice.cacheInvalidate === undefined) throw new KernelError('EOPNOTSUPP', label, 'caches nothing');
      slice.cacheInvalidate(array);
    } else {
      const { domain } = target as HwptNested;
      if (domain.ops.cacheInvalidateUser === undefined) {
        throw new KernelError('EOPNOTSUPP', domain.label, 'is invalidated through its vIOMMU only');
      }
      domain.ops.cacheInvalidateUser(domain, array);
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw RepliedError.from(error);
  } finally {
    request.entryNum = array.processed;
  }
}

function check({ label }: Context, request: HwptInvalidateRequest): void {
  const { dataUptr, entryLen, entryNum } = request;
  if (request.reserved !== 0) {
    throw new KernelError('EOPNOTSUPP', label, `the reserved field is ${request.reserved}, not 0`);
  }
  if (entryNum === 0) return;
  if (dataUptr === 0n || entryLen === 0 || entryLen > PAGE_SIZE || entryNum > ENTRIES_MAX) {
    const problem = `${entryNum} entries of ${entryLen} bytes at 0x${dataUptr.toString(16)} are no list`;
    throw new KernelError('EINVAL', label, problem, `up to ${ENTRIES_MAX} of up to ${PAGE_SIZE} bytes are`);
  }
}
