/** One device at a time: how it finds its IOMMU and its group, and how it leaves again. */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { Mutex } from '../kernel/lock.ts';
import { DeviceCalls } from './device-calls.ts';
import type { DeviceIommu } from './device-state.ts';
import type { IommuInstance } from './driver.ts';
import type { Group } from './group.ts';
import type { InstanceDirectory } from './instance-sysfs.ts';

/** What the core keeps of a registered IOMMU. */
export interface Registered {
  directory: InstanceDirectory;
  /** The one bus it was registered for. */
  bus: Bus | undefined;
  /** The group all devices of the IOMMU share, with a reference of its own (`singleton_group`). */
  singleton: Group | undefined;
}

export abstract class DeviceProbe extends DeviceCalls {
  /** In order of registration. */
  protected readonly registered = new Map<IommuInstance, Registered>();
  readonly #probeLock = new Mutex('iommu_probe_device_lock');

  abstract groupAlloc(): Group;

  /**
   * `iommu_probe_device`: the device finds its IOMMU and its group. One that has a group keeps it, and its driver is
   * told again that the default domain is in place.
   *
   * @throws KernelError ENODEV no IOMMU translates it; else what driver, policy or attaching refused. Nothing but
   *   `noGroupReason` has changed then
   */
  probeDevice(device: Device): void {
    this.#probe(device);
    this.instanceOf(device)?.driver.probeFinalize?.(device);
  }

  /** BUS_NOTIFY_ADD_DEVICE. Before any IOMMU is there nothing can come of it; its registration walks the bus. */
  deviceAdded(device: Device): void {
    if (this.registered.size > 0) this.probeDevice(device);
  }

  /** `iommu_release_device`: the device leaves its group, if it is in one. */
  releaseDevice(device: Device): void {
    this.groupOf(device)?.removeDevice(device);
    this.states.forget(device);
  }

  /** BUS_NOTIFY_REMOVED_DEVICE. Under the group's lock the kernel would hang; here whoever holds it is told. */
  deviceRemoved(device: Device): void {
    try {
      this.releaseDevice(device);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.messages.err(device.name, error.message);
      this.groupOf(device)?.leaveAfterWalk(device, error);
    }
  }

  /** `iommu_device_unlink`. */
  unlinkInstance(device: Device, state: DeviceIommu): void {
    if (state.instance) this.registered.get(state.instance)?.directory.unlink(device);
  }

  protected override whyNotCovered(device: Device): string[] {
    return Array.from(
      this.registered.keys(),
      (instance) => `${instance.name}: ${instance.whyNotCovered?.(device) ?? 'does not translate it'}`,
    );
  }

  /** `bus_iommu_probe`: groups get their default domain once all their members are known. */
  protected probeBus(bus: Bus, instance: IommuInstance): void {
    const pending = new Set<Group>();
    const devices = bus.devices;
    for (const device of instance.probeOrder?.(bus, devices) ?? devices) {
      try {
        this.#probe(device, pending);
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'ENODEV') throw error;
      }
    }
    for (const group of pending) {
      group.finishProbe();
      for (const device of group.devices) this.instanceOf(device)?.driver.probeFinalize?.(device);
    }
  }

  /** `__iommu_probe_device` */
  #probe(device: Device, pending?: Set<Group>): void {
    using _ = this.#probeLock.hold(`probing ${device.name}`);
    if (this.groupOf(device)) return;
    const instance = this.#instanceFor(device);
    const state = this.states.of(device);
    if (instance === undefined) {
      if (this.registered.size > 0) state.noGroup = { because: 'not-covered', details: [] };
      throw new KernelError('ENODEV', device.name, 'no IOMMU translates it');
    }
    try {
      this.#initDevice(device, state, instance);
      this.#join(device, state, pending);
    } catch (error) {
      this.states.forget(device);
      if (error instanceof KernelError) {
        this.states.of(device).noGroup = { because: 'refused', iommu: instance.name, error };
      }
      throw error;
    }
  }

  /** One that is there for the device's bus alone comes before those that take whatever they find. */
  #instanceFor(device: Device): IommuInstance | undefined {
    let found: IommuInstance | undefined;
    for (const [instance, { bus }] of this.registered) {
      if (bus === undefined ? found !== undefined : bus !== device.bus) continue;
      if (!instance.covers(device)) continue;
      if (bus !== undefined) return instance;
      found = instance;
    }
    return found;
  }

  /** `iommu_init_device`: the driver, the links and the group, or nothing of it. */
  #initDevice(device: Device, state: DeviceIommu, instance: IommuInstance): void {
    const { driver } = instance;
    driver.probeDevice?.(device, instance);
    try {
      const registered = this.registered.get(instance)!;
      registered.directory.link(device);
      try {
        state.group = this.#deviceGroup(device, state, instance, registered);
      } catch (error) {
        registered.directory.unlink(device);
        throw error;
      }
    } catch (error) {
      driver.releaseDevice?.(device);
      throw error;
    }
    state.instance = instance;
    state.noGroup = undefined;
    state.maxPasids = driver.maxPasids?.(device) ?? 0;
    state.attachDeferred = driver.isAttachDeferred?.(device) ?? false;
  }

  /** `ops->device_group`: with a reference that becomes the device's. */
  #deviceGroup(device: Device, state: DeviceIommu, instance: IommuInstance, registered: Registered): Group {
    const policy = instance.driver.groupingPolicy(device);
    const { group, reason } = policy.deviceGroup(device, (other) => this.groupOf(other));
    state.reason = reason;
    if (group) return group.get();
    if (!reason.steps.some(({ step }) => step === 'instance')) return this.groupAlloc();
    // The group of an IOMMU outlives its devices: it is found again when all have gone and one returns.
    registered.singleton ??= this.groupAlloc();
    return registered.singleton.get();
  }

  #join(device: Device, state: DeviceIommu, pending: Set<Group> | undefined): void {
    const group = state.group!;
    try {
      group.adopt(device, state, pending);
    } catch (error) {
      group.put();
      throw error;
    }
    group.announce('addDevice', device);
  }
}
