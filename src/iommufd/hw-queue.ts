/**
 * A queue a guest shares with the hardware (`struct iommufd_hw_queue`; since 6.17): memory of the guest that the
 * hardware reads by its physical address, so it has to be one run of pages and stays pinned. From memory.
 */

import { KernelError } from '../kernel/errors.ts';
import { AccessPages } from './access-pages.ts';
import type { Area } from './area.ts';
import { contiguousPieces } from './contiguous-areas.ts';
import type { Ioas } from './ioas.ts';
import type { IovaUser } from './iova-users.ts';
import { PAGE_BYTES } from './limits.ts';
import { IommufdObject } from './object.ts';
import type { Viommu } from './viommu.ts';

/** `struct iommu_hw_queue_alloc`, the fields that say what is wanted. */
export interface HwQueueInit {
  /** `enum iommu_hw_queue_type`. */
  type: number;
  index: number;
  /** Where the guest has the queue, and its bytes. */
  iova: bigint;
  length: bigint;
}

export class HwQueue extends IommufdObject {
  readonly viommu: Viommu;
  readonly queueType: number;
  readonly index: number;
  readonly #memory: QueueMemory;

  private constructor(viommu: Viommu, init: HwQueueInit, memory: QueueMemory) {
    super(viommu.context, 'hw-queue');
    this.viommu = viommu;
    this.queueType = init.type;
    this.index = init.index;
    this.#memory = memory;
  }

  /**
   * `iommufd_hw_queue_alloc_ioctl`, without its look-ups: not yet published. While it is there, what holds it cannot be
   * unmapped.
   *
   * @throws KernelError EOPNOTSUPP the driver has no such queues; ENOENT nothing is mapped there; EPERM it cannot be
   *   read; EFAULT it is not one run of memory; ENOMEM; EBUSY no object id is free; the driver's refusal
   */
  static alloc(viommu: Viommu, init: HwQueueInit): HwQueue {
    const { slice, context } = viommu;
    if (slice.hwQueueInit === undefined || slice.hasHwQueue?.(init.type) !== true) {
      throw new KernelError('EOPNOTSUPP', viommu.label, `has no hardware queues of type ${init.type}`);
    }
    const memory = QueueMemory.pin(viommu, init);
    const queue = new HwQueue(viommu, init, memory);
    try {
      context.objects.reserve(queue);
      try {
        context.iommufd.faults.step('hardware queue');
        slice.hwQueueInit(init.type, init.index, memory.base, init.length);
      } catch (error) {
        context.objects.abort(queue);
        throw error;
      }
    } catch (error) {
      memory.destroy();
      throw error;
    }
    viommu.users++;
    return queue;
  }

  /** Physical address of the queue. */
  get base(): bigint {
    return this.#memory.base;
  }

  /** `iommufd_hw_queue_destroy`. */
  override destroy(): void {
    this.viommu.slice.hwQueueDestroy?.(this.queueType, this.index);
    this.#memory.destroy();
    this.viommu.users--;
  }
}

/** The memory of one queue: an access nobody has an id of (`iommufd_access_create_internal`), pinned as long as it lives. */
class QueueMemory extends AccessPages implements IovaUser {
  readonly #ioas: Ioas;
  readonly #iova: bigint;
  readonly #length: bigint;
  readonly #areas: Area[];
  readonly base: bigint;

  /** `iommufd_hw_queue_alloc_phys`: @throws KernelError as `HwQueue.alloc` */
  static pin(viommu: Viommu, { iova, length }: HwQueueInit): QueueMemory {
    viommu.context.iommufd.faults.step('hardware queue memory');
    return new QueueMemory(viommu, iova, length);
  }

  private constructor(viommu: Viommu, iova: bigint, length: bigint) {
    super(viommu.context, { alignment: PAGE_BYTES, canPin: true });
    const offset = iova % PAGE_BYTES;
    this.#ioas = viommu.hwpt.ioas;
    this.#iova = iova - offset;
    this.#length = (offset + length + PAGE_BYTES - 1n) & -PAGE_BYTES;
    this.#ioas.iovas.addAccess(this, PAGE_BYTES);
    this.ioas = this.#ioas;
    this.unpinFrom = this.#ioas;
    try {
      const runs = this.pinPages(this.#iova, this.#length);
      if (runs.length !== 1) {
        this.unpinPages(this.#iova, this.#length);
        throw new KernelError(
          'EFAULT',
          viommu.label,
          `the queue lies in ${runs.length} runs of memory`,
          'use contiguous memory',
        );
      }
      this.base = BigInt(runs.first(0)) * PAGE_BYTES + offset;
    } catch (error) {
      this.#ioas.iovas.removeAccess(this);
      throw error;
    }
    const { iovas } = this.#ioas;
    const last = this.#iova + this.#length - 1n;
    const pieces = contiguousPieces((at) => iovas.areaAt(at), this.#iova, last);
    this.#areas = [...pieces].map(({ area }) => area);
    for (const area of this.#areas) area.locks++;
  }

  get name(): string {
    return 'a hardware queue';
  }

  /** Locked areas are not unmapped, so nobody is asked to let go. */
  unmap(): void {}

  override destroy(): void {
    for (const area of this.#areas) area.locks--;
    this.unpinPages(this.#iova, this.#length);
    this.#ioas.iovas.removeAccess(this);
  }
}
