import { describe, expect, test } from 'vitest';
import { DeviceCore } from '../device/core.ts';
import { Device } from '../device/device.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import { Isolation } from './isolation.ts';
import { answerOf, answerWithText, IsolationBench, manager } from './testing.ts';

const someone = { name: 'someone' };

describe('creating and freeing groups (isolation.md 2)', () => {
  test('ENODEV until the subsystem has started', () => {
    const isolation = new Isolation({ core: new DeviceCore(new Sysfs()) });
    expect(answerOf(() => isolation.createGroup(someone))).toBe('ENODEV');
    isolation.init();
    expect(answerOf(() => isolation.createGroup(someone))).toBe('ok');
    expect(answerOf(() => isolation.init())).toBe('EBUSY');
  });

  test('starting: EEXIST when /isolation is taken, and nothing is left of a failed start', () => {
    const core = new DeviceCore(new Sysfs());
    core.sysfs.makePath('/isolation');
    expect(answerOf(() => new Isolation({ core }).init())).toBe('EEXIST');
    expect(core.notifier.size).toBe(0);
  });

  test('a directory of its own with an empty devices/', () => {
    const { isolation, sysfs } = new IsolationBench();
    const group = isolation.createGroup(someone, 'pe3');
    expect(group.path).toBe('/isolation/pe3');
    expect(sysfs.readdir('/isolation/pe3')).toEqual(['devices']);
    expect(sysfs.readdir('/isolation/pe3/devices')).toEqual([]);
  });

  test('without a name: a UUID, generated again while it equals another group’s', () => {
    const uuids = ['a', 'a', 'a', 'b', 'a', 'b', 'c'];
    const { isolation } = new IsolationBench({ uuid: () => uuids.shift()! });
    const names = [1, 2, 3].map(() => isolation.createGroup(someone).name);
    expect(names).toEqual(['a', 'b', 'c']);
    expect(uuids).toEqual([]);
  });

  test('UUIDs are random unless told, and a generator that has run dry is EEXIST', () => {
    const isolation = new Isolation({ core: new DeviceCore(new Sysfs()) });
    isolation.init();
    expect(isolation.createGroup(someone).name).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/,
    );
    const dry = new IsolationBench({ uuid: () => 'always' }).isolation;
    dry.createGroup(someone);
    expect(answerOf(() => dry.createGroup(someone))).toBe('EEXIST');
  });

  test('isolation.md 3: providers that use the same name do not collide', () => {
    const { isolation, sysfs } = new IsolationBench();
    const names = [1, 2, 3].map((each) => isolation.createGroup({ name: `provider ${each}` }, 'pe1').name);
    expect(names).toEqual(['pe1', 'pe1.0', 'pe1.1']);
    expect(sysfs.readdir('/isolation')).toEqual(names);
    expect(answerOf(() => isolation.createGroup(someone, 'a/b'))).toBe('EINVAL');
  });

  test('free: EBUSY with devices, EBUSY while managed, then the directory goes', () => {
    const bench = new IsolationBench();
    const { isolation, sysfs } = bench;
    const group = bench.group('g', 'x');
    expect(answerOf(() => isolation.freeGroup(group))).toBe('EBUSY');
    isolation.delDev(bench.devices.get('x')!);
    isolation.initManager(group, manager());
    expect(answerOf(() => isolation.freeGroup(group))).toBe('EBUSY');
    isolation.freeManager(group);
    isolation.freeGroup(group);
    expect(sysfs.readdir('/isolation')).toEqual([]);
    expect(isolation.groups.size).toBe(0);
  });

  test('a freed group is good for nothing any more: EBADF', () => {
    const bench = new IsolationBench();
    const { isolation, ops } = bench;
    const group = isolation.createGroup(someone, 'g');
    isolation.freeGroup(group);
    isolation.createGroup(someone, 'g');
    const x = bench.device('x');
    const driver = bench.driver('d');
    expect(
      [
        () => isolation.freeGroup(group),
        () => isolation.addDev(group, x),
        () => isolation.setIommuOps(group, ops),
        () => isolation.initIommuDomain(group),
        () => isolation.freeIommuDomain(group),
        () => isolation.initManager(group, manager()),
        () => isolation.freeManager(group),
        () => isolation.managerAddDriver(group, driver),
        () => isolation.planConsolidation(group),
      ].map(answerOf),
    ).toEqual(Array(9).fill('EBADF'));
  });

  test('freeing a group whose last device has left takes its domain along', () => {
    const bench = new IsolationBench();
    const group = bench.group('g', 'x');
    bench.isolation.setIommuOps(group, bench.ops);
    bench.isolation.initIommuDomain(group);
    bench.isolation.delDev(bench.devices.get('x')!);
    expect(bench.ops.live.size).toBe(1);
    bench.isolation.freeGroup(group);
    expect(bench.ops.live.size).toBe(0);
  });
});

describe('devices of a group (isolation.md 1, 2)', () => {
  test('add: the device points to its group and the group to its device', () => {
    const bench = new IsolationBench();
    const group = bench.group('g', 'x', 'y');
    expect(bench.sysfs.realpath('/devices/x/isolation_group')).toBe('/isolation/g');
    expect(bench.sysfs.readlink('/devices/x/isolation_group')).toBe('../../isolation/g');
    expect(bench.sysfs.realpath('/isolation/g/devices/y')).toBe('/devices/y');
    expect(bench.isolation.groupOf(bench.devices.get('x')!)).toBe(group);
    expect(group.devices.map(({ name }) => name)).toEqual(['x', 'y']);
  });

  test('add: EBUSY in a group already, this one or another; EINVAL before it is in sysfs', () => {
    const bench = new IsolationBench();
    const group = bench.group('g', 'x');
    const other = bench.isolation.createGroup(group.provider, 'h');
    const x = bench.devices.get('x')!;
    expect(answerOf(() => bench.isolation.addDev(group, x))).toBe('EBUSY');
    expect(answerOf(() => bench.isolation.addDev(other, x))).toBe('EBUSY');
    expect(bench.isolation.conflicts).toEqual([]);
    expect(answerOf(() => bench.isolation.addDev(other, new Device({ name: 'never added' })))).toBe('EINVAL');
    expect(bench.partition()).toEqual({ g: ['x'], h: [] });
  });

  test('delete: links and pointer go; ENODEV without a group', () => {
    const bench = new IsolationBench();
    bench.group('g', 'x', 'y');
    const x = bench.devices.get('x')!;
    bench.isolation.delDev(x);
    expect(bench.sysfs.exists('/devices/x/isolation_group')).toBe(false);
    expect(bench.sysfs.readdir('/isolation/g/devices')).toEqual(['y']);
    expect(bench.isolation.groupOf(x)).toBeUndefined();
    expect(answerOf(() => bench.isolation.delDev(x))).toBe('ENODEV');
  });

  test('isolation.md 3: device names of several buses may collide, so links get a suffix', () => {
    const bench = new IsolationBench();
    const bridge = bench.device('bridge');
    const other = bench.addBus('platform');
    const twins = [bench.device('x'), bench.device('x', bridge, other)];
    const group = bench.isolation.createGroup(someone, 'g');
    for (const twin of twins) bench.isolation.addDev(group, twin);
    expect(bench.sysfs.readdir('/isolation/g/devices')).toEqual(['x', 'x.0']);
    bench.isolation.delDev(twins[0]!);
    expect(bench.sysfs.realpath('/isolation/g/devices/x.0')).toBe('/devices/bridge/x');
    bench.isolation.addDev(group, twins[0]!);
    expect(group.linkName(twins[0]!)).toBe('x');
  });

  test('a claim by a second provider is EBUSY and reported with both names', () => {
    const messages: string[] = [];
    const bench = new IsolationBench({
      onMessage: ({ level, object, text }) => messages.push(`${level} ${object}: ${text}`),
    });
    bench.group('g', 'x');
    const x = bench.devices.get('x')!;
    const theirs = bench.isolation.createGroup({ name: 'the other one' }, 'h');
    const refusal = answerWithText(() => bench.isolation.addDev(theirs, x));
    expect(refusal).toContain(
      'x: is in isolation group g of provider of g, and the other one claims it as well',
    );
    expect(refusal).toContain('[EBUSY]');
    expect(messages).toEqual([
      'err x: is in isolation group g of provider of g, and the other one claims it as well',
    ]);
    expect(bench.isolation.conflicts).toEqual([
      { device: x, holder: { name: 'provider of g' }, claimant: { name: 'the other one' } },
    ]);
  });
});

describe('the lock (isolation_lock)', () => {
  test('operations called back while a group changes are EDEADLK, and nothing has changed', () => {
    const bench = new IsolationBench();
    const group = bench.group('g', 'x');
    bench.isolation.setIommuOps(group, {
      name: 're-entering',
      domainInit: () => 0,
      domainDestroy: () => {},
      attachDev: (_, device) => bench.isolation.delDev(device),
      detachDev: () => {},
    });
    expect(answerOf(() => bench.isolation.initIommuDomain(group))).toBe('EDEADLK');
    expect(bench.partition()).toEqual({ g: ['x'] });
    expect(group.domain).toBeUndefined();
  });
});
