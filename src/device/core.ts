/**
 * The device core of one machine: adding and removing devices and drivers, with the bus events in the kernel's order.
 *
 * - add: directory, links, bus list, `add`, then a probe attempt
 * - bind: `dmaConfigure` (an error here ends it without an event), `bind`, probe, `bound`; a failed probe:
 *   `notBound`, then `dmaCleanup`
 * - unbind: `unbind`, `remove`, `dmaCleanup`, `unbound`
 * - delete: `del`, the unbind sequence, `removed`
 */

import { KernelError } from '../kernel/errors.ts';
import type { Kobject } from '../kernel/kobject.ts';
import { NotifierChain } from '../kernel/notifier.ts';
import type { Sysfs } from '../kernel/sysfs.ts';
import { type BindErrorReport, Binding, type MatchGate } from './binding.ts';
import type { Bus, BusEvent } from './bus.ts';
import { BusDirectories } from './bus-directories.ts';
import { type Device, DeviceKobject } from './device.ts';
import type { Driver } from './driver.ts';

export class DeviceCore {
  readonly sysfs: Sysfs;
  /**
   * Told `add` and `removed` of every device, on whatever bus or none, right after its bus was
   * (`device_platform_notify`, `device_platform_notify_remove`). Answers change nothing.
   */
  readonly notifier = new NotifierChain<BusEvent>('devices');
  readonly #devicesDirectory: Kobject;
  readonly #directories: BusDirectories;
  readonly #binding: Binding;
  /** Calls into the core under way; what they triggered is retried when the outermost ends, as a work queue would. */
  #depth = 0;

  /** @param onBindError told of every error that the kernel would only log */
  constructor(sysfs: Sysfs, onBindError: BindErrorReport = () => {}) {
    this.sysfs = sysfs;
    this.#devicesDirectory = sysfs.makePath('/devices');
    this.#directories = new BusDirectories(sysfs.makePath('/bus'), this);
    this.#binding = new Binding(this.#directories, onBindError);
  }

  /**
   * `bus_register`.
   * @throws KernelError EEXIST for a second bus of that name
   */
  addBus(bus: Bus): void {
    this.#directories.addBus(bus);
  }

  /** Ask `gate` before every match from now on, also before driver_override; all gates must agree. */
  addMatchGate(gate: MatchGate): void {
    this.#binding.gates.push(gate);
  }

  removeMatchGate(gate: MatchGate): void {
    const index = this.#binding.gates.indexOf(gate);
    if (index >= 0) this.#binding.gates.splice(index, 1);
  }

  /**
   * `device_add`. Whether a driver takes the device does not matter to the outcome.
   * @throws KernelError EINVAL when it was added before or its bus is not registered, ENODEV when its parent is
   *   being deleted, ENOENT when its parent was never added, EEXIST for a second device of that name on the bus or
   *   under the parent; nothing has changed then
   */
  addDevice(device: Device): void {
    this.#operation(() => {
      this.#createDirectory(device);
      const { bus } = device;
      bus?.linkDevice(device);
      // The kernel does this after the probe; here deleting the parent must find every child it has.
      device.parent?.linkChild(device);
      this.#binding.beforeReady(device, () => {
        bus?.notify('add', device);
        this.notifier.call({ action: 'add', device });
      });
      if (bus?.driversAutoprobe) this.#initialProbe(device);
    });
  }

  /**
   * `device_del` and the last `put_device` of its maker. Children that are left once the driver is gone are deleted
   * before `removed`, the one added last first; the kernel leaves that to whoever added them and would keep them
   * without a directory.
   * @throws KernelError ENODEV when it is not added or being deleted already, EDEADLK when it or a device below is
   *   being bound or unbound further up; nothing has changed then
   */
  deleteDevice(device: Device): void {
    this.#operation(() => {
      if (device.dead || !device.kobj) {
        throw new KernelError('ENODEV', device.name, 'is not added, or being deleted already');
      }
      this.#assertSubtreeUnlocked(device);
      this.#deleteDevice(device);
    });
  }

  /**
   * `driver_register`: tries the devices of the bus, in their order.
   * @throws KernelError EINVAL for a bus that is not registered, EBUSY for a second driver of that name on it,
   *   EDEADLK when a device it matches is being bound or unbound further up; the driver is not registered then
   */
  registerDriver(driver: Driver): void {
    this.#operation(() => {
      const { bus } = driver;
      if (bus.findDriver(driver.name)) {
        throw new KernelError('EBUSY', driver.name, `is already a driver of bus ${bus.name}`);
      }
      this.#directories.addDriver(driver);
      bus.linkDriver(driver);
      if (!bus.driversAutoprobe) return;
      try {
        this.#binding.attachDriver(driver);
      } catch (error) {
        this.#removeDriver(driver);
        throw error;
      }
    });
  }

  /**
   * `driver_unregister`: lets go of its devices, the one bound last first; they are not offered to other drivers.
   * @throws KernelError EINVAL when it is not registered, EDEADLK from inside its own probe or remove
   */
  unregisterDriver(driver: Driver): void {
    this.#operation(() => {
      this.#assertRegistered(driver);
      this.#binding.assertIdle(driver, `unregistering ${driver.name}`);
      this.#removeDriver(driver);
    });
  }

  /**
   * What writing a device's name to the driver's `bind` does: the driver must match, and is then probed.
   * @throws KernelError ENODEV without a match, EBUSY when a driver has the device, EAGAIN where the driver defers,
   *   or what `dmaConfigure` or the probe failed with
   */
  bind(device: Device, driver: Driver): void {
    this.#operation(() => {
      this.#assertRegistered(driver);
      if (device.bus !== driver.bus || !this.#binding.match(device, driver)) {
        const remedy = 'driver_override names the one driver that matches whatever its ids';
        throw new KernelError('ENODEV', device.name, `is not a device for driver ${driver.name}`, remedy);
      }
      this.#binding.bind(device, driver);
    });
  }

  /**
   * `device_driver_detach`: nothing happens without a driver.
   * @throws KernelError EDEADLK when the device is being bound or unbound further up
   */
  unbind(device: Device): void {
    this.#operation(() => this.#binding.unbind(device));
  }

  /**
   * `device_attach`, what writing a device's name to the bus's `drivers_probe` does.
   * @returns whether the device has a driver afterwards
   * @throws KernelError when a match or `dmaConfigure` failed, which ends the search for a driver
   */
  attach(device: Device): boolean {
    return this.#operation(() => this.#binding.attachDevice(device));
  }

  /** Devices bound to a driver, in the order they were (`driver_for_each_device`). */
  devicesOf(driver: Driver): Device[] {
    return this.#binding.devicesOf(driver);
  }

  /** Devices whose driver asked to be tried later, in the order they will be. */
  get deferred(): Device[] {
    return this.#binding.deferred.devices;
  }

  /** `driver_deferred_probe_trigger` on request; also happens whenever a device was bound. */
  probeDeferred(): void {
    this.#operation(() => this.#binding.deferred.trigger());
  }

  #operation<T>(work: () => T): T {
    this.#depth++;
    try {
      return work();
    } finally {
      if (this.#depth === 1) this.#binding.deferred.run((device) => this.#retry(device));
      this.#depth--;
    }
  }

  #retry(device: Device): void {
    if (device.bus?.driversAutoprobe) this.#initialProbe(device);
  }

  /** `device_initial_probe`: errors have been reported and concern nobody else. */
  #initialProbe(device: Device): void {
    try {
      this.#binding.attachDevice(device);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  #createDirectory(device: Device): void {
    const { bus, parent } = device;
    if (device.kobj || device.dead) throw new KernelError('EINVAL', device.name, 'has been added before');
    if (parent?.dead)
      throw new KernelError('ENODEV', device.name, `cannot be added below ${parent.name}, which goes`);
    if (parent && !parent.kobj)
      throw new KernelError('ENOENT', device.name, `its parent ${parent.name} is not added`);
    const kobj = new DeviceKobject(device, parent?.kobj ?? this.#devicesDirectory, bus?.deviceKtype);
    try {
      if (bus) this.#directories.linkToBus(device, kobj, bus);
    } catch (error) {
      kobj.put();
      throw error;
    }
    device.kobj = kobj;
  }

  #assertSubtreeUnlocked(device: Device): void {
    const left = [device];
    for (let next = left.pop(); next; next = left.pop()) {
      this.#binding.assertUnlocked(next, `deleting ${device.name}`);
      for (const child of next.children) left.push(child);
    }
  }

  #deleteDevice(device: Device): void {
    const { bus, kobj, parent } = device;
    if (device.dead || !kobj) return;
    device.dead = true;
    bus?.notify('del', device);
    parent?.unlinkChild(device);
    if (bus) this.#directories.unlinkFromBus(device, kobj, bus);
    bus?.unlinkDevice(device);
    this.#binding.unbind(device);
    this.#binding.deferred.delete(device);
    for (const child of [...device.children].reverse()) this.#deleteDevice(child);
    bus?.notify('removed', device);
    this.notifier.call({ action: 'removed', device });
    kobj.del();
    device.kobj = undefined;
    kobj.put();
  }

  #removeDriver(driver: Driver): void {
    driver.bus.unlinkDriver(driver);
    this.#binding.detachDriver(driver);
    this.#directories.removeDriver(driver);
  }

  #assertRegistered(driver: Driver): void {
    if (this.#directories.hasDriver(driver)) return;
    throw new KernelError('EINVAL', driver.name, `is not a registered driver of bus ${driver.bus.name}`);
  }
}
