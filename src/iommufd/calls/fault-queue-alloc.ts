/** `IOMMU_FAULT_QUEUE_ALLOC`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { FaultQueue } from '../fault-queue.ts';

/** `struct iommu_fault_alloc`. */
export interface FaultQueueAllocRequest {
  flags: number;
  outFaultId: number;
  outFaultFd: number;
}

/**
 * `iommufd_fault_alloc`: a queue for page faults, and a descriptor of the caller's to read it by. The queue cannot be
 * destroyed before that descriptor is closed.
 *
 * @throws KernelError EOPNOTSUPP any flag; ENOMEM; EBUSY no object id is free; EMFILE no descriptor is free
 */
export function faultQueueAlloc(context: Context, request: FaultQueueAllocRequest): void {
  if (request.flags !== 0) {
    throw new KernelError('EOPNOTSUPP', context.label, `fault queues know no flags, not ${request.flags}`);
  }
  const { faults } = context.iommufd;
  const queue = new FaultQueue(context);
  context.objects.reserve(queue);
  try {
    faults.step('page fault file');
    const file = queue.openFile('[iommufd-pgfault]');
    faults.step('page fault descriptor');
    request.outFaultFd = context.process.files.install(file);
  } catch (error) {
    context.objects.abortAndDestroy(queue);
    throw error;
  }
  request.outFaultId = queue.id;
  context.objects.publish(queue);
}
