/** iommufd of one machine: what /dev/iommu and /dev/vfio/vfio open. */

import type { DeviceCore } from '../device/core.ts';
import { FaultInjector } from '../iommu/fault-injector.ts';
import type { Iommu } from '../iommu/iommu.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import { Context } from './context.ts';
import type { Process } from './process.ts';
import { Selftest } from './selftest/selftest.ts';

export interface IommufdInit {
  iommu: Iommu;
  physical: PhysicalMemory;
  /** Module parameter `allow_unsafe_interrupts`: bind devices whose interrupts are not isolated. */
  allowUnsafeInterrupts?: boolean;
  /** `CONFIG_TRANSPARENT_HUGEPAGE`, which automatic placement asks about; on unless told. */
  transparentHugePages?: boolean;
  /** `CONFIG_VFIO_NOIOMMU` with `enable_unsafe_noiommu_mode`. */
  noiommu?: boolean;
  /** `CONFIG_IOMMUFD_TEST`: a mock IOMMU and its bus are added to this machine. */
  selftest?: DeviceCore;
  faults?: FaultInjector;
}

export class Iommufd {
  readonly iommu: Iommu;
  readonly physical: PhysicalMemory;
  /** The one point at which steps of any call can be made to fail. */
  readonly faults: FaultInjector;
  allowUnsafeInterrupts: boolean;
  readonly transparentHugePages: boolean;
  readonly noiommu: boolean;
  readonly selftest: Selftest | undefined;
  /** Those not gone yet, in the order they were opened. */
  readonly contexts = new Set<Context>();
  /** Everybody who ever opened it; whether their pages are all given back is asked at the end. */
  readonly processes = new Set<Process>();
  #opened = 0;

  constructor(init: IommufdInit) {
    this.iommu = init.iommu;
    this.physical = init.physical;
    this.faults = init.faults ?? new FaultInjector();
    this.allowUnsafeInterrupts = init.allowUnsafeInterrupts ?? false;
    this.transparentHugePages = init.transparentHugePages ?? true;
    this.noiommu = init.noiommu ?? false;
    this.selftest =
      init.selftest && new Selftest({ core: init.selftest, iommu: init.iommu, faults: this.faults });
  }

  /**
   * `iommufd_fops_open`.
   *
   * @param options.vfio through /dev/vfio/vfio: pinned pages count for the process, as VFIO always did
   * @throws KernelError ENOMEM
   */
  open(process: Process, options: { vfio?: boolean } = {}): Context {
    this.faults.step('context');
    const context = new Context({
      iommufd: this,
      name: options.vfio === true ? '/dev/vfio/vfio' : '/dev/iommu',
      process,
      label: `iommufd ${++this.#opened}`,
      accountMode: options.vfio === true ? 'process' : 'user',
    });
    this.contexts.add(context);
    this.processes.add(process);
    return context;
  }

  /**
   * For the end of a test: every context is gone, no page is pinned or charged to anybody, and no group is owned.
   *
   * @throws KernelError EBUSY listing what is left
   */
  assertNothingLeft(): void {
    const left = [...this.#leftovers()];
    if (left.length > 0)
      throw new KernelError('EBUSY', 'iommufd', `not everything is given back: ${left.join('; ')}`);
  }

  *#leftovers(): Generator<string> {
    for (const context of this.contexts) {
      const objects = [...context.objects].map((object) => object.label).join(', ');
      yield `${context.label} is open (${objects || 'no objects'})`;
    }
    if (this.physical.pinned > 0) yield `${this.physical.pinned} pins of physical pages`;
    const users = new Set([...this.processes].map((process) => process.user));
    for (const user of users) {
      if (user.lockedPages !== 0) yield `user ${user.name} is charged ${user.lockedPages} pages`;
    }
    for (const process of this.processes) {
      if (process.lockedPages !== 0) yield `${process.name} is charged ${process.lockedPages} pages`;
      if (process.pinnedPages !== 0) yield `${process.name} has ${process.pinnedPages} pages pinned`;
    }
    for (const device of this.selftest?.devices ?? []) yield `${device.name} is there`;
    for (const group of this.iommu.groups.values()) {
      if (group.dmaOwner !== undefined) yield `${group.describe()} is owned`;
    }
  }
}
