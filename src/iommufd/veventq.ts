/** Events of one type for a guest, read through a file (`struct iommufd_veventq`; since 6.15). From memory. */

import { KernelError } from '../kernel/errors.ts';
import { SequencedQueue } from './sequenced-queue.ts';
import type { Viommu } from './viommu.ts';

export class Veventq extends SequencedQueue {
  readonly viommu: Viommu;
  /** `enum iommu_veventq_type`. */
  readonly eventType: number;

  private constructor(viommu: Viommu, type: number, depth: number) {
    super(viommu.context, 'veventq', depth);
    this.viommu = viommu;
    this.eventType = type;
  }

  /**
   * `iommufd_veventq_alloc`, without its look-ups: not yet published, without a file.
   *
   * @throws KernelError EEXIST there is a queue for this type; ENOMEM; EBUSY no object id is free
   */
  static alloc(viommu: Viommu, type: number, depth: number): Veventq {
    const other = viommu.veventqs.get(type);
    if (other !== undefined) {
      throw new KernelError('EEXIST', viommu.label, `${other.label} takes events of type ${type}`);
    }
    const queue = new Veventq(viommu, type, depth);
    viommu.context.objects.reserve(queue);
    viommu.users++;
    viommu.veventqs.set(type, queue);
    return queue;
  }

  /** `iommufd_veventq_destroy`. */
  override destroy(): void {
    this.discard();
    this.viommu.veventqs.delete(this.eventType);
    this.viommu.users--;
  }
}
