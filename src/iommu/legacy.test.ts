import { describe, expect, test } from 'vitest';
import { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { DisabledGroups } from './disabled.ts';
import type { Group } from './group.ts';
import { type GroupInterface, LegacyGroups, type LegacyIommuOps } from './legacy.ts';
import { answerOf, Bench } from './testing.ts';

/** A driver of 2012: one group per first letter, nothing for names that start with x. */
function letterDriver(groups: LegacyGroups, log: string[] = []): LegacyIommuOps {
  const byLetter = new Map<string, Group>();
  return {
    name: 'letters',
    addDevice: (device) => {
      log.push(`add ${device.name}`);
      const letter = device.name.charAt(0);
      if (letter === 'x') throw new KernelError('ENODEV', device.name, 'not translated');
      const known = byLetter.get(letter);
      const group = known ?? groups.groupAlloc();
      byLetter.set(letter, group);
      groups.groupAddDevice(group, device);
      if (!known) groups.groupPut(group);
      group.setIommudata(letter, (data) => byLetter.delete(data));
    },
    removeDevice: (device) => {
      log.push(`remove ${device.name}`);
      groups.groupRemoveDevice(device);
    },
  };
}

function domainOver(log: string[], refuse?: string) {
  return {
    name: 'test',
    attachDev: (device: Device) => {
      if (device.name === refuse) throw new KernelError('EBUSY', device.name, 'refused');
      log.push(`attach ${device.name}`);
    },
    detachDev: (device: Device) => void log.push(`detach ${device.name}`),
  };
}

describe('isolation.md 4: the interface of 2012', () => {
  test('bus_set_iommu: add_device for devices present and to come, remove_device on DEL if grouped', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    const log: string[] = [];
    const [a1, x1] = bench.devices('a1', 'x1');
    const set = groups.busSetIommu(bench.bus, letterDriver(groups, log));
    const a2 = bench.device('a2');
    expect(bench.partition()).toEqual([['a1', 'a2']]);
    expect([...set.failures.keys()]).toEqual([x1]);
    expect(set.failures.get(x1!)).toMatchObject({ because: 'refused', error: { code: 'ENODEV' } });
    for (const device of [a1!, x1!, a2]) bench.core.deleteDevice(device);
    expect(log).toEqual(['add a1', 'add x1', 'add a2', 'remove a1', 'remove a2']);
    expect([set.warnings, set.failures.size]).toEqual([[], 0]);
    bench.tracker.assertNone();
  });

  test('remove_device comes before the driver is unbound, unlike today', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    const log: string[] = [];
    const bus = bench.addBus('pci', false);
    groups.busSetIommu(bus, letterDriver(groups, log));
    const a = bench.device('a', undefined, bus);
    bench.core.registerDriver({ name: 'nic', bus, remove: () => void log.push('unbound') });
    bench.core.deleteDevice(a);
    expect(log).toEqual(['add a', 'remove a', 'unbound']);
  });

  test('EBUSY for a second driver; a device found in a group is a warning', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    const a = bench.device('a');
    const group = groups.groupAlloc();
    group.setName('mine');
    group.addDevice(a);
    group.put();
    const { warnings, failures } = groups.busSetIommu(bench.bus, letterDriver(groups));
    expect(warnings).toEqual(['a is in group 0 "mine" already']);
    expect(failures.get(a)).toMatchObject({ error: { code: 'EEXIST' } });
    expect(() => groups.busSetIommu(bench.bus, letterDriver(groups))).toThrow(/letters's already.*EBUSY/);
  });

  test('a driver that does not take its device out leaves no dead member behind', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    const { warnings } = groups.busSetIommu(bench.bus, {
      name: 'careless',
      addDevice: (device) => {
        using group = groups.groupAlloc();
        group.addDevice(device);
      },
    });
    bench.core.deleteDevice(bench.device('a'));
    expect(warnings).toEqual(['a was left in group 0 by careless']);
    bench.tracker.assertNone();
  });

  test('look-up walks up to the first ancestor with a group; the device is no member', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    const a = bench.device('a');
    using group = groups.groupAlloc();
    group.addDevice(a);
    const inner = bench.device(
      'inner',
      bench.device('middle', a, bench.addBus('card')),
      bench.addBus('inner'),
    );
    {
      using found = groups.groupGet(inner);
      expect(found).toBe(group);
      expect(group.count).toBe(3);
    }
    expect(group.devices).toEqual([a]);
    expect(bench.iommu.groupOf(inner)).toBeUndefined();
    expect(groups.groupGet(bench.device('lone'))).toBeUndefined();
    group.removeDevice(a);
  });

  test('attach: members in turn; the n-th refusing, those before are detached, the last first', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    groups.busSetIommu(bench.bus, letterDriver(groups));
    const [a1] = bench.devices('a1', 'a2', 'a3', 'a4');
    using group = groups.groupGet(a1!);
    const log: string[] = [];
    expect(answerOf(() => groups.attachGroup(domainOver(log, 'a3'), group!))).toBe('EBUSY');
    expect(log).toEqual(['attach a1', 'attach a2', 'detach a2', 'detach a1']);
    log.length = 0;
    groups.attachGroup(domainOver(log), group!);
    groups.detachGroup(domainOver(log), group!);
    expect(log.slice(-4)).toEqual(['detach a1', 'detach a2', 'detach a3', 'detach a4']);
  });

  test('a domain callback that removes a device: EDEADLK, and those attached are detached', () => {
    const bench = new Bench();
    const groups = new LegacyGroups(bench.iommu);
    groups.busSetIommu(bench.bus, letterDriver(groups));
    const [a1] = bench.devices('a1', 'a2');
    using group = groups.groupGet(a1!);
    const log: string[] = [];
    const domain = domainOver(log);
    const attach = domain.attachDev;
    domain.attachDev = (device) => {
      if (device.name === 'a2') groups.groupRemoveDevice(device);
      attach(device);
    };
    expect(() => groups.attachGroup(domain, group!)).toThrow(/removing a2 .*iommu_attach_group.*EDEADLK/);
    expect(log).toEqual(['attach a1', 'detach a1']);
    expect(bench.partition()).toEqual([['a1', 'a2']]);
  });
});

describe('issue 2: the disabled build', () => {
  const bench = new Bench();
  const device = new Device({ name: 'a' });
  const listener = () => {};
  const domain = domainOver([]);
  const disabled: GroupInterface = new DisabledGroups();

  test.each<[string, () => unknown]>([
    ['alloc', () => disabled.groupAlloc()],
    ['add device', () => disabled.groupAddDevice(undefined, device)],
    ['forEachDevice', () => disabled.groupForEachDevice(undefined, 'test', () => 0)],
    ['attach', () => disabled.attachGroup(domain, undefined)],
    ['register notifier', () => disabled.groupRegisterNotifier(undefined, listener)],
    ['id', () => disabled.groupId(undefined)],
    ['set name', () => disabled.groupSetName(undefined, 'x')],
  ])('%s answers ENODEV', (_, call) => {
    expect(answerOf(call)).toBe('ENODEV');
  });

  test('get answers nothing; detach, put and remove do nothing; unregister answers 0', () => {
    expect(disabled.groupGet(device)).toBeUndefined();
    expect(disabled.groupGetIommudata(undefined)).toBeUndefined();
    const released: string[] = [];
    disabled.groupSetIommudata(undefined, 'x', (data) => void released.push(data));
    disabled.detachGroup(domain, undefined);
    disabled.groupPut(undefined);
    disabled.groupRemoveDevice(device);
    expect(disabled.groupUnregisterNotifier(undefined, listener)).toBe(0);
    expect(released).toEqual([]);
  });

  test('the enabled build has the same functions, put of nothing and remove without a group included', () => {
    const enabled: GroupInterface = new LegacyGroups(bench.iommu);
    const names = (object: object) =>
      Object.getOwnPropertyNames(Object.getPrototypeOf(object)).filter((name) =>
        /^(group|attach|detach)/.test(name),
      );
    expect(names(enabled).sort()).toEqual(names(disabled).sort());
    enabled.groupPut(undefined);
    enabled.groupRemoveDevice(bench.device('lone'));
    const group = enabled.groupAlloc();
    expect(enabled.groupId(group)).toBe(0);
    enabled.groupSetName(group, 'n');
    enabled.groupSetIommudata(group, 7);
    expect([group.name, enabled.groupGetIommudata(group)]).toEqual(['n', 7]);
    enabled.groupRegisterNotifier(group, listener);
    expect(enabled.groupUnregisterNotifier(group, listener)).toBe(0);
    expect(enabled.groupForEachDevice(group, 'test', () => 1)).toBe(0);
    enabled.groupPut(group);
  });
});
