/** A device, and how other rooms hang what they know about it on it. */

import { Kobject, type Ktype } from '../kernel/kobject.ts';
import type { Bus } from './bus.ts';
import type { Driver } from './driver.ts';

export interface DeviceInit {
  name: string;
  /** Where it hangs in the device tree; without one, directly under `/devices`. */
  parent?: Device;
  bus?: Bus;
}

/** A `struct device`. Made first, then added to a machine with `DeviceCore.addDevice`, once. */
export class Device {
  readonly name: string;
  readonly parent: Device | undefined;
  readonly bus: Bus | undefined;
  /** Set from before BIND until before UNBOUND, as `dev->driver` is. Only the core changes it. */
  driver: Driver | undefined;
  /** Name of the only driver that may match, whatever its id tables say (`driver_override`). */
  driverOverride: string | undefined;
  /** Its directory, from its addition until after REMOVED. Only the core changes it. */
  kobj: Kobject | undefined;
  /** Deletion has begun; nothing binds or is added below from here on. Only the core changes it. */
  dead = false;
  #children: Set<Device> | undefined;

  constructor(init: DeviceInit) {
    this.name = init.name;
    this.parent = init.parent;
    this.bus = init.bus;
  }

  /** Devices added below, in the order their addition finished. */
  get children(): ReadonlySet<Device> {
    return this.#children ?? NO_CHILDREN;
  }

  /** `device_for_each_child`: stops at the first answer other than undefined and returns it. */
  forEachChild<T>(callback: (child: Device) => T | undefined): T | undefined {
    for (const child of this.children) {
      const answer = callback(child);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** For the core only: `child` joins `klist_children`. */
  linkChild(child: Device): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  /** For the core only. */
  unlinkChild(child: Device): void {
    this.#children?.delete(child);
  }
}

const NO_CHILDREN: ReadonlySet<Device> = new Set();

/** The directory of a device, so that an attribute can tell whose it is (`kobj_to_dev`). */
export class DeviceKobject extends Kobject {
  readonly device: Device;

  constructor(device: Device, parent: Kobject, ktype?: Ktype) {
    super(device.name, parent, ktype);
    this.device = device;
  }
}

/** The device a kobject is the directory of, if it is one (`kobj_to_dev`). */
export function deviceOf(kobj: Kobject): Device | undefined {
  return kobj instanceof DeviceKobject ? kobj.device : undefined;
}

/**
 * A value per device, for rooms above: `const groups = new DeviceSlot<Group>()`. Goes away with the device or the
 * slot, whichever is first.
 */
export class DeviceSlot<T> {
  readonly #values = new WeakMap<Device, T>();

  get(device: Device): T | undefined {
    return this.#values.get(device);
  }

  /** Undefined empties the slot. */
  set(device: Device, value: T | undefined): void {
    if (value === undefined) this.#values.delete(device);
    else this.#values.set(device, value);
  }
}
