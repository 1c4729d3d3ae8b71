import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Group } from './group.ts';
import { answerOf, Bench } from './testing.ts';

describe('groups-core.md 2: references', () => {
  test('alloc holds one, a device one, get one; the last put frees group, directory and number', () => {
    const bench = new Bench();
    const [a] = bench.devices('a');
    const group = bench.iommu.groupAlloc();
    expect(group.count).toBe(1);
    group.addDevice(a!);
    expect(group.count).toBe(2);
    expect(bench.iommu.groupGet(a!)).toBe(group);
    expect(group.count).toBe(3);
    group.put();
    group.put();
    expect(bench.sysfs.exists('/kernel/iommu_groups/0')).toBe(true);
    group.removeDevice(a!);
    expect(bench.sysfs.exists('/kernel/iommu_groups/0')).toBe(false);
    expect(bench.iommu.groups.size).toBe(0);
    expect(answerOf(() => group.get())).toBe('EBADF');
    expect(answerOf(() => group.addDevice(a!))).toBe('EBADF');
    bench.tracker.assertNone();
  });

  test('a group outlives its devices while someone holds it, and can be joined again', () => {
    const bench = new Bench();
    const [a] = bench.devices('a');
    using group = bench.iommu.groupAlloc();
    group.addDevice(a!);
    group.removeDevice(a!);
    expect(bench.partition()).toEqual([[]]);
    group.addDevice(a!);
    expect(bench.partition()).toEqual([['a']]);
    group.removeDevice(a!);
  });

  test('using gives the reference back', () => {
    const bench = new Bench();
    const [a] = bench.devices('a');
    const group = bench.iommu.groupAlloc();
    group.addDevice(a!);
    group.put();
    {
      using held = bench.iommu.groupGet(a!);
      expect(held?.count).toBe(2);
    }
    expect(group.count).toBe(1);
    expect(bench.tracker.live()).toMatchObject([{ name: 'group 0', count: 1 }]);
  });

  test('numbers are the lowest free', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(20)), { maxLength: 60 }), (steps) => {
        const bench = new Bench();
        const held: Group[] = [];
        for (const put of steps) {
          if (put === null) {
            const used = new Set(held.map((group) => group.id));
            let lowest = 0;
            while (used.has(lowest)) lowest++;
            const group = bench.iommu.groupAlloc();
            expect(group.id).toBe(lowest);
            held.push(group);
          } else if (held.length > 0) {
            held.splice(put % held.length, 1)[0]!.put();
          }
        }
        expect(bench.sysfs.readdir('/kernel/iommu_groups')).toEqual(
          held.map((group) => String(group.id)).sort(),
        );
        for (const group of held) group.put();
        bench.tracker.assertNone();
      }),
    );
  });

  test('an allocation that sysfs refuses takes no number', () => {
    const bench = new Bench();
    bench.sysfs.makePath('/kernel/iommu_groups/0');
    expect(answerOf(() => bench.iommu.groupAlloc())).toBe('EEXIST');
    expect(bench.iommu.ids.size).toBe(0);
    bench.tracker.assertNone();
  });
});

describe('groups-core.md 6: the directory', () => {
  test('files in order of creation; links both ways; type unknown and regions empty without an IOMMU', () => {
    const bench = new Bench();
    const [a] = bench.devices('a');
    using group = bench.iommu.groupAlloc();
    group.addDevice(a!);
    expect(group.path).toBe('/kernel/iommu_groups/0');
    expect(bench.sysfs.readdir('/kernel/iommu_groups/0')).toEqual(['devices', 'reserved_regions', 'type']);
    expect(bench.sysfs.read('/kernel/iommu_groups/0/type')).toBe('unknown\n');
    expect(bench.sysfs.read('/kernel/iommu_groups/0/reserved_regions')).toBe('');
    expect(bench.sysfs.realpath('/devices/a/iommu_group')).toBe('/kernel/iommu_groups/0');
    expect(bench.sysfs.readlink('/devices/a/iommu_group')).toBe('../../kernel/iommu_groups/0');
    expect(bench.sysfs.readlink('/kernel/iommu_groups/0/devices/a')).toBe('../../../../devices/a');
    expect(answerOf(() => bench.sysfs.write('/kernel/iommu_groups/0/reserved_regions', 'x'))).toBe('EIO');
    group.removeDevice(a!);
    expect(bench.sysfs.exists('/devices/a/iommu_group')).toBe(false);
    expect(bench.sysfs.readdir('/kernel/iommu_groups/0/devices')).toEqual([]);
  });

  test('the name file is there only while a name is set, and messages carry the name', () => {
    const bench = new Bench();
    using group = bench.iommu.groupAlloc();
    expect(answerOf(() => group.setName(undefined))).toBe('ENOMEM');
    group.setName('vfio-noiommu');
    expect(bench.sysfs.read('/kernel/iommu_groups/0/name')).toBe('vfio-noiommu\n');
    expect(() => group.storeType('DMA')).toThrow('group 0 "vfio-noiommu": has no default domain');
    group.setName('other');
    expect(bench.sysfs.read('/kernel/iommu_groups/0/name')).toBe('other\n');
    expect(answerOf(() => bench.sysfs.write('/kernel/iommu_groups/0/name', 'x'))).toBe('EIO');
    group.setName(undefined);
    expect(bench.sysfs.exists('/kernel/iommu_groups/0/name')).toBe(false);
    expect(group.describe()).toBe('group 0');
  });

  test('colliding names get .0, .1 on the original name, and the right link goes', () => {
    const bench = new Bench();
    const buses = [bench.bus, bench.addBus('amba'), bench.addBus('cdx')];
    const parents = bench.devices('p0', 'p1', 'p2');
    const same = buses.map((bus, i) => bench.device('eth', parents[i], bus));
    using group = bench.iommu.groupAlloc();
    for (const device of same) group.addDevice(device);
    expect(same.map((device) => group.linkName(device))).toEqual(['eth', 'eth.0', 'eth.1']);
    const leads = (name: string) => bench.sysfs.realpath(`/kernel/iommu_groups/0/devices/${name}`);
    expect(leads('eth.0')).toBe('/devices/p1/eth');
    group.removeDevice(same[0]!);
    expect(bench.sysfs.readdir('/kernel/iommu_groups/0/devices')).toEqual(['eth.0', 'eth.1']);
    group.addDevice(same[0]!);
    expect(leads('eth')).toBe('/devices/p0/eth');
    for (const device of same) group.removeDevice(device);
  });

  test('a link in devices/ that cannot be made takes the other link with it', () => {
    const bench = new Bench();
    const [a] = bench.devices('a');
    using group = bench.iommu.groupAlloc();
    const devices = bench.sysfs.makePath('/kernel/iommu_groups/0/devices');
    devices.createLink = () => {
      throw new KernelError('ENOMEM', 'devices', 'no memory');
    };
    expect(answerOf(() => group.addDevice(a!))).toBe('ENOMEM');
    expect(bench.sysfs.exists('/devices/a/iommu_group')).toBe(false);
    expect([group.count, group.size, bench.iommu.groupOf(a!)]).toEqual([1, 0, undefined]);
  });

  test('add: EEXIST in a group already, EINVAL not in sysfs; nothing has changed', () => {
    const bench = new Bench();
    const [a] = bench.devices('a');
    using one = bench.iommu.groupAlloc();
    using two = bench.iommu.groupAlloc();
    one.addDevice(a!);
    expect(answerOf(() => two.addDevice(a!))).toBe('EEXIST');
    expect(answerOf(() => one.addDevice(a!))).toBe('EEXIST');
    expect(answerOf(() => two.addDevice(new Device({ name: 'x' })))).toBe('EINVAL');
    expect(bench.partition()).toEqual([['a'], []]);
    expect([one.count, two.count]).toEqual([2, 1]);
    two.removeDevice(a!);
    expect(bench.partition()).toEqual([['a'], []]);
    one.removeDevice(a!);
  });
});

describe('groups-core.md 3: data and walking', () => {
  test('iommudata: set does not call the earlier release, the end calls the last', () => {
    const bench = new Bench();
    const released: unknown[] = [];
    const group = bench.iommu.groupAlloc();
    group.setIommudata('first', (data) => released.push(data));
    group.setIommudata('second', (data) => released.push(data));
    expect(group.getIommudata()).toBe('second');
    expect(released).toEqual([]);
    group.put();
    expect(released).toEqual(['second']);
  });

  test('forEachDevice: order of arrival, first non-zero ends it', () => {
    const bench = new Bench();
    const devices = bench.devices('c', 'a', 'b');
    using group = bench.iommu.groupAlloc();
    for (const device of devices) group.addDevice(device);
    const seen: string[] = [];
    expect(group.forEachDevice('test', (d) => void seen.push(d.name))).toBe(0);
    expect(seen).toEqual(['c', 'a', 'b']);
    expect(group.forEachDevice('test', (d) => (d.name === 'a' ? -7 : 0))).toBe(-7);
    for (const device of devices) group.removeDevice(device);
  });

  test('a callback that removes or adds a device gets EDEADLK with both places, and nothing happened', () => {
    const bench = new Bench();
    const [a, b] = bench.devices('a', 'b');
    using group = bench.iommu.groupAlloc();
    group.addDevice(a!);
    const events: string[] = [];
    group.registerNotifier(({ action }) => void events.push(action));
    expect(() => group.forEachDevice('my walk', (device) => void group.removeDevice(device))).toThrow(
      /removing a .*my walk.*EDEADLK/,
    );
    expect(() => group.forEachDevice('my walk', () => void group.addDevice(b!))).toThrow(KernelError);
    expect(() => group.forEachDevice('one', () => group.forEachDevice('two', () => 0))).toThrow(/two.*one/);
    expect(bench.partition()).toEqual([['a']]);
    expect(events).toEqual([]);
    group.removeDevice(a!);
    expect(events).toEqual(['delDevice']);
  });

  test('a callback that deletes a device altogether is reported too, and the device does leave', () => {
    const bench = new Bench();
    const [a, b] = bench.devices('a', 'b');
    using group = bench.iommu.groupAlloc();
    group.addDevice(a!);
    group.addDevice(b!);
    const seen: string[] = [];
    const walk = () =>
      group.forEachDevice('my walk', (device) => {
        seen.push(device.name);
        if (device === a) bench.core.deleteDevice(a);
        return 0;
      });
    expect(walk).toThrow(/removing a .*my walk.*EDEADLK/);
    expect(seen).toEqual(['a', 'b']);
    expect(bench.partition()).toEqual([['b']]);
    group.removeDevice(b!);
    expect(group.count).toBe(1);
  });
});

describe('groups-core.md 8: group events', () => {
  test('six events, republished only for devices with a group, in the order of the flows', () => {
    const bench = new Bench();
    const group = bench.iommu.groupAlloc();
    const events: string[] = [];
    const listener = ({ action, device }: { action: string; device: Device }) =>
      void events.push(`${action} ${device.name}`);
    group.registerNotifier(listener);
    expect(answerOf(() => group.registerNotifier(listener))).toBe('EEXIST');
    const [a, b] = bench.devices('a', 'b');
    group.addDevice(a!);
    const driver = { name: 'drv', bus: bench.bus, match: () => true, driverManagedDma: true };
    bench.core.registerDriver(driver);
    expect(b!.driver).toBe(driver);
    bench.core.unbind(a!);
    bench.core.bind(a!, driver);
    bench.core.deleteDevice(a!);
    expect(events).toEqual([
      'addDevice a',
      'bindDriver a',
      'boundDriver a',
      'unbindDriver a',
      'unboundDriver a',
      'bindDriver a',
      'boundDriver a',
      'unbindDriver a',
      'unboundDriver a',
      'delDevice a',
    ]);
    group.unregisterNotifier(listener);
    expect(answerOf(() => group.unregisterNotifier(listener))).toBe('ENOENT');
    group.put();
    bench.tracker.assertNone();
  });
});

test('listeners of all groups hear every event of each, after the group’s own, groups to come included', () => {
  const bench = new Bench();
  const log: string[] = [];
  bench.iommu.groupNotifier.register(({ action, device, group }) => {
    log.push(`all: ${action} ${device.name} ${group.id}`);
  });
  const device = bench.device('x');
  using group = bench.iommu.groupAlloc();
  group.registerNotifier(({ action }) => void log.push(`own: ${action}`));
  group.addDevice(device);
  group.removeDevice(device);
  expect(log).toEqual(['own: addDevice', 'all: addDevice x 0', 'own: delDevice', 'all: delDevice x 0']);
});
