/** VFIO of one machine: the devices that VFIO drivers have, their groups, and what opens them (vfio_main.c, group.c). */

import type { Bus } from '../../device/bus.ts';
import type { Device } from '../../device/device.ts';
import type { Driver } from '../../device/driver.ts';
import type { Group } from '../../iommu/group.ts';
import { KernelError } from '../../kernel/errors.ts';
import { Ida } from '../../kernel/ida.ts';
import type { Iommufd } from '../iommufd.ts';
import type { Process } from '../process.ts';
import { VfioDevice } from './device.ts';
import { VfioDeviceFile } from './device-file.ts';
import type { VfioDeviceOps } from './device-ops.ts';
import { VfioGroup } from './group.ts';
import type { VfioGroupFile } from './group-file.ts';

/** Drivers that see to DMA themselves and hand their device to nobody. */
const KEPT_FROM_PROGRAMS: ReadonlySet<string> = new Set(['pci-stub', 'pcieport']);
/** `MINORMASK`. */
const LAST_INDEX = 0xf_ffff;

/** Whether a driver hands its devices to programs: vfio-pci and its like. */
export function isVfioDriver(driver: Driver): boolean {
  if (driver.name === 'vfio-pci') return true;
  return driver.driverManagedDma === true && !KEPT_FROM_PROGRAMS.has(driver.name);
}

export class Vfio {
  readonly iommufd: Iommufd;
  /** `add_taint`: a device without an IOMMU was handed to programs. */
  tainted = false;
  readonly #indexes = new Ida('VFIO devices', LAST_INDEX);
  readonly #groups = new Map<string, VfioGroup>();
  readonly #devices = new Map<Device, VfioDevice>();

  /** @param iommufd its `noiommu` is the parameter `enable_unsafe_noiommu_mode` as well */
  constructor(iommufd: Iommufd) {
    this.iommufd = iommufd;
  }

  /** By name below /dev/vfio. */
  get groups(): ReadonlyMap<string, VfioGroup> {
    return this.#groups;
  }

  /** What VFIO drivers have, and what is still open of what they had. */
  get devices(): readonly VfioDevice[] {
    return [...this.#devices.values()];
  }

  /** The VFIO device of a device. */
  find(device: Device): VfioDevice | undefined {
    return this.#devices.get(device);
  }

  /**
   * `vfio_register_group_dev`, what the probe of a VFIO driver ends with. A device without a group gets one made up
   * for it where noiommu is on.
   *
   * @throws KernelError EINVAL it is in no IOMMU group, is registered, or its DMA is not coherent; ENOMEM, ENOSPC;
   *   nothing has changed then
   */
  registerGroupDev(device: Device, ops: VfioDeviceOps): VfioDevice {
    if (this.#devices.has(device))
      throw new KernelError('EINVAL', device.name, 'is registered with VFIO already');
    const { faults } = this.iommufd;
    faults.step('VFIO device');
    const index = this.#indexes.alloc();
    try {
      const group = this.#setGroup(device);
      const { iommu } = this.iommufd;
      if (group.type === 'iommu' && !iommu.deviceCapable(device, 'cache-coherency')) {
        this.#removeGroup(group, device);
        throw new KernelError(
          'EINVAL',
          device.name,
          'its IOMMU cannot keep its DMA coherent with the caches',
        );
      }
      const released = (gone: VfioDevice) => this.#released(gone);
      const vfioDevice = new VfioDevice({ iommufd: this.iommufd, device, ops, group, index, released });
      this.#devices.set(device, vfioDevice);
      group.devices.unshift(vfioDevice);
      return vfioDevice;
    } catch (error) {
      this.#indexes.free(index);
      throw error;
    }
  }

  /**
   * `vfio_unregister_group_dev`, what a VFIO driver's removal begins with: nobody can open the device any more, and
   * who has it open is asked to close it. The kernel waits for that; here the rest is done at that moment, and
   * until then the device stays bound to its iommufd and owned.
   */
  unregisterGroupDev(device: Device): void {
    const vfioDevice = this.#devices.get(device);
    if (vfioDevice?.isRegistered !== true) return;
    const { devices } = vfioDevice.group;
    devices.splice(devices.indexOf(vfioDevice), 1);
    vfioDevice.endRegistration();
    if (!this.#devices.has(device)) return;
    vfioDevice.ops.request?.(0);
    if (this.#devices.get(device) !== vfioDevice) return;
    this.iommufd.iommu.messages.warn(
      device.name,
      'Device is currently in use; it goes when its user closes it',
    );
  }

  /**
   * Opens /dev/vfio/NAME.
   *
   * @param name `7`, `noiommu-7`
   * @throws KernelError ENOENT there is no such file; else as `VfioGroup.open`
   */
  openGroup(name: string, process: Process): VfioGroupFile {
    const group = this.#groups.get(name);
    if (group === undefined) {
      throw new KernelError(
        'ENOENT',
        `/dev/vfio/${name}`,
        'does not exist',
        'bind a device of the group to vfio-pci',
      );
    }
    return group.open(process);
  }

  /**
   * Opens /dev/vfio/devices/NAME (`vfio_device_fops_cdev_open`). Nothing can be done with the file before
   * `VFIO_DEVICE_BIND_IOMMUFD`. Devices without an IOMMU have no such file.
   *
   * @param name `vfio0`
   * @throws KernelError ENOENT there is no such file; ENOMEM
   */
  openDevice(name: string, process: Process): VfioDeviceFile {
    const device = this.devices.find((each) => each.isRegistered && !each.isNoiommu && each.name === name);
    if (device === undefined) {
      throw new KernelError(
        'ENOENT',
        `/dev/vfio/devices/${name}`,
        'does not exist',
        'bind the device to vfio-pci',
      );
    }
    this.iommufd.faults.step('device file');
    device.tryGetRegistration();
    return new VfioDeviceFile(device, process, false);
  }

  /**
   * Registers what VFIO drivers of `bus` have and will have, for drivers that do not do it themselves. A device VFIO
   * refuses is reported in the messages and stays bound.
   *
   * @param opsOf what the driver offers of a device; nothing but its name unless told
   * @returns ends it
   */
  follow(bus: Bus, opsOf?: (device: Device, driver: Driver) => VfioDeviceOps): () => void {
    const bound = (device: Device) => {
      const { driver } = device;
      if (driver === undefined || !isVfioDriver(driver) || this.#devices.has(device)) return;
      try {
        this.registerGroupDev(device, opsOf?.(device, driver) ?? { name: driver.name });
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        this.iommufd.iommu.messages.err(device.name, `VFIO does not take it: ${error.message}`);
      }
    };
    const listener = ({ action, device }: { action: string; device: Device }) => {
      if (action === 'bound') bound(device);
      else if (action === 'unbind') this.unregisterGroupDev(device);
    };
    bus.notifier.register(listener);
    for (const device of bus.devices) bound(device);
    return () => bus.notifier.unregister(listener);
  }

  /** `vfio_group_find_or_alloc`. */
  #setGroup(device: Device): VfioGroup {
    const { iommu, noiommu } = this.iommufd;
    const iommuGroup = iommu.groupOf(device);
    if (iommuGroup === undefined) {
      if (noiommu) return this.#noiommuGroup(device);
      throw new KernelError(
        'EINVAL',
        device.name,
        'is in no IOMMU group',
        'without an IOMMU only enable_unsafe_noiommu_mode hands it out, unprotected',
      );
    }
    for (const group of this.#groups.values()) {
      if (group.iommuGroup !== iommuGroup) continue;
      group.addDriver();
      return group;
    }
    return this.#createGroup(iommuGroup, 'iommu');
  }

  /** `vfio_noiommu_group_alloc`. */
  #noiommuGroup(device: Device): VfioGroup {
    const { iommu } = this.iommufd;
    using iommuGroup = iommu.groupAlloc();
    iommuGroup.setName('vfio-noiommu');
    iommuGroup.addDevice(device);
    try {
      const group = this.#createGroup(iommuGroup, 'no-iommu');
      this.tainted = true;
      iommu.messages.warn(device.name, 'Adding kernel taint for vfio-noiommu group on device');
      return group;
    } catch (error) {
      iommuGroup.removeDevice(device);
      throw error;
    }
  }

  /** `vfio_create_group`. */
  #createGroup(iommuGroup: Group, type: 'iommu' | 'no-iommu'): VfioGroup {
    const { faults } = this.iommufd;
    faults.step('VFIO group');
    const group = new VfioGroup(iommuGroup, type, faults);
    this.#groups.set(group.name, group);
    return group;
  }

  /** `vfio_device_remove_group`. */
  #removeGroup(group: VfioGroup, device: Device): void {
    if (group.type === 'no-iommu') group.iommuGroup?.removeDevice(device);
    if (group.removeDriver()) this.#groups.delete(group.name);
  }

  #released(vfioDevice: VfioDevice): void {
    this.#devices.delete(vfioDevice.device);
    this.#removeGroup(vfioDevice.group, vfioDevice.device);
    this.#indexes.free(vfioDevice.index);
  }
}
