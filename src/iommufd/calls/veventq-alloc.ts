/** `IOMMU_VEVENTQ_ALLOC`, since 6.15. From the newer headers and from memory. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { Veventq } from '../veventq.ts';
import type { Viommu } from '../viommu.ts';

/** `IOMMU_VEVENTQ_TYPE_DEFAULT`: no type at all. */
export const VEVENTQ_TYPE_DEFAULT = 0;

/** `struct iommu_veventq_alloc`. */
export interface VeventqAllocRequest {
  flags: number;
  viommuId: number;
  type: number;
  /** Most events it holds. */
  veventqDepth: number;
  outVeventqId: number;
  outVeventqFd: number;
  reserved: number;
}

/**
 * `iommufd_veventq_alloc`: a queue for events of one type, and a descriptor of the caller's to read it by.
 *
 * @throws KernelError EOPNOTSUPP flags, reserved, no type; EINVAL no depth; ENOENT no such vIOMMU; EEXIST it has a queue
 *   for this type; ENOMEM; EBUSY no object id is free; EMFILE no descriptor is free
 */
export function veventqAlloc(context: Context, request: VeventqAllocRequest): void {
  const { type, veventqDepth } = request;
  if (request.flags !== 0 || request.reserved !== 0 || type === VEVENTQ_TYPE_DEFAULT) {
    throw new KernelError(
      'EOPNOTSUPP',
      context.label,
      `makes no event queue of type ${type} with these flags`,
    );
  }
  if (veventqDepth === 0) throw new KernelError('EINVAL', context.label, 'a queue of depth 0 holds no event');
  using viommu = context.objects.use<Viommu>(request.viommuId, 'viommu');
  const { faults } = context.iommufd;
  const queue = Veventq.alloc(viommu.object, type, veventqDepth);
  try {
    faults.step('event queue file');
    const file = queue.openFile('[iommufd-viommu-event]');
    faults.step('event queue descriptor');
    request.outVeventqFd = context.process.files.install(file);
  } catch (error) {
    context.objects.abortAndDestroy(queue);
    throw error;
  }
  request.outVeventqId = queue.id;
  context.objects.publish(queue);
}
