/** `IOMMU_HW_QUEUE_ALLOC`, since 6.17. From the newer headers and from memory. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { HwQueue } from '../hw-queue.ts';
import { lastOf } from '../iova-range.ts';
import type { Viommu } from '../viommu.ts';

/** `IOMMU_HW_QUEUE_TYPE_DEFAULT`: no type at all. */
export const HW_QUEUE_TYPE_DEFAULT = 0;

/** `struct iommu_hw_queue_alloc`. */
export interface HwQueueAllocRequest {
  flags: number;
  viommuId: number;
  type: number;
  /** Which of the vIOMMU's queues. */
  index: number;
  outHwQueueId: number;
  /** Where the queue is, in addresses of the vIOMMU's parent table. */
  nestingParentIova: bigint;
  length: bigint;
}

/**
 * `iommufd_hw_queue_alloc_ioctl`
 *
 * @throws KernelError EOPNOTSUPP flags, no type; EINVAL no length; EOVERFLOW past 2^64-1; ENOENT no such vIOMMU; else as
 *   `HwQueue.alloc`
 */
export function hwQueueAlloc(context: Context, request: HwQueueAllocRequest): void {
  const { type, index, nestingParentIova: iova, length } = request;
  if (request.flags !== 0 || type === HW_QUEUE_TYPE_DEFAULT) {
    throw new KernelError(
      'EOPNOTSUPP',
      context.label,
      `makes no hardware queue of type ${type} with these flags`,
    );
  }
  if (length === 0n) throw new KernelError('EINVAL', context.label, 'a queue of no bytes holds nothing');
  lastOf(context.label, iova, length);
  using viommu = context.objects.use<Viommu>(request.viommuId, 'viommu');
  const queue = HwQueue.alloc(viommu.object, { type, index, iova, length });
  request.outHwQueueId = queue.id;
  context.objects.publish(queue);
}
