/** An IOMMU group whose devices VFIO drivers have (`struct vfio_group`): what /dev/vfio/NUMBER opens. */

import type { FaultInjector } from '../../iommu/fault-injector.ts';
import type { Group } from '../../iommu/group.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Process } from '../process.ts';
import type { VfioDevice } from './device.ts';
import { VfioGroupFile } from './group-file.ts';

/** `enum vfio_group_type`: behind an IOMMU, or without one and made up for the device. */
export type VfioGroupType = 'iommu' | 'no-iommu';

export class VfioGroup {
  /** Name below /dev/vfio: `7`, or `noiommu-7`. */
  readonly name: string;
  readonly type: VfioGroupType;
  readonly faults: FaultInjector;
  /** Devices that can be opened, the one registered last first. */
  readonly devices: VfioDevice[] = [];
  /** The container: `VFIO_GROUP_SET_CONTAINER` sets it. */
  context: Context | undefined;
  #iommuGroup: Group | undefined;
  /** `drivers`: devices that keep the group, open ones of drivers that let go included. */
  #drivers = 1;
  #openedFile: VfioGroupFile | undefined;
  #deviceFiles = 0;

  /** @param iommuGroup the new object keeps a reference of its own */
  constructor(iommuGroup: Group, type: VfioGroupType, faults: FaultInjector) {
    this.faults = faults;
    this.#iommuGroup = iommuGroup.get();
    this.type = type;
    this.name = `${type === 'no-iommu' ? 'noiommu-' : ''}${iommuGroup.id}`;
  }

  get label(): string {
    return `VFIO group ${this.name}`;
  }

  /** None once the last driver is gone. */
  get iommuGroup(): Group | undefined {
    return this.#iommuGroup;
  }

  /** `opened_file`: the one file that is open. */
  get openedFile(): VfioGroupFile | undefined {
    return this.#openedFile;
  }

  /** `cdev_device_open_cnt`: devices that are in use through files of their own. */
  get deviceFiles(): number {
    return this.#deviceFiles;
  }

  /**
   * `vfio_group_fops_open`, once at a time.
   *
   * @throws KernelError ENODEV its last driver is gone; EPERM without an IOMMU and without CAP_SYS_RAWIO; EBUSY a
   *   device is in use through its own file, or the group is open
   */
  open(process: Process): VfioGroupFile {
    if (this.#drivers === 0) throw new KernelError('ENODEV', this.label, 'has no devices any more');
    if (this.type === 'no-iommu' && !process.capabilities.has('CAP_SYS_RAWIO')) {
      throw new KernelError('EPERM', this.label, 'DMA without an IOMMU needs CAP_SYS_RAWIO');
    }
    if (this.#deviceFiles > 0) {
      throw new KernelError('EBUSY', this.label, 'a device of it is in use through /dev/vfio/devices');
    }
    if (this.#openedFile !== undefined) {
      const by = this.#openedFile.process.name;
      throw new KernelError('EBUSY', this.label, `is open in ${by}`, 'close it there first');
    }
    this.#openedFile = new VfioGroupFile(this, process);
    return this.#openedFile;
  }

  /** For the file only: it is closed. */
  closed(): void {
    this.#openedFile = undefined;
  }

  /**
   * `vfio_device_block_group`: a device of it is about to be used through its own file.
   *
   * @throws KernelError EBUSY the group is open
   */
  block(): void {
    if (this.#openedFile !== undefined) {
      throw new KernelError(
        'EBUSY',
        this.label,
        `is open in ${this.#openedFile.process.name}`,
        'use one way only',
      );
    }
    this.#deviceFiles++;
  }

  /** `vfio_device_unblock_group`. */
  unblock(): void {
    this.#deviceFiles--;
  }

  /** One more device keeps it. */
  addDriver(): void {
    this.#drivers++;
  }

  /** One device less; with the last the IOMMU group is let go. Answers whether it was the last. */
  removeDriver(): boolean {
    if (--this.#drivers > 0) return false;
    this.#iommuGroup?.put();
    this.#iommuGroup = undefined;
    return true;
  }

  /**
   * Who keeps the group from being used: members that ordinary drivers have, by name and driver, or its owner.
   * Empty where `VFIO_GROUP_GET_STATUS` says viable.
   */
  obstacles(): string[] {
    const group = this.#iommuGroup;
    if (group === undefined || this.context !== undefined || !group.dmaOwnerClaimed) return [];
    const hosted = group.devices.filter(
      ({ driver }) => driver !== undefined && driver.driverManagedDma !== true,
    );
    if (hosted.length > 0) return hosted.map(({ name, driver }) => `${name} (${driver!.name})`);
    const owner = group.dmaOwner as { label?: unknown } | undefined;
    return [typeof owner?.label === 'string' ? owner.label : 'its owner'];
  }
}
