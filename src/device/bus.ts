/** Buses: which devices and drivers meet, and who is told when they do. */

import type { KernelError } from '../kernel/errors.ts';
import type { Attribute, Ktype } from '../kernel/kobject.ts';
import { NotifierChain } from '../kernel/notifier.ts';
import type { Device } from './device.ts';
import type { Driver } from './driver.ts';
import { driverOverrideAttribute } from './driver-override.ts';

/** What happened to a device, with the numbers of `enum bus_notifier_event`. */
export const BUS_NOTIFY = {
  add: 0,
  del: 1,
  removed: 2,
  bind: 3,
  bound: 4,
  unbind: 5,
  unbound: 6,
  notBound: 7,
} as const;

export type BusAction = keyof typeof BUS_NOTIFY;

export interface BusEvent {
  action: BusAction;
  device: Device;
}

export interface BusInit {
  name: string;
  /** Decides alone whether a driver is for a device; without it the driver's own `match` does. */
  match?(device: Device, driver: Driver): boolean;
  /**
   * Before anything else of a bind; a KernelError ends it with no event sent.
   * `driver` is also `device.driver` already.
   */
  dmaConfigure?(device: Device, driver: Driver): void;
  /** Undoes `dmaConfigure`: after `remove`, and after a failed probe. */
  dmaCleanup?(device: Device, driver: Driver): void;
  /** Whether its devices have the file `driver_override`. */
  driverOverride?: boolean;
  /** Files every device of the bus has (`dev_groups`). */
  deviceAttributes?: readonly Attribute[];
}

/** A `struct bus_type`. The lists are the core's to change. */
export class Bus {
  readonly name: string;
  readonly notifier: NotifierChain<BusEvent>;
  readonly match: BusInit['match'];
  readonly dmaConfigure: BusInit['dmaConfigure'];
  readonly dmaCleanup: BusInit['dmaCleanup'];
  /** What the directories of its devices have in common. */
  readonly deviceKtype: Ktype;
  /** Whether new devices and drivers are tried at once (`drivers_autoprobe`). */
  driversAutoprobe = true;
  readonly #devices = new Map<string, Device>();
  readonly #drivers = new Map<string, Driver>();

  constructor(init: BusInit) {
    this.name = init.name;
    this.notifier = new NotifierChain(`bus ${init.name}`);
    this.match = init.match;
    this.dmaConfigure = init.dmaConfigure;
    this.dmaCleanup = init.dmaCleanup;
    this.deviceKtype = {
      attributes: [
        ...(init.deviceAttributes ?? []),
        ...(init.driverOverride ? [driverOverrideAttribute] : []),
      ],
    };
  }

  /** In klist order: the order they were added. */
  get devices(): Device[] {
    return [...this.#devices.values()];
  }

  /** In the order they were registered, which is the order they are tried in. */
  get drivers(): Driver[] {
    return [...this.#drivers.values()];
  }

  /** `bus_find_device_by_name`. A newline at the end does not matter, as in `sysfs_streq`. */
  findDevice(name: string): Device | undefined {
    return this.#devices.get(withoutNewline(name));
  }

  /** `driver_find`. */
  findDriver(name: string): Driver | undefined {
    return this.#drivers.get(name);
  }

  /**
   * `bus_for_each_dev`: in klist order, stops at the first answer other than undefined and returns it. The callback
   * may remove any device and add new ones, which are then visited too.
   */
  forEachDevice<T>(callback: (device: Device) => T | undefined): T | undefined {
    for (const device of this.#devices.values()) {
      const answer = callback(device);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** `bus_for_each_drv`: as `forEachDevice`, over drivers. */
  forEachDriver<T>(callback: (driver: Driver) => T | undefined): T | undefined {
    for (const driver of this.#drivers.values()) {
      const answer = callback(driver);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** `bus_notify`: what callbacks answer is for the chain only, a bus carries on regardless. */
  notify(action: BusAction, device: Device): KernelError | undefined {
    const verdict = this.notifier.call({ action, device });
    return typeof verdict === 'string' ? undefined : verdict;
  }

  /** For the core only. */
  linkDevice(device: Device): void {
    this.#devices.set(device.name, device);
  }

  /** For the core only. */
  unlinkDevice(device: Device): void {
    if (this.#devices.get(device.name) === device) this.#devices.delete(device.name);
  }

  /** For the core only. */
  linkDriver(driver: Driver): void {
    this.#drivers.set(driver.name, driver);
  }

  /** For the core only. */
  unlinkDriver(driver: Driver): void {
    if (this.#drivers.get(driver.name) === driver) this.#drivers.delete(driver.name);
  }
}

/** sysfs text as typed with `echo`: one newline at its end is not part of it. */
export function withoutNewline(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
