/**
 * The IOMMU-groups interface of 2012 as its users knew it: functions that take a group, drivers that form groups
 * themselves when devices come and go, and domains that are attached device by device (isolation.md 4).
 *
 * The groups are today's; what differs is who fills them and how a device without a group finds one.
 */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { NoGroup } from './device-state.ts';
import type { Group } from './group.ts';
import type { GroupCallback } from './group-events.ts';
import type { Iommu } from './iommu.ts';

/** What a driver of 2012 offered for a bus (the grouping part of `struct iommu_ops` in 3.6). */
export interface LegacyIommuOps {
  readonly name: string;
  /**
   * `add_device`: find or make the device's group and add it.
   *
   * @throws KernelError ENODEV not translated; nobody but `LegacyBus.failures` hears of it
   */
  addDevice?(device: Device): void;
  /** `remove_device`: take it out again. */
  removeDevice?(device: Device): void;
}

/** A domain of 2012: attached to and detached from one device at a time. */
export interface LegacyDomain {
  readonly name: string;
  /** @throws KernelError the driver's refusal */
  attachDev(device: Device): void;
  detachDev(device: Device): void;
}

/** The interface that does the same, or nothing at all, with and without IOMMU support: see `disabled.ts`. */
export interface GroupInterface {
  groupAlloc(): Group;
  groupGet(device: Device): Group | undefined;
  groupPut(group: Group | undefined): void;
  groupId(group: Group | undefined): number;
  groupSetName(group: Group | undefined, name: string | undefined): void;
  groupGetIommudata(group: Group | undefined): unknown;
  groupSetIommudata<T>(group: Group | undefined, data: T, release?: (data: T) => void): void;
  groupAddDevice(group: Group | undefined, device: Device): void;
  groupRemoveDevice(device: Device): void;
  groupForEachDevice(
    group: Group | undefined,
    place: string,
    callback: (device: Device) => number | undefined,
  ): number;
  groupRegisterNotifier(group: Group | undefined, callback: GroupCallback): void;
  groupUnregisterNotifier(group: Group | undefined, callback: GroupCallback): number;
  attachGroup(domain: LegacyDomain, group: Group | undefined): void;
  detachGroup(domain: LegacyDomain, group: Group | undefined): void;
}

/** What became of a bus that a driver of 2012 was set for. */
export interface LegacyBus {
  /** Devices that were in a group when they were offered to the driver, or still when they were gone. */
  readonly warnings: string[];
  /** Devices without a group, and why. */
  readonly failures: ReadonlyMap<Device, NoGroup>;
}

export class LegacyGroups implements GroupInterface {
  readonly #iommu: Iommu;

  constructor(iommu: Iommu) {
    this.#iommu = iommu;
  }

  /**
   * `bus_set_iommu`: offers the driver every device of the bus, those that are there and those to come. Such a bus
   * is made without `Iommu.dmaHooks`: nobody owned DMA then, and groups had no default domain.
   *
   * @throws KernelError EBUSY the bus has a driver
   */
  busSetIommu(bus: Bus, ops: LegacyIommuOps): LegacyBus {
    const warnings: string[] = [];
    const failures = new Map<Device, NoGroup>();
    const add = (device: Device) => {
      try {
        ops.addDevice?.(device);
        failures.delete(device);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        failures.set(device, { because: 'refused', iommu: ops.name, error });
      }
    };
    this.#iommu.replaceHooks(bus, {
      name: ops.name,
      added: add,
      deleted: (device) => {
        failures.delete(device);
        if (this.#iommu.groupOf(device)) ops.removeDevice?.(device);
      },
      removed: (device) => {
        // A driver that forgot it would leave the group with a member that is gone.
        const group = this.#iommu.groupOf(device);
        if (group === undefined) return;
        warnings.push(`${device.name} was left in ${group.describe()} by ${ops.name}`);
        this.#iommu.deviceRemoved(device);
      },
    });
    for (const device of bus.devices) {
      const group = this.#iommu.groupOf(device);
      if (group) warnings.push(`${device.name} is in ${group.describe()} already`);
      add(device);
    }
    return { warnings, failures };
  }

  /**
   * `iommu_group_alloc`.
   *
   * @throws KernelError as `Group.alloc`
   */
  groupAlloc(): Group {
    return this.#iommu.groupAlloc();
  }

  /**
   * `iommu_group_get`, with the look-up upward its reviewers wanted: a device that no driver knows, on a bus that a
   * grouped device made, answers the group of its nearest ancestor. It is no member of that group.
   */
  groupGet(device: Device): Group | undefined {
    for (let above: Device | undefined = device; above !== undefined; above = above.parent) {
      const group = this.#iommu.groupGet(above);
      if (group) return group;
    }
    return undefined;
  }

  /** `iommu_group_put` */
  groupPut(group: Group | undefined): void {
    group?.put();
  }

  /** `iommu_group_id` */
  groupId(group: Group): number {
    return group.id;
  }

  /** `iommu_group_set_name`; errors as `Group.setName`. */
  groupSetName(group: Group, name: string | undefined): void {
    group.setName(name);
  }

  /** `iommu_group_get_iommudata` */
  groupGetIommudata(group: Group): unknown {
    return group.getIommudata();
  }

  /** `iommu_group_set_iommudata` */
  groupSetIommudata<T>(group: Group, data: T, release?: (data: T) => void): void {
    group.setIommudata(data, release);
  }

  /** `iommu_group_add_device`; errors as `Group.addDevice`. */
  groupAddDevice(group: Group, device: Device): void {
    group.addDevice(device);
  }

  /** `iommu_group_remove_device`; nothing for a device without a group. */
  groupRemoveDevice(device: Device): void {
    this.#iommu.groupOf(device)?.removeDevice(device);
  }

  /** `iommu_group_for_each_dev` */
  groupForEachDevice(group: Group, place: string, callback: (device: Device) => number | undefined): number {
    return group.forEachDevice(place, callback);
  }

  /** `iommu_group_register_notifier`; errors as `Group.registerNotifier`. */
  groupRegisterNotifier(group: Group, callback: GroupCallback): void {
    group.registerNotifier(callback);
  }

  /** `iommu_group_unregister_notifier`; errors as `Group.unregisterNotifier`. */
  groupUnregisterNotifier(group: Group, callback: GroupCallback): number {
    group.unregisterNotifier(callback);
    return 0;
  }

  /**
   * `iommu_attach_group`: every member in turn, under the group's lock.
   *
   * @throws KernelError the first refusal; members before it are detached again, the last first
   */
  attachGroup(domain: LegacyDomain, group: Group): void {
    const attached: Device[] = [];
    try {
      group.forEachDevice('iommu_attach_group', (device) => {
        domain.attachDev(device);
        attached.push(device);
        return 0;
      });
    } catch (error) {
      for (const device of attached.reverse()) domain.detachDev(device);
      throw error;
    }
  }

  /** `iommu_detach_group` */
  detachGroup(domain: LegacyDomain, group: Group): void {
    group.forEachDevice('iommu_detach_group', (device) => {
      domain.detachDev(device);
      return 0;
    });
  }
}
