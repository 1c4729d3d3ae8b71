/** iommufd of one machine: what /dev/iommu and /dev/vfio/vfio open. */

import type { DeviceCore } from '../device/core.ts';
import { FaultInjector } from '../iommu/fault-injector.ts';
import type { Iommu } from '../iommu/iommu.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import { Context } from './context.ts';
import type { Process, User } from './process.ts';
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

const FEW_PROCESSES = 64;

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
  /** Who uses it, and has pages charged; whether all are given back is asked at the end. */
  readonly processes = new Set<Process>();
  readonly #users = new Set<User>();
  /** So many processes are looked through for those that nothing is charged to. */
  #mostProcesses = FEW_PROCESSES;
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
    this.calls(process);
    return context;
  }

  /** A process makes a call. Of those without a page that did so before, not all are kept in mind. */
  calls(process: Process): void {
    this.processes.add(process);
    this.#users.add(process.user);
    if (this.processes.size <= this.#mostProcesses) return;
    for (const each of this.processes) {
      if (each !== process && each.lockedPages === 0 && each.pinnedPages === 0) this.processes.delete(each);
    }
    this.#mostProcesses = Math.max(FEW_PROCESSES, 2 * this.processes.size);
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
    for (const user of this.#users) {
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
