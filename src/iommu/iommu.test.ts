import { describe, expect, test } from 'vitest';
import { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { DomainType } from './domain.ts';
import type { IommuInstance } from './driver.ts';
import { MockDriver, MockIommu, type MockOptions } from './drivers/mock.ts';
import { SingleGrouping } from './grouping/single.ts';
import type { Message } from './messages.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

const mock = (options: MockOptions = {}) =>
  new MockIommu({ driver: new MockDriver({ policy: byInitial, ...options }) });
const unit = (name: string, initial: string, driver: MockDriver) =>
  new MockIommu({ name, driver, covers: (device) => device.name.startsWith(initial) });

test('iommu_probe_device for a device that has a group: it stays, and the driver is told again', () => {
  const bench = new Bench();
  const seen: string[] = [];
  const driver = Object.assign(new MockDriver(), { probeFinalize: ({ name }: Device) => seen.push(name) });
  const device = bench.device('a');
  bench.iommu.registerDevice(new MockIommu({ driver }));
  const before = bench.iommu.groupOf(device);
  bench.iommu.probeDevice(device);
  expect(seen).toEqual(['a', 'a']);
  expect(bench.iommu.groupOf(device)).toBe(before);
});

describe('grouping.md 1: registering an IOMMU', () => {
  test('walks buses in the kernel’s order whatever order they were added in, devices in list order', () => {
    const bench = new Bench();
    const [own, cdx, amba, pci] = ['selftest', 'cdx', 'amba', 'pci'].map((name) => bench.addBus(name));
    bench.device('e', undefined, own);
    bench.device('d', undefined, cdx);
    bench.device('c', undefined, amba);
    bench.device('b2', undefined, pci);
    bench.device('b1', undefined, pci);
    bench.device('a');
    bench.iommu.registerDevice(mock());
    expect(bench.partition()).toEqual([['a'], ['b2'], ['b1'], ['c'], ['d'], ['e']]);
  });

  test('the order on a bus is the driver’s choice, and what it leaves out is not probed', () => {
    const bench = new Bench();
    const [, b] = bench.devices('a', 'b', 'c');
    const iommu: IommuInstance = Object.assign(mock(), {
      probeOrder: (_: unknown, devices: readonly Device[]) => [...devices].reverse().filter((d) => d !== b),
    });
    bench.iommu.registerDevice(iommu);
    expect(bench.partition()).toEqual([['c'], ['a']]);
    expect(bench.iommu.noGroupReason(b!)).toEqual({ because: 'never-probed' });
  });

  test('one registered for a bus has what comes to that bus, and nothing else, whoever was there before', () => {
    const bench = new Bench();
    const own = bench.addBus('own');
    bench.iommu.registerDevice(new MockIommu({ name: 'all', driver: new MockDriver() }));
    const ofBus = new MockIommu({ name: 'of-bus', driver: new MockDriver() });
    bench.iommu.registerDevice(ofBus, own);
    const there = bench.device('there', undefined, own);
    const elsewhere = bench.device('elsewhere');
    expect(bench.iommu.instanceOf(there)?.name).toBe('of-bus');
    expect(bench.iommu.instanceOf(elsewhere)?.name).toBe('all');
    bench.iommu.unregisterDevice(ofBus);
    expect(bench.iommu.groupOf(there)).toBeUndefined();
  });

  test('first registered IOMMU that covers a device has it; a later one takes what is left', () => {
    const bench = new Bench();
    const [a, b, c] = bench.devices('a', 'b', 'c');
    const driver = new MockDriver();
    const first = unit('u0', 'b', driver);
    const all = new MockIommu({ name: 'u1', driver });
    bench.iommu.registerDevice(first);
    expect(bench.partition()).toEqual([['b']]);
    expect(bench.iommu.noGroupReason(a!)).toEqual({
      because: 'not-covered',
      details: ['u0: does not translate it'],
    });
    bench.iommu.registerDevice(all);
    expect(bench.partition()).toEqual([['b'], ['a'], ['c']]);
    expect([a, b, c].map((device) => bench.iommu.instanceOf(device!)?.name)).toEqual(['u1', 'u0', 'u1']);
    expect(bench.iommu.noGroupReason(a!)).toBeUndefined();
  });

  test('what an IOMMU says of a device it does not translate is kept', () => {
    const bench = new Bench();
    const a = bench.device('a');
    bench.iommu.registerDevice(
      Object.assign(unit('dmar0', 'x', new MockDriver()), { whyNotCovered: () => 'no scope names it' }),
    );
    expect(bench.iommu.noGroupReason(a)).toEqual({
      because: 'not-covered',
      details: ['dmar0: no scope names it'],
    });
  });

  test('ENODEV is ignored', () => {
    const bench = new Bench();
    const [a] = bench.devices('a', 'b');
    const probe = (device: Device) => {
      if (device === a) throw new KernelError('ENODEV', 'a', 'not mine');
    };
    bench.iommu.registerDevice(mock({ probe }));
    expect(bench.partition()).toEqual([['b']]);
    expect(bench.iommu.noGroupReason(a!)).toMatchObject({ because: 'refused', error: { code: 'ENODEV' } });
  });

  test('any other error ends the walk and unregisters the IOMMU, with all its groups', () => {
    const bench = new Bench();
    const [a, b, c] = bench.devices('a', 'b', 'c');
    const probe = (device: Device) => {
      if (device === b) throw new KernelError('EINVAL', 'b', 'two stream ids');
    };
    const iommu = mock({ probe });
    expect(answerOf(() => bench.iommu.registerDevice(iommu))).toBe('EINVAL');
    expect(bench.iommu.instances).toEqual([]);
    expect(bench.partition()).toEqual([]);
    expect([a, b, c].map((device) => bench.iommu.noGroupReason(device!)?.because)).toEqual([
      'iommu-gone',
      'refused',
      'never-probed',
    ]);
    expect(bench.sysfs.readdir('/class/iommu')).toEqual([]);
    expect(iommu.driver.probed.size + iommu.driver.live.size).toBe(0);
    bench.tracker.assertNone();
  });

  test('groups of other IOMMUs survive that', () => {
    const bench = new Bench();
    bench.devices('a', 'b');
    const driver = new MockDriver();
    bench.iommu.registerDevice(unit('u0', 'a', driver));
    const probe = () => {
      throw new KernelError('ENOMEM', 'b', 'no memory');
    };
    const failing = new MockIommu({ name: 'u1', driver: new MockDriver({ probe }) });
    expect(answerOf(() => bench.iommu.registerDevice(failing))).toBe('ENOMEM');
    expect(bench.partition()).toEqual([['a']]);
  });

  test('registered once, under a name of its own', () => {
    const bench = new Bench();
    const iommu = mock();
    bench.iommu.registerDevice(iommu);
    expect(answerOf(() => bench.iommu.registerDevice(iommu))).toBe('EEXIST');
    expect(answerOf(() => bench.iommu.registerDevice(mock()))).toBe('EEXIST');
    expect(bench.iommu.instances).toEqual([iommu]);
  });

  test('for one bus only (iommu_device_register_bus)', () => {
    const bench = new Bench();
    const other = bench.addBus('other');
    bench.device('a');
    bench.device('b', undefined, other);
    bench.iommu.registerDevice(mock(), other);
    expect(bench.partition()).toEqual([['b']]);
  });
});

describe('grouping.md 1: one device', () => {
  test('arriving later it is probed before its driver; failing, it simply has no group', () => {
    const bench = new Bench();
    const driver = new MockDriver();
    bench.iommu.registerDevice(new MockIommu({ driver }));
    const groups: (number | undefined)[] = [];
    bench.core.registerDriver({
      name: 'nic',
      bus: bench.bus,
      probe: (device) => void groups.push(bench.iommu.groupOf(device)?.id),
    });
    bench.device('a');
    expect(groups).toEqual([0]);
    driver.faults.failAt(1);
    const b = bench.device('b');
    expect(groups).toEqual([0, undefined]);
    expect(bench.iommu.noGroupReason(b)).toMatchObject({ because: 'refused', error: { code: 'ENOMEM' } });
    bench.iommu.probeDevice(b);
    expect(bench.partition()).toEqual([['a'], ['b']]);
    bench.iommu.probeDevice(b);
    expect(bench.iommu.groupOf(b)?.count).toBe(1);
  });

  test('REMOVED takes it out, after its driver; numbers are free again', () => {
    const bench = new Bench();
    const driver = mock();
    bench.iommu.registerDevice(driver);
    const [a] = bench.devices('a', 'b');
    let atRemove: number | undefined;
    bench.core.registerDriver({
      name: 'nic',
      bus: bench.bus,
      remove: (device) => {
        atRemove = bench.iommu.groupOf(device)?.id;
      },
    });
    bench.core.deleteDevice(a!);
    expect(atRemove).toBe(0);
    expect(bench.partition()).toEqual([['b']]);
    bench.device('c');
    expect(bench.partition()).toEqual([['c'], ['b']]);
    bench.iommu.unregisterDevice(driver);
    bench.tracker.assertNone();
  });

  test('the policy’s reason is kept while the device is in the group', () => {
    const bench = new Bench();
    bench.iommu.registerDevice(mock());
    const [a, b] = bench.devices('Ga', 'Gb');
    expect(bench.iommu.reasonFor(a!)?.joined).toBeNull();
    expect(bench.iommu.reasonFor(b!)?.joined).toEqual({ through: 'Ga', step: 'firmware' });
    bench.core.deleteDevice(b!);
    expect(bench.iommu.reasonFor(b!)).toBeUndefined();
  });

  test('boot: the default domain waits for all members; hot-plug: the first decides', () => {
    const wants = (device: Device) => (device.name === 'Gb' ? DomainType.Identity : 0);
    const boot = new Bench();
    boot.devices('Ga', 'Gb');
    boot.iommu.registerDevice(mock({ defDomainType: wants }));
    expect(boot.sysfs.read('/kernel/iommu_groups/0/type')).toBe('identity\n');
    const hot = new Bench();
    hot.iommu.registerDevice(mock({ defDomainType: wants }));
    hot.devices('Ga', 'Gb');
    expect(hot.sysfs.read('/kernel/iommu_groups/0/type')).toBe('DMA-FQ\n');
  });

  test('probe_finalize comes once the default domain is in place', () => {
    const bench = new Bench();
    bench.devices('a', 'b');
    const seen: string[] = [];
    const iommu = mock();
    Object.assign(iommu.driver, {
      probeFinalize: (device: Device) => seen.push(`${device.name} ${bench.iommu.groupOf(device)?.type}`),
    });
    bench.iommu.registerDevice(iommu);
    bench.device('c');
    expect(seen).toEqual(['a DMA-FQ', 'b DMA-FQ', 'c DMA-FQ']);
  });

  test('capable asks the driver, and is false without an IOMMU', () => {
    const bench = new Bench();
    bench.iommu.registerDevice(mock({ capabilities: ['cache-coherency'] }));
    const a = bench.device('a');
    expect(bench.iommu.deviceCapable(a, 'cache-coherency')).toBe(true);
    expect(bench.iommu.deviceCapable(a, 'dirty-tracking')).toBe(false);
    expect(bench.iommu.deviceCapable(new Device({ name: 'x' }), 'cache-coherency')).toBe(false);
  });

  test('a policy that refuses, or a link that is taken, leaves nothing behind', () => {
    const bench = new Bench();
    let refuse = true;
    const policy = {
      ...byInitial,
      deviceGroup: <G>(device: Device, groupOf: (device: Device) => G | undefined) => {
        if (refuse) throw new KernelError('EINVAL', device.name, 'two groups at once');
        return byInitial.deviceGroup(device, groupOf);
      },
    };
    const iommu = mock({ policy });
    bench.iommu.registerDevice(iommu);
    const nothing = (device: Device, code: string) => {
      expect(bench.iommu.noGroupReason(device)).toMatchObject({ because: 'refused', error: { code } });
      expect(bench.sysfs.readdir('/class/iommu/mock0/devices')).toEqual([]);
      expect(iommu.driver.probed.size).toBe(0);
      expect(bench.iommu.groups.size).toBe(0);
    };
    const a = bench.device('a');
    nothing(a, 'EINVAL');
    expect(bench.sysfs.exists('/devices/a/iommu')).toBe(false);
    refuse = false;
    a.kobj!.createLink('iommu', a.kobj!);
    expect(answerOf(() => bench.iommu.probeDevice(a))).toBe('EEXIST');
    nothing(a, 'EEXIST');
    a.kobj!.removeLink('iommu');
    a.kobj!.createLink('iommu_group', a.kobj!);
    expect(answerOf(() => bench.iommu.probeDevice(a))).toBe('EEXIST');
    nothing(a, 'EEXIST');
    a.kobj!.removeLink('iommu_group');
    bench.iommu.probeDevice(a);
    expect(bench.partition()).toEqual([['a']]);
  });

  test('a driver that probes from within a probe gets EDEADLK', () => {
    const bench = new Bench();
    const [a, b] = bench.devices('a', 'b');
    const probe = (device: Device) => {
      if (device === a) bench.iommu.probeDevice(b!);
    };
    expect(() => bench.iommu.registerDevice(mock({ probe }))).toThrow(/probing b .*probing a.*EDEADLK/);
  });

  test('a group for the whole IOMMU outlives its devices (generic_single_device_group)', () => {
    const bench = new Bench();
    const policy = new SingleGrouping(() => 'mock0');
    const iommu = mock({ policy });
    const [a, b] = bench.devices('a', 'b');
    bench.iommu.registerDevice(iommu);
    expect(bench.partition()).toEqual([['a', 'b']]);
    using other = bench.iommu.groupAlloc();
    bench.core.deleteDevice(a!);
    bench.core.deleteDevice(b!);
    expect(bench.partition()).toEqual([[], []]);
    bench.device('c');
    expect(bench.partition()).toEqual([['c'], []]);
    bench.iommu.unregisterDevice(iommu);
    expect([...bench.iommu.groups.values()]).toEqual([other]);
  });
});

describe('sysfs and messages', () => {
  test('/class/iommu leads to the IOMMU, which lists its devices; each has a link back', () => {
    const bench = new Bench();
    const a = bench.device('a');
    bench.iommu.registerDevice(mock());
    expect(bench.sysfs.readlink('/class/iommu/mock0')).toBe('../../devices/virtual/iommu/mock0');
    expect(bench.sysfs.readdir('/class/iommu/mock0/devices')).toEqual(['a']);
    expect(bench.sysfs.realpath('/devices/a/iommu')).toBe('/devices/virtual/iommu/mock0');
    bench.iommu.releaseDevice(a);
    expect(bench.sysfs.readdir('/class/iommu/mock0/devices')).toEqual([]);
    expect(bench.sysfs.exists('/devices/a/iommu')).toBe(false);
  });

  test('an IOMMU that is a device has its directory below it', () => {
    const bench = new Bench();
    const device = bench.device('0000:00:00.2');
    bench.iommu.registerDevice(Object.assign(unit('ivhd0', 'a', new MockDriver()), { device }));
    expect(bench.sysfs.readlink('/class/iommu/ivhd0')).toBe('../../devices/0000:00:00.2/iommu/ivhd0');
  });

  test('the kernel’s words for joining and leaving', () => {
    const messages: Message[] = [];
    const bench = new Bench({ onMessage: (message) => messages.push(message) });
    bench.iommu.registerDevice(mock());
    bench.core.deleteDevice(bench.device('a'));
    expect(messages).toEqual([
      { level: 'info', object: 'a', text: 'Adding to iommu group 0' },
      { level: 'info', object: 'a', text: 'Removing from iommu group 0' },
    ]);
  });

  test('warnings are kept to a thousand and counted on', () => {
    const bench = new Bench();
    using group = bench.iommu.groupAlloc();
    for (let i = 0; i < 1002; i++) group.releaseDmaOwner();
    expect(bench.iommu.messages.warnings).toHaveLength(1000);
    expect(bench.iommu.messages.dropped).toBe(2);
  });
});
