/** For tests: a machine with buses, isolation groups, and IOMMU operations that keep account and fail when told to. */

import { Bus } from '../device/bus.ts';
import { DeviceCore } from '../device/core.ts';
import { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import { FaultInjector } from '../iommu/fault-injector.ts';
import { KernelError } from '../kernel/errors.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import type { IsolationGroup } from './group.ts';
import { Isolation, type IsolationOptions } from './isolation.ts';
import type { StatedLack } from './lacks.ts';
import { IsolationManager } from './manager.ts';
import type { IsolationIommuOps, IsolationProvider, ProviderAnswer } from './provider.ts';

interface MockDomain {
  readonly number: number;
}

export class MockOps implements IsolationIommuOps<MockDomain> {
  readonly name: string;
  readonly faults: FaultInjector;
  /** Made and not destroyed. */
  readonly live = new Set<MockDomain>();
  /** Where each device's DMA goes. */
  readonly attached = new Map<Device, MockDomain>();
  /** Every attach and detach, in order. */
  readonly log: string[] = [];
  #made = 0;

  constructor(faults: FaultInjector, name = 'mock') {
    this.faults = faults;
    this.name = name;
  }

  domainInit(): MockDomain {
    this.faults.step('domain init');
    const domain = { number: this.#made++ };
    this.live.add(domain);
    return domain;
  }

  domainDestroy(domain: MockDomain): void {
    if ([...this.attached.values()].includes(domain)) throw new Error('destroyed with devices attached');
    if (!this.live.delete(domain)) throw new Error('destroyed twice');
  }

  attachDev(domain: MockDomain, device: Device): void {
    this.faults.step('attach');
    if (this.attached.has(device)) throw new Error(`${device.name} is attached twice`);
    this.attached.set(device, domain);
    this.log.push(`attach ${device.name}`);
  }

  detachDev(domain: MockDomain, device: Device): void {
    if (this.attached.get(device) !== domain) throw new Error(`${device.name} is not attached there`);
    this.attached.delete(device);
    this.log.push(`detach ${device.name}`);
  }
}

/** A provider by a rule: devices with the same word share a group, `outside` and nothing as in the interface. */
export class RuleProvider implements IsolationProvider {
  readonly name: string;
  /** What it was told: `add x`, `del x`. */
  readonly log: string[] = [];
  readonly groups = new Map<string, IsolationGroup>();
  lacks: (devices: readonly Device[]) => StatedLack[] = () => [];
  why: (group: IsolationGroup) => string | undefined = () => undefined;
  segment: (devices: readonly Device[]) => ReturnType<NonNullable<IsolationProvider['segmentOf']>> = () =>
    undefined;
  readonly #isolation: Isolation;
  readonly #rule: (device: Device) => string | undefined;
  readonly #ops: IsolationIommuOps | undefined;

  constructor(
    isolation: Isolation,
    name: string,
    rule: (device: Device) => string | undefined,
    ops?: IsolationIommuOps,
  ) {
    this.#isolation = isolation;
    this.name = name;
    this.#rule = rule;
    this.#ops = ops;
  }

  added(device: Device): ProviderAnswer {
    this.log.push(`add ${device.name}`);
    const word = this.#rule(device);
    if (word === undefined || word === 'outside') return word;
    const known = this.groups.get(word);
    let group = known;
    if (group === undefined) {
      group = this.#isolation.createGroup(this, word);
      if (this.#ops) this.#isolation.setIommuOps(group, this.#ops);
      this.groups.set(word, group);
    }
    try {
      this.#isolation.addDev(group, device);
    } catch (error) {
      if (known === undefined) this.#drop(group);
      throw error;
    }
    return undefined;
  }

  removed(device: Device): void {
    this.log.push(`del ${device.name}`);
    const group = this.#isolation.groupOf(device);
    if (group?.provider !== this) return;
    this.#isolation.delDev(device);
    this.#drop(group);
  }

  lacksOf(devices: readonly Device[]): StatedLack[] {
    return this.lacks(devices);
  }

  unmanageable(group: IsolationGroup): string | undefined {
    return this.why(group);
  }

  segmentOf(devices: readonly Device[]) {
    return this.segment(devices);
  }

  consolidated(merged: readonly IsolationGroup[], into: IsolationGroup): void {
    for (const [word, group] of this.groups) if (merged.includes(group)) this.groups.set(word, into);
  }

  givenUp(group: IsolationGroup): void {
    this.#drop(group);
  }

  #drop(group: IsolationGroup): void {
    if (group.size > 0 || group.manager !== undefined) return;
    this.#isolation.freeGroup(group);
    for (const [word, each] of this.groups) if (each === group) this.groups.delete(word);
  }
}

/** Devices with the same first letter share a group of that name. */
export const byInitial = (device: Device): string => device.name.charAt(0);

export class IsolationBench {
  readonly sysfs = new Sysfs();
  readonly core = new DeviceCore(this.sysfs);
  readonly faults = new FaultInjector();
  readonly ops = new MockOps(this.faults);
  readonly isolation: Isolation;
  readonly bus: Bus;
  readonly devices = new Map<string, Device>();

  constructor(options: Partial<IsolationOptions> = {}) {
    let uuids = 0;
    this.isolation = new Isolation({
      core: this.core,
      uuid: () => `uuid-${uuids++}`,
      onStep: (what) => this.faults.step(what),
      ...options,
    });
    this.isolation.init();
    this.bus = this.addBus('pci');
  }

  addBus(name: string): Bus {
    const bus = new Bus({ name });
    this.core.addBus(bus);
    return bus;
  }

  device(name: string, parent?: Device, bus: Bus | undefined = this.bus): Device {
    const device = new Device({ name, ...(bus && { bus }), ...(parent && { parent }) });
    this.core.addDevice(device);
    this.devices.set(name, device);
    return device;
  }

  /** A device on no bus. */
  plain(name: string, parent?: Device): Device {
    const device = new Device({ name, ...(parent && { parent }) });
    this.core.addDevice(device);
    this.devices.set(name, device);
    return device;
  }

  provider(
    name: string,
    rule: (device: Device) => string | undefined = byInitial,
    ops?: MockOps,
  ): RuleProvider {
    return new RuleProvider(this.isolation, name, rule, ops);
  }

  /** A group of new devices, formed by a provider that is on no bus. */
  group(name: string, ...devices: string[]): IsolationGroup {
    const group = this.isolation.createGroup({ name: `provider of ${name}` }, name);
    for (const each of devices) this.isolation.addDev(group, this.device(each));
    return group;
  }

  driver(name: string, bus = this.bus): Driver {
    const driver: Driver = { name, bus };
    this.core.registerDriver(driver);
    return driver;
  }

  /** Members by group, groups by name. */
  partition(): Record<string, string[]> {
    return Object.fromEntries(
      [...this.isolation.groups.values()].map((group) => [group.name, group.devices.map(({ name }) => name)]),
    );
  }

  /** Everything a failed call must leave alone; members without order, since one may leave and return. */
  state() {
    const { isolation, sysfs, ops } = this;
    const groups = [...isolation.groups.values()];
    return {
      top: sysfs.readdir('/isolation'),
      groups: groups.map((group) => ({
        name: group.name,
        members: group.devices.map((device) => [device.name, group.linkName(device)]).sort(),
        links: sysfs.readdir(`${group.path}/devices`),
        ops: group.ops?.name,
        domain: group.domain?.handle,
        sharers: group.domain && [...group.domain.groups].map(({ name }) => name),
        manager: group.manager?.name,
        held: group.manager && [...group.manager.groups].map(({ name }) => name),
        drivers: [...group.drivers].map(({ name }) => name),
        disputes: [...group.disputes],
        bridge: group.bridge?.name,
      })),
      devices: [...this.devices.values()].map((device) => ({
        name: device.name,
        group: isolation.groupOf(device)?.name,
        adopted: isolation.isAdopted(device),
        link: device.kobj && sysfs.exists(`${device.kobj.path}/isolation_group`),
        outside: answerWithText(() => isolation.groupToHandOver(device)),
        driver: device.driver?.name,
      })),
      live: [...ops.live].map(({ number }) => number),
      attached: [...ops.attached].map(([device, { number }]) => `${device.name} ${number}`).sort(),
      listeners: this.bus.notifier.size,
      providers: isolation.providersOf(this.bus).map(({ name }) => name),
      conflicts: isolation.conflicts.length,
    };
  }
}

export function manager(name = 'vfio', log?: string[]): IsolationManager {
  return new IsolationManager({
    name,
    arrived: (device, group) => void log?.push(`${device.name} arrived in ${group.name}`),
    departed: (device, group) => void log?.push(`${device.name} left ${group.name}`),
  });
}

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

/** What a call is refused with in words, or `ok`. */
export function answerWithText(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}
