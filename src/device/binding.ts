/** Binding and unbinding: what drivers/base/dd.c does between one device and one driver. */

import { type ErrnoName, KernelError } from '../kernel/errors.ts';
import type { BusDirectories } from './bus-directories.ts';
import { DeferredProbes } from './deferred-probe.ts';
import type { Device } from './device.ts';
import { DeviceLocks } from './device-locks.ts';
import type { Driver } from './driver.ts';

/** Whether a driver may be considered for a device at all; asked before driver_override and the bus. */
export type MatchGate = (device: Device, driver: Driver) => boolean;

/** An error nobody is handed: the kernel only logs it. */
export interface BindError {
  device: Device;
  driver: Driver;
  during: 'match' | 'dmaConfigure' | 'links' | 'probe' | 'remove' | 'dmaCleanup';
  error: KernelError;
}

export type BindErrorReport = (failure: BindError) => void;

/** Why a device did not bind. `final`: no other driver is tried after it. */
interface Failure {
  error: KernelError;
  final: boolean;
}

export class Binding {
  readonly deferred = new DeferredProbes();
  readonly gates: MatchGate[] = [];
  readonly #directories: BusDirectories;
  readonly #report: BindErrorReport;
  readonly #boundTo = new Map<Driver, Set<Device>>();
  readonly #locks = new DeviceLocks();
  /** Devices whose `add` event is still on its way; they are probed once it is over. */
  readonly #notReady = new Set<Device>();

  constructor(directories: BusDirectories, report: BindErrorReport) {
    this.#directories = directories;
    this.#report = report;
  }

  /** Devices bound to a driver, in the order they were. */
  devicesOf(driver: Driver): Device[] {
    return [...(this.#boundTo.get(driver) ?? [])];
  }

  /** Keep probes off a device while its addition is announced (`dev_set_ready_to_probe` comes after). */
  beforeReady(device: Device, announce: () => void): void {
    this.#notReady.add(device);
    try {
      announce();
    } finally {
      this.#notReady.delete(device);
    }
  }

  /** `driver_match_device`: the gates, then driver_override, then the bus or else the driver. */
  match(device: Device, driver: Driver): boolean {
    if (!this.gates.every((gate) => gate(device, driver))) return false;
    if (device.driverOverride !== undefined) return device.driverOverride === driver.name;
    if (driver.bus.match) return driver.bus.match(device, driver);
    return driver.match?.(device) ?? true;
  }

  /**
   * `device_attach`: try the drivers of its bus in order until one binds.
   * @returns whether the device has a driver afterwards
   * @throws KernelError when a driver's match or the bus's DMA set-up fails, which ends the search
   */
  attachDevice(device: Device): boolean {
    using _ = this.#locks.hold(device, 'device_attach');
    if (device.dead || !device.bus) return false;
    if (device.driver) return true;
    device.bus.forEachDriver((driver) => {
      const matched = this.#tryMatch(device, driver);
      if (matched instanceof KernelError) throw matched;
      if (!matched) return undefined;
      const failure = this.#probeOrDefer(device, driver);
      if (failure?.final) throw failure.error;
      return failure ? undefined : driver;
    });
    return device.driver !== undefined;
  }

  /**
   * `driver_attach`: try the driver with every device of its bus; what goes wrong with one does not concern others.
   * @throws KernelError EDEADLK when a device it matches is being probed further up
   */
  attachDriver(driver: Driver): void {
    driver.bus.forEachDevice((device) => {
      if (this.#tryMatch(device, driver) !== true) return;
      using _ = this.#locks.hold(device, `driver_attach of ${driver.name}`);
      this.#probeOrDefer(device, driver);
    });
  }

  /**
   * `device_driver_attach`, for a user's request: nothing is deferred.
   * @throws KernelError ENODEV, EBUSY, EAGAIN where the driver asked to be tried later, or what the probe failed with
   */
  bind(device: Device, driver: Driver): void {
    using _ = this.#locks.hold(device, `binding to ${driver.name}`);
    const failure = this.#probeDevice(device, driver);
    if (!failure) return;
    if (failure.error.code !== 'EPROBE_DEFER') throw failure.error;
    throw new KernelError(
      'EAGAIN',
      device.name,
      `${driver.name} cannot take it yet: ${failure.error.message}`,
    );
  }

  /** `device_release_driver`: nothing happens without a driver. */
  unbind(device: Device): void {
    using _ = this.#locks.hold(device, 'device_release_driver');
    const { driver, bus } = device;
    if (!driver || !bus) return;
    this.#directories.unlinkFromDriver(device, driver);
    bus.notify('unbind', device);
    const removing = this.#attempt(device, driver, 'remove', () => driver.remove?.(device));
    const cleaning = this.#cleanUp(device, driver);
    this.#boundTo.get(driver)?.delete(device);
    bus.notify('unbound', device);
    throwIfBug(removing);
    throwIfBug(cleaning);
  }

  /** `driver_detach`: the device bound last is let go first. */
  detachDriver(driver: Driver): void {
    for (const device of this.devicesOf(driver).reverse()) {
      if (device.driver === driver) this.unbind(device);
    }
    this.#boundTo.delete(driver);
  }

  /**
   * Guard for what would wait on a device that is being bound or unbound further up.
   * @throws KernelError EDEADLK
   */
  assertUnlocked(device: Device, place: string): void {
    this.#locks.assertFree(device, place);
  }

  /** As `assertUnlocked`, for every device the driver is being bound to or unbound from. */
  assertIdle(driver: Driver, place: string): void {
    for (const device of this.#locks.devices())
      if (device.driver === driver) this.assertUnlocked(device, place);
  }

  /** @returns the error instead of throwing it: a failed match defers the device or is only logged. */
  #tryMatch(device: Device, driver: Driver): boolean | KernelError {
    try {
      return this.match(device, driver);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EPROBE_DEFER') this.#defer(device);
      this.#report({ device, driver, during: 'match', error });
      return error;
    }
  }

  /** `driver_probe_device`. */
  #probeOrDefer(device: Device, driver: Driver): Failure | undefined {
    const failure = this.#probeDevice(device, driver);
    if (failure?.error.code === 'EPROBE_DEFER') this.#defer(device);
    return failure;
  }

  #defer(device: Device): void {
    if (!this.#notReady.has(device)) this.deferred.add(device);
  }

  /** `__driver_probe_device`. */
  #probeDevice(device: Device, driver: Driver): Failure | undefined {
    if (device.dead || !device.kobj) return refusal('ENODEV', device, 'is not added, or being deleted');
    if (device.driver) return refusal('EBUSY', device, `is already bound to ${device.driver.name}`);
    if (this.#notReady.has(device)) return refusal('EPROBE_DEFER', device, 'is still being added');
    const failure = this.#reallyProbe(device, driver);
    if (!failure) return undefined;
    const { error, final } = failure;
    if (error instanceof KernelError) return { error, final };
    throw error;
  }

  /** `really_probe`. A bug in a driver takes the way of a failed probe too, so nothing stays half bound. */
  #reallyProbe(device: Device, driver: Driver): { error: unknown; final: boolean } | undefined {
    const { bus } = driver;
    device.driver = driver;
    const dma = this.#attempt(device, driver, 'dmaConfigure', () => bus.dmaConfigure?.(device, driver));
    if (dma) {
      device.driver = undefined;
      return { error: dma.error, final: true };
    }
    bus.notify('bind', device);
    const links = this.#attempt(device, driver, 'links', () =>
      this.#directories.linkToDriver(device, driver),
    );
    const probe = links ?? this.#attempt(device, driver, 'probe', () => driver.probe?.(device));
    if (!probe) {
      this.#bound(device, driver);
      return undefined;
    }
    if (!links) this.#directories.unlinkFromDriver(device, driver);
    bus.notify('notBound', device);
    this.#cleanUp(device, driver);
    return { error: probe.error, final: links !== undefined };
  }

  /** `driver_bound`. */
  #bound(device: Device, driver: Driver): void {
    const devices = this.#boundTo.get(driver) ?? new Set();
    this.#boundTo.set(driver, devices.add(device));
    this.deferred.delete(device);
    this.deferred.trigger();
    driver.bus.notify('bound', device);
  }

  #cleanUp(device: Device, driver: Driver): Attempt {
    const cleaning = this.#attempt(device, driver, 'dmaCleanup', () =>
      driver.bus.dmaCleanup?.(device, driver),
    );
    device.driver = undefined;
    return cleaning;
  }

  /** Run a step that may fail; what it threw is reported and returned. */
  #attempt(device: Device, driver: Driver, during: BindError['during'], step: () => void): Attempt {
    try {
      step();
      return undefined;
    } catch (error) {
      if (error instanceof KernelError) this.#report({ device, driver, during, error });
      return { error };
    }
  }
}

/** What a step threw, if it did. */
type Attempt = { error: unknown } | undefined;

function throwIfBug(attempt: Attempt): void {
  if (attempt && !(attempt.error instanceof KernelError)) throw attempt.error;
}

function refusal(code: ErrnoName, device: Device, problem: string): Failure {
  return { error: new KernelError(code, device.name, problem), final: true };
}
