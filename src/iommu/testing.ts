/** For tests: a machine with one bus, some devices and the IOMMU subsystem. */

import { Bus } from '../device/bus.ts';
import { DeviceCore } from '../device/core.ts';
import { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { ReferenceTracker } from '../kernel/reference.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import type { GroupingPolicy } from './grouping/policy.ts';
import { Iommu, type IommuOptions } from './iommu.ts';

export class Bench {
  readonly sysfs = new Sysfs();
  readonly tracker = new ReferenceTracker();
  readonly core = new DeviceCore(this.sysfs);
  readonly iommu: Iommu;
  readonly bus: Bus;

  constructor(options: Partial<IommuOptions> = {}) {
    this.iommu = new Iommu({ sysfs: this.sysfs, tracker: this.tracker, ...options });
    this.bus = this.addBus('platform');
  }

  /** @param owned drivers on it use the default domain, as today; without, as before there was ownership */
  addBus(name: string, owned = true): Bus {
    const bus = new Bus({ name, ...(owned && this.iommu.dmaHooks) });
    this.core.addBus(bus);
    this.iommu.addBus(bus);
    return bus;
  }

  /** A device on the bus, added. */
  device(name: string, parent?: Device, bus: Bus | undefined = this.bus): Device {
    const device = new Device({ name, ...(bus && { bus }), ...(parent && { parent }) });
    this.core.addDevice(device);
    return device;
  }

  devices(...names: string[]): Device[] {
    return names.map((name) => this.device(name));
  }

  /** Members of each group, in order of number. */
  partition(): string[][] {
    return [...this.iommu.groups.values()]
      .sort((a, b) => a.id - b.id)
      .map((group) => group.devices.map((device) => device.name));
  }
}

/** Devices with the same first letter share a group; lower case letters have one each. */
export const byInitial: GroupingPolicy = {
  name: 'initial',
  deviceGroup(device, groupOf) {
    const initial = device.name.charAt(0);
    const found = device.bus?.devices.find(
      (other) => other.name.startsWith(initial) && groupOf(other) !== undefined,
    );
    const shared = initial !== initial.toLowerCase() && found !== undefined;
    const group = shared ? groupOf(found) : undefined;
    return {
      ...(group === undefined ? {} : { group }),
      reason: {
        device: device.name,
        policy: 'initial',
        steps: [{ step: 'firmware', key: initial, table: 'test', grouped: shared }],
        joined: shared ? { through: found.name, step: 'firmware' } : null,
        assumed: [],
      },
    };
  },
};

/** The errno a call is refused with, or `ok`. */
export function answerOf(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
}
