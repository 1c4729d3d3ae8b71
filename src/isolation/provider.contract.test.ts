/** What every provider promises, held against each of them. */

import { describe, expect, test } from 'vitest';
import type { Bus } from '../device/bus.ts';
import { Device } from '../device/device.ts';
import { DomainType } from '../iommu/domain.ts';
import { MockDriver, MockIommu } from '../iommu/drivers/mock.ts';
import type { FaultInjector } from '../iommu/fault-injector.ts';
import { Bench, byInitial as iommuByInitial } from '../iommu/testing.ts';
import { BusProvider } from './bus-provider.ts';
import { IommuProvider } from './iommu-provider.ts';
import { Isolation } from './isolation.ts';
import { LACKS } from './lacks.ts';
import type { OwnGroups } from './own-groups.ts';
import { SegmentProvider } from './segment-provider.ts';
import { answerOf, IsolationBench, manager } from './testing.ts';

/** A machine for a provider: two buses, a bridge, and the means to look at what is attached. */
interface Stage {
  isolation: Isolation;
  provider: OwnGroups;
  buses: Bus[];
  bridge: Device;
  faults: FaultInjector;
  add(device: Device): void;
  remove(device: Device): void;
  /** Where the DMA of a device goes, if not where it went at first. */
  domainOf(device: Device): unknown;
  /** Domains that were made for groups and not destroyed. */
  live(): number;
}

function plainStage(make: (bench: IsolationBench, bridge: Device) => OwnGroups): Stage {
  const bench = new IsolationBench();
  const bridge = bench.plain('bridge');
  return {
    isolation: bench.isolation,
    provider: make(bench, bridge),
    buses: [bench.bus, bench.addBus('second')],
    bridge,
    faults: bench.faults,
    add: (device) => bench.core.addDevice(device),
    remove: (device) => bench.core.deleteDevice(device),
    domainOf: (device) => bench.ops.attached.get(device),
    live: () => bench.ops.live.size,
  };
}

function iommuStage(): Stage {
  const bench = new Bench({ defaultType: DomainType.Identity });
  const driver = new MockDriver({ policy: iommuByInitial });
  // One account of steps for both, so that failing the n-th means the n-th of either.
  const { faults } = driver;
  const isolation = new Isolation({ core: bench.core, onStep: (what) => faults.step(what) });
  isolation.init();
  bench.iommu.registerDevice(new MockIommu({ driver }));
  const bridge = new Device({ name: 'bridge' });
  bench.core.addDevice(bridge);
  return {
    isolation,
    provider: new IommuProvider({ isolation, iommu: bench.iommu }),
    buses: [bench.bus, bench.addBus('second')],
    bridge,
    faults,
    add: (device) => bench.core.addDevice(device),
    remove: (device) => bench.core.deleteDevice(device),
    domainOf: (device) =>
      driver.attached.get(device)?.type === DomainType.Identity ? undefined : driver.attached.get(device),
    live: () => [...driver.live].filter(({ type }) => type === DomainType.Unmanaged).length,
  };
}

/** One row a provider: how it is made, and the partition of the devices A1 A2 (first bus), A3 b1 (second bus). */
const CONTRACTS: { name: string; stage: () => Stage; partition: string[]; names: (string | RegExp)[] }[] = [
  {
    name: 'IOMMU subsystem',
    stage: iommuStage,
    partition: ['A1 A2', 'A3', 'b1'],
    names: ['A1', 'A3', 'b1'],
  },
  {
    name: 'bridge that isolates its segment',
    stage: () => plainStage(({ isolation, ops }, bridge) => new SegmentProvider({ isolation, bridge, ops })),
    partition: ['A1 A2 A3 b1'],
    names: ['bridge'],
  },
  {
    name: 'bus whose devices are isolated one by one',
    stage: () => plainStage(({ isolation, ops }) => new BusProvider({ isolation, name: 'bus', ops })),
    partition: ['A1', 'A2', 'A3', 'b1'],
    names: [/^uuid-/, /^uuid-/, /^uuid-/, /^uuid-/],
  },
];

const partition = ({ isolation }: Stage): string[] =>
  [...isolation.groups.values()].map(({ devices }) => devices.map(({ name }) => name).join(' ')).sort();

function devices(on: Stage): Device[] {
  const [first, second] = on.buses as [Bus, Bus];
  const places: [string, Bus][] = [
    ['A1', first],
    ['A2', first],
    ['A3', second],
    ['b1', second],
  ];
  return places.map(([name, bus]) => new Device({ name, bus, parent: on.bridge }));
}

describe.each(CONTRACTS)('provider: $name', ({ stage, partition: expected, names }) => {
  function started(): { on: Stage; all: Device[] } {
    const on = stage();
    on.provider.start(on.buses);
    const all = devices(on);
    for (const device of all) on.add(device);
    return { on, all };
  }

  test('forms the same groups of devices that are there and of devices that come', () => {
    const { on } = started();
    expect(partition(on)).toEqual(expected);
    const before = stage();
    for (const device of devices(before)) before.add(device);
    before.provider.start(before.buses);
    expect(partition(before)).toEqual(expected);
  });

  test('names its groups as it says', () => {
    const { on } = started();
    const given = [...on.isolation.groups.keys()];
    expect(given.length).toBe(names.length);
    for (const [index, name] of given.entries()) expect(name).toMatch(names[index]!);
  });

  test('a device that goes leaves, with the last one its group goes, and a returning one is taken again', () => {
    const { on, all } = started();
    for (const device of all) on.remove(device);
    expect(on.isolation.groups.size).toBe(0);
    for (const device of devices(on)) on.add(device);
    expect(partition(on)).toEqual(expected);
  });

  test('lets go of everything when it stops, and can start again', () => {
    const { on, all } = started();
    on.provider.stop();
    expect(on.isolation.groups.size).toBe(0);
    expect(all.every((device) => on.isolation.groupOf(device) === undefined)).toBe(true);
    expect(on.buses.flatMap((bus) => on.isolation.providersOf(bus))).toEqual([]);
    on.provider.start(on.buses);
    expect(partition(on)).toEqual(expected);
  });

  test('keeps an empty group that was handed over until it is given up', () => {
    const { on, all } = started();
    on.isolation.accepted = new Set(Object.keys(LACKS) as (keyof typeof LACKS)[]);
    const group = on.isolation.groupOf(all[3]!)!;
    on.isolation.initManager(group, manager());
    for (const device of all) on.remove(device);
    expect([...on.isolation.groups.values()]).toEqual([group]);
    on.isolation.freeManager(group);
    expect(on.isolation.groups.size).toBe(0);
  });

  test('states lacks that there are, with a reason', () => {
    const { on } = started();
    for (const group of on.isolation.groups.values()) {
      for (const { lack, why } of on.isolation.lacksOf(group)) {
        expect(Object.keys(LACKS)).toContain(lack);
        expect(why).not.toBe('');
      }
    }
  });

  test('its operations attach a group and a joining one to one domain, and everything goes back', () => {
    const { on } = started();
    const [first, ...others] = on.isolation.groups.values();
    on.isolation.initIommuDomain(first!);
    for (const other of others) on.isolation.iommuDomainAddGroup(first!, other);
    const members = [...on.isolation.groups.values()].flatMap((group) => group.devices);
    expect(new Set(members.map((device) => on.domainOf(device))).size).toBe(1);
    expect(on.domainOf(members[0]!)).toBeDefined();
    for (const group of on.isolation.groups.values()) on.isolation.freeIommuDomain(group);
    expect(members.map((device) => on.domainOf(device))).toEqual(members.map(() => undefined));
    expect(on.live()).toBe(0);
  });

  test('a device that comes and goes while its group has a domain is attached and detached', () => {
    const { on, all } = started();
    for (const group of on.isolation.groups.values()) on.isolation.initIommuDomain(group);
    const again = new Device({ name: 'A9', bus: on.buses[0]!, parent: on.bridge });
    on.add(again);
    expect(on.domainOf(again)).toBe(on.isolation.groupOf(again)?.domain?.handle);
    on.remove(again);
    for (const device of all) on.remove(device);
    expect(on.isolation.groups.size).toBe(0);
    expect(on.live()).toBe(0);
  });

  test('starting fails at every step in turn: no groups, no devices in any, on no bus', () => {
    for (let n = 1; ; n++) {
      const on = stage();
      const all = devices(on);
      for (const device of all) on.add(device);
      on.faults.failAt(n);
      const answer = answerOf(() => on.provider.start(on.buses));
      if (on.faults.fired === undefined) {
        expect(answer).toBe('ok');
        expect(n).toBeGreaterThan(10);
        return;
      }
      expect(answer).toBe('ENOMEM');
      expect(on.isolation.groups.size).toBe(0);
      expect(all.every((device) => on.isolation.groupOf(device) === undefined)).toBe(true);
      expect(on.buses.flatMap((bus) => on.isolation.providersOf(bus))).toEqual([]);
      on.provider.start(on.buses);
      expect(partition(on)).toEqual(expected);
    }
  });

  test('a domain fails at every step in turn: every device is where it was', () => {
    for (let n = 1; ; n++) {
      const { on, all } = started();
      on.faults.failAt(n);
      const group = on.isolation.groupOf(all[0]!)!;
      const answer = answerOf(() => on.isolation.initIommuDomain(group));
      if (on.faults.fired === undefined) {
        expect(answer).toBe('ok');
        return;
      }
      expect(answer).toBe('ENOMEM');
      expect([group.domain, ...all.map((device) => on.domainOf(device))]).toEqual(Array(5).fill(undefined));
      expect(on.live()).toBe(0);
      on.faults.disarm();
      on.isolation.initIommuDomain(group);
    }
  });
});

test('a segment says what it lacks, a bus says what is outside', () => {
  const bench = new IsolationBench();
  const bridge = bench.plain('host bridge');
  const lacks = [{ lack: 'nomsi' as const, why: 'interrupts are written to memory' }];
  new SegmentProvider({ isolation: bench.isolation, bridge, lacks }).start([bench.bus]);
  const inside = bench.device('inside', bridge);
  const elsewhere = bench.device('elsewhere');
  expect(bench.isolation.lacksOf(bench.isolation.groupOf(inside)!)).toEqual(lacks);
  expect(bench.isolation.groupOf(elsewhere)).toBeUndefined();
  const bus = bench.addBus('css');
  new BusProvider({ isolation: bench.isolation, name: 'css', isolates: ({ name }) => name !== 'raw' }).start([
    bus,
  ]);
  expect(bench.isolation.groupOf(bench.device('raw', inside, bus))).toBeUndefined();
});
