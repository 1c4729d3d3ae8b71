/** A hardware page table: a domain a user process has an id for (`struct iommufd_hw_pagetable`). */

import type { Domain } from '../iommu/domain.ts';
import type { Context } from './context.ts';
import type { FaultQueue } from './fault-queue.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import { IommufdObject } from './object.ts';

export abstract class Hwpt extends IommufdObject {
  readonly domain: Domain;
  /** Who answers page faults of what is attached; none: attached devices ask for no pages. */
  #fault: FaultQueue | undefined;
  /** `pasid_compat`: may be attached to PASIDs, and beside such. */
  readonly pasidCompatible: boolean;

  constructor(
    context: Context,
    type: 'hwpt-paging' | 'hwpt-nested',
    domain: Domain,
    pasidCompatible: boolean,
  ) {
    super(context, type);
    this.domain = domain;
    this.pasidCompatible = pasidCompatible;
  }

  /** `find_hwpt_paging`: the one whose address space it translates to; itself where it has one. */
  abstract get paging(): HwptPaging;

  get fault(): FaultQueue | undefined {
    return this.#fault;
  }

  /** Page faults go to `fault` from now on; only before anything is attached. */
  useFaultQueue(fault: FaultQueue): void {
    this.#fault = fault;
    fault.users++;
    this.domain.iopfHandler = (group) => fault.deliver(group);
  }

  /** `iommufd_hw_pagetable_put`: one user less. The one way to let a page table go. */
  put(): void {
    this.users--;
  }

  /** `__iommufd_hwpt_destroy`. */
  destroy(): void {
    this.domain.free();
    if (this.#fault !== undefined) this.#fault.users--;
  }
}
