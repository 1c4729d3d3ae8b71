/** Random lives of isolation groups, with steps that fail now and then, held against what must always be so. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import { takenAboveOrBelow } from './exclusive.ts';
import type { IsolationGroup } from './group.ts';
import { IsolationManager } from './manager.ts';
import { answerOf, IsolationBench, type RuleProvider } from './testing.ts';

const PLACES = [
  ['A1', undefined, 'pci'],
  ['A2', undefined, 'pci'],
  ['B1', 'A1', 'pci'],
  ['o1', 'A1', 'pci'],
  ['s1', 'A1', 'platform'],
  ['s2', 's1', 'platform'],
  ['c1', 'B1', 'card'],
  ['c2', 'B1', 'card'],
  ['n1', 'B1', undefined],
  ['s3', 'n1', 'platform'],
] as const;

const ACTIONS = [
  'plug',
  'plug',
  'plug',
  'unplug',
  'register',
  'unregister',
  'claim',
  'drop',
  'init domain',
  'free domain',
  'join domain',
  'take',
  'give up',
  'allow',
  'forbid',
  'bind',
  'unbind',
  'consolidate',
  'announce',
] as const;
type Action = (typeof ACTIONS)[number];

/** In these a device that cannot be adopted or taken stays without a group, and that is all. */
const SWALLOWS = new Set<Action>(['plug', 'announce', 'register', 'unregister']);

interface Step {
  action: Action;
  who: number;
  which: number;
  failAt: number;
}

/**
 * What a refusal may not change. A second claim is remembered though it is refused; and a provider that is told to
 * let go may use the occasion to free an empty group of its own.
 */
function essence(bench: IsolationBench) {
  const { conflicts: _, top: __, groups, ...rest } = bench.state();
  const kept = groups.filter(({ members, manager: owner }) => members.length > 0 || owner !== undefined);
  return { ...rest, groups: kept.map(({ disputes: ___, ...group }) => group) };
}

class World {
  readonly bench = new IsolationBench();
  readonly isolation = this.bench.isolation;
  readonly buses: Record<string, Bus> = {
    pci: this.bench.bus,
    platform: this.bench.addBus('platform'),
    card: this.bench.addBus('card'),
  };
  readonly providers: [RuleProvider, Bus][];
  /** What the owner of each taken group believes to be in it. */
  readonly believed = new Map<IsolationGroup, Set<Device>>();
  readonly managers = ['one', 'two'].map(
    (name) =>
      new IsolationManager({
        name,
        arrived: (device, group) => void this.believed.get(group)!.add(device),
        departed: (device, group) => void this.believed.get(group)!.delete(device),
      }),
  );
  /** Whose each domain has been. */
  readonly ownerOf = new Map<unknown, IsolationManager>();
  readonly drivers: Driver[];
  iommuLeft = false;

  constructor() {
    const { bench, buses } = this;
    const iommu = bench.provider(
      'iommu',
      ({ name }) => (name.startsWith('o') ? 'outside' : name.charAt(0)),
      bench.ops,
    );
    const card = bench.provider('card', ({ name }) => name, bench.ops);
    const rival = bench.provider('rival', ({ name }) => (name === 'A2' ? 'rival' : undefined), bench.ops);
    // Anything smaller than A and B together is weak.
    iommu.lacks = (devices) =>
      devices.length > 0 && devices.length < 3 ? [{ lack: 'nop2p', why: 'too few' }] : [];
    iommu.segment = (devices) => {
      const all = ['A1', 'A2', 'B1'].flatMap((name) => bench.devices.get(name) ?? []);
      return devices.length === 0 || all.length === 0 ? undefined : { bridge: all[0]!, devices: all };
    };
    this.providers = [
      [iommu, buses.pci!],
      [card, buses.card!],
      [rival, buses.pci!],
    ];
    this.drivers = Object.values(buses).flatMap((bus) => [
      { name: 'host', bus },
      { name: 'user', bus },
    ]);
    for (const driver of this.drivers) {
      driver.bus.driversAutoprobe = false;
      bench.core.registerDriver(driver);
    }
    for (const [provider, bus] of this.providers.slice(0, 2)) this.isolation.registerNotifier(bus, provider);
    for (const who of PLACES.keys()) this.act('plug', who, 0);
  }

  run({ action, who, which, failAt }: Step): void {
    const { bench } = this;
    const before = essence(bench);
    bench.faults.failAt(failAt);
    const answer = answerOf(() => this.act(action, who, which));
    const { fired } = bench.faults;
    bench.faults.disarm();
    if (answer === 'ok') {
      if (fired !== undefined) expect([action, SWALLOWS.has(action)]).toEqual([action, true]);
      return;
    }
    expect([action, answer, essence(bench)]).toEqual([action, answer, before]);
  }

  act(action: Action, who: number, which: number): void {
    const { bench, isolation, managers } = this;
    const [name, above, busName] = PLACES[who % PLACES.length]!;
    const device = bench.devices.get(name);
    if (action === 'plug') {
      const parent = above && bench.devices.get(above);
      if (device || (above && !parent)) return;
      if (busName) bench.device(name, parent, this.buses[busName]);
      else bench.plain(name, parent);
      return;
    }
    const [provider, bus] = this.providers[who % this.providers.length]!;
    const groups = [...isolation.groups.values()];
    const other = groups[which % (groups.length || 1)];
    if (action === 'register') isolation.registerNotifier(bus, provider);
    else if (action === 'unregister') {
      isolation.unregisterNotifier(bus, provider);
      // With its groups still there, so what it kept outside may be adopted now.
      this.iommuLeft ||= provider.name === 'iommu';
    } else if (!device) return;
    else if (action === 'unplug') this.unplug(device);
    else if (action === 'announce') isolation.announce(device);
    else if (action === 'bind') this.bind(device, which);
    else if (action === 'unbind') bench.core.unbind(device);
    else if (action === 'claim' && other) isolation.addDev(other, device);
    else {
      const group = isolation.groupOf(device);
      if (group && other) this.actOn(action, group, other, device, which, managers[which % 2]!);
    }
  }

  /** A driver that got in was let in. */
  bind(device: Device, which: number): void {
    const driver = this.drivers.filter(({ bus }) => bus === device.bus)[which % 2];
    if (driver === undefined) return;
    this.bench.core.bind(device, driver);
    const group = this.isolation.groupOf(device);
    expect(group?.manager === undefined || this.isolation.managerDriver(group, driver)).toBe(true);
  }

  actOn(
    action: Action,
    group: IsolationGroup,
    other: IsolationGroup,
    device: Device,
    which: number,
    owner: IsolationManager,
  ): void {
    const { isolation } = this;
    const driver = this.drivers[which % this.drivers.length]!;
    if (action === 'drop') group.provider.removed?.(device);
    else if (action === 'init domain') isolation.initIommuDomain(group);
    else if (action === 'free domain') isolation.freeIommuDomain(group);
    else if (action === 'join domain') isolation.iommuDomainAddGroup(group, other);
    else if (action === 'take') {
      isolation.accepted = new Set(which % 3 === 0 ? [] : ['nop2p', 'disputed']);
      isolation.initManager(group, owner);
      this.believed.set(group, new Set(group.devices));
    } else if (action === 'give up') isolation.freeManager(group);
    else if (action === 'allow') isolation.managerAddDriver(group, driver);
    else if (action === 'forbid') isolation.managerDelDriver(group, driver);
    else if (action === 'consolidate') {
      isolation.accepted = new Set();
      isolation.consolidate(group);
    }
  }

  unplug(device: Device): void {
    this.bench.core.deleteDevice(device);
    for (const [name, each] of this.bench.devices) if (each.dead) this.bench.devices.delete(name);
  }

  check(): void {
    const { bench, isolation } = this;
    const { sysfs, ops } = bench;
    expect(sysfs.readdir('/isolation')).toEqual([...isolation.groups.keys()].sort());
    const seen = new Set<Device>();
    const domains = new Map<unknown, IsolationGroup[]>();
    for (const [name, group] of isolation.groups) {
      expect(group.name).toBe(name);
      const links = group.devices.map((device) => group.linkName(device)).sort();
      expect(sysfs.readdir(`${group.path}/devices`)).toEqual(links);
      for (const device of group.devices) {
        expect([device.name, seen.has(device)]).toEqual([device.name, false]);
        seen.add(device);
        expect(isolation.groupOf(device)).toBe(group);
        expect(sysfs.realpath(`${device.kobj!.path}/isolation_group`)).toBe(group.path);
        expect(sysfs.realpath(`${group.path}/devices/${group.linkName(device)}`)).toBe(device.kobj!.path);
        expect(ops.attached.get(device)).toBe(group.domain?.handle);
        if (device.bus === undefined) expect(isolation.isAdopted(device)).toBe(false);
        if (device.name.startsWith('o') && isolation.isAdopted(device)) expect(this.iommuLeft).toBe(true);
      }
      if (group.domain) {
        expect(group.domain.groups.has(group)).toBe(true);
        domains.set(group.domain.handle, [...(domains.get(group.domain.handle) ?? []), group]);
      }
      expect(group.manager?.groups.has(group) ?? true).toBe(true);
      if (group.manager) {
        const { manager: owner, devices } = group;
        expect(takenAboveOrBelow(devices, owner, (device) => isolation.groupOf(device))).toBeUndefined();
      }
      if (!group.manager) expect(group.drivers.size).toBe(0);
      if (group.manager) expect(this.believed.get(group)).toEqual(new Set(group.devices));
    }
    for (const [handle, groups] of domains) {
      const owners = new Set(groups.flatMap(({ manager: owner }) => owner ?? []));
      const [owner] = owners;
      expect(owners.size).toBeLessThan(2);
      if (this.ownerOf.has(handle)) expect(owner?.name).toBe(this.ownerOf.get(handle)!.name);
      if (owner) this.ownerOf.set(handle, owner);
    }
    expect(ops.live).toEqual(new Set(domains.keys()));
    for (const device of bench.devices.values()) {
      expect(sysfs.exists(`${device.kobj!.path}/isolation_group`)).toBe(seen.has(device));
      expect(isolation.groupOf(device) !== undefined).toBe(seen.has(device));
    }
    for (const owner of this.managers) {
      const owned = [...owner.groups].flatMap(({ domain }) => domain ?? []);
      expect(new Set(owned).size).toBeLessThan(2);
      for (const group of owner.groups) {
        expect(group.manager).toBe(owner);
        expect(isolation.groups.get(group.name)).toBe(group);
      }
    }
  }

  /** Give everything up, unplug everything: nothing is left. */
  end(): void {
    const { bench, isolation } = this;
    for (const group of [...isolation.groups.values()]) {
      isolation.freeManager(group);
    }
    for (const device of [...bench.devices.values()]) if (!device.dead) this.unplug(device);
    for (const group of [...isolation.groups.values()]) isolation.freeGroup(group);
    expect([bench.ops.live.size, bench.ops.attached.size]).toEqual([0, 0]);
    expect(bench.sysfs.readdir('/isolation')).toEqual([]);
  }
}

test('one group a device, links both ways, one domain an owner, refusals change nothing, nothing leaks', () => {
  const step = fc.record({
    action: fc.constantFrom(...ACTIONS),
    who: fc.nat(40),
    which: fc.nat(40),
    failAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 8 })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const world = new World();
      for (const each of steps) {
        world.run(each);
        world.check();
      }
      world.end();
    }),
    { numRuns: 150 },
  );
});
