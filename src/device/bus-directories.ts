/** `/bus`: the directories of buses and drivers, their links, and the files a user binds and unbinds with. */

import { KernelError } from '../kernel/errors.ts';
import { type Attribute, Kobject, type Ktype } from '../kernel/kobject.ts';
import { type Bus, withoutNewline } from './bus.ts';
import type { Device } from './device.ts';
import type { Driver } from './driver.ts';

/** What the files in these directories ask the core for. */
export interface BindRequests {
  bind(device: Device, driver: Driver): void;
  unbind(device: Device): void;
  attach(device: Device): boolean;
}

class BusKobject extends Kobject {
  readonly bus: Bus;
  readonly devices: Kobject;
  readonly drivers: Kobject;

  constructor(bus: Bus, parent: Kobject, ktype: Ktype) {
    super(bus.name, parent, ktype);
    this.bus = bus;
    this.devices = new Kobject('devices', this);
    this.drivers = new Kobject('drivers', this);
  }
}

class DriverKobject extends Kobject {
  readonly driver: Driver;

  constructor(driver: Driver, parent: Kobject, ktype: Ktype) {
    super(driver.name, parent, ktype);
    this.driver = driver;
  }
}

export class BusDirectories {
  readonly #root: Kobject;
  readonly #busKtype: Ktype;
  readonly #driverKtype: Ktype;
  readonly #buses = new Map<Bus, BusKobject>();
  readonly #drivers = new Map<Driver, DriverKobject>();

  constructor(root: Kobject, requests: BindRequests) {
    this.#root = root;
    this.#busKtype = { attributes: busAttributes(requests) };
    this.#driverKtype = { attributes: driverAttributes(requests) };
  }

  /** @throws KernelError EEXIST for a second bus of that name */
  addBus(bus: Bus): void {
    this.#buses.set(bus, new BusKobject(bus, this.#root, this.#busKtype));
  }

  addDriver(driver: Driver): void {
    const { drivers } = this.#busOf(driver.name, driver.bus);
    this.#drivers.set(driver, new DriverKobject(driver, drivers, this.#driverKtype));
  }

  hasDriver(driver: Driver): boolean {
    return this.#drivers.has(driver);
  }

  removeDriver(driver: Driver): void {
    const kobj = this.#drivers.get(driver);
    this.#drivers.delete(driver);
    kobj?.del();
    kobj?.put();
  }

  /**
   * `/bus/<bus>/devices/<device>` and `<device>/subsystem`, both or neither.
   * @throws KernelError EINVAL for a bus that was not added, EEXIST for a second device of that name on the bus
   */
  linkToBus(device: Device, kobj: Kobject, bus: Bus): void {
    const directory = this.#busOf(device.name, bus);
    directory.devices.createLink(device.name, kobj);
    try {
      kobj.createLink('subsystem', directory);
    } catch (error) {
      directory.devices.removeLink(device.name);
      throw error;
    }
  }

  unlinkFromBus(device: Device, kobj: Kobject, bus: Bus): void {
    kobj.removeLink('subsystem');
    this.#buses.get(bus)?.devices.removeLink(device.name);
  }

  /** `<driver>/<device>` and `<device>/driver`, both or neither (`driver_sysfs_add`). */
  linkToDriver(device: Device, driver: Driver): void {
    const directory = this.#drivers.get(driver);
    if (!directory || !device.kobj) return;
    directory.createLink(device.name, device.kobj);
    try {
      device.kobj.createLink('driver', directory);
    } catch (error) {
      directory.removeLink(device.name);
      throw error;
    }
  }

  /** `driver_sysfs_remove`. */
  unlinkFromDriver(device: Device, driver: Driver): void {
    this.#drivers.get(driver)?.removeLink(device.name);
    device.kobj?.removeLink('driver');
  }

  #busOf(name: string, bus: Bus): BusKobject {
    const directory = this.#buses.get(bus);
    if (directory) return directory;
    throw new KernelError('EINVAL', name, `is for bus ${bus.name}, which is not registered`);
  }
}

function busAttributes(requests: BindRequests): Attribute[] {
  return [
    {
      name: 'drivers_autoprobe',
      mode: 0o644,
      show: (kobj) => `${busOf(kobj).driversAutoprobe ? 1 : 0}\n`,
      store: (kobj, text) => {
        busOf(kobj).driversAutoprobe = text[0] !== '0';
      },
    },
    {
      name: 'drivers_probe',
      mode: 0o200,
      store: (kobj, text) => {
        requests.attach(namedDevice(busOf(kobj), text));
      },
    },
  ];
}

function driverAttributes(requests: BindRequests): Attribute[] {
  return [
    {
      name: 'bind',
      mode: 0o200,
      store: (kobj, text) => {
        const driver = driverOf(kobj);
        requests.bind(namedDevice(driver.bus, text), driver);
      },
    },
    {
      name: 'unbind',
      mode: 0o200,
      store: (kobj, text) => {
        const driver = driverOf(kobj);
        const device = namedDevice(driver.bus, text);
        if (device.driver !== driver) {
          throw new KernelError('ENODEV', device.name, `is not bound to ${driver.name}`);
        }
        requests.unbind(device);
      },
    },
  ];
}

function namedDevice(bus: Bus, text: string): Device {
  const device = bus.findDevice(text);
  if (device) return device;
  throw new KernelError('ENODEV', withoutNewline(text), `is not a device on bus ${bus.name}`);
}

function busOf(kobj: Kobject): Bus {
  if (kobj instanceof BusKobject) return kobj.bus;
  throw new KernelError('ENODEV', kobj.path, 'is not the directory of a bus');
}

function driverOf(kobj: Kobject): Driver {
  if (kobj instanceof DriverKobject) return kobj.driver;
  throw new KernelError('ENODEV', kobj.path, 'is not the directory of a driver');
}
