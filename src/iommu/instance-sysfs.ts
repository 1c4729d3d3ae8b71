/** An IOMMU's directory, /class/iommu/<name>, and the links between it and the devices it translates. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { Kobject } from '../kernel/kobject.ts';
import type { Sysfs } from '../kernel/sysfs.ts';
import type { IommuInstance } from './driver.ts';

export class InstanceDirectory {
  readonly #class: Kobject;
  readonly #kobj: Kobject;
  readonly #devices: Kobject;

  /**
   * `iommu_device_sysfs_add`: below the device that the IOMMU is, else below /devices/virtual.
   *
   * @throws KernelError EEXIST an IOMMU of that name is there
   */
  constructor(sysfs: Sysfs, instance: IommuInstance) {
    const parent = instance.parentPath ?? instance.device?.kobj?.path ?? '/devices/virtual';
    this.#class = sysfs.makePath('/class/iommu');
    if (this.#class.entry(instance.name)) {
      throw new KernelError('EEXIST', instance.name, 'an IOMMU of this name is registered');
    }
    this.#kobj = new Kobject(instance.name, sysfs.makePath(`${parent}/iommu`));
    this.#devices = new Kobject('devices', this.#kobj);
    this.#class.createLink(instance.name, this.#kobj);
  }

  /**
   * `iommu_device_link`.
   *
   * @throws KernelError EINVAL the device is not in sysfs, EEXIST one of the links is there; nothing changed then
   */
  link(device: Device): void {
    const kobj = device.kobj;
    if (kobj === undefined)
      throw new KernelError('EINVAL', device.name, 'is not in sysfs', 'add the device first');
    this.#devices.createLink(device.name, kobj);
    try {
      kobj.createLink('iommu', this.#kobj);
    } catch (error) {
      this.#devices.removeLink(device.name);
      throw error;
    }
  }

  /** `iommu_device_unlink`. */
  unlink(device: Device): void {
    device.kobj?.removeLink('iommu');
    this.#devices.removeLink(device.name);
  }

  /** `iommu_device_sysfs_remove`. */
  remove(): void {
    this.#class.removeLink(this.#kobj.name);
    this.#devices.put();
    this.#kobj.put();
  }
}
