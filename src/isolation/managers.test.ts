import { describe, expect, test } from 'vitest';
import { Device } from '../device/device.ts';
import type { StatedLack } from './lacks.ts';
import { IsolationManager } from './manager.ts';
import { answerOf, answerWithText, IsolationBench, manager } from './testing.ts';

describe('managers (isolation.md 2)', () => {
  test('taking a group: EBUSY if managed, by the same instance too; giving it up forgets the drivers', () => {
    const bench = new IsolationBench();
    const { isolation } = bench;
    const group = bench.group('g', 'x');
    const owner = manager();
    expect(isolation.managed(group)).toBe(false);
    isolation.initManager(group, owner);
    expect(isolation.managed(group)).toBe(true);
    expect(answerOf(() => isolation.initManager(group, owner))).toBe('EBUSY');
    expect(answerWithText(() => isolation.initManager(group, manager('another')))).toContain(
      'is managed by vfio',
    );
    const driver = bench.driver('d');
    isolation.managerAddDriver(group, driver);
    isolation.freeManager(group);
    isolation.initManager(group, manager('another'));
    expect(isolation.managerDriver(group, driver)).toBe(false);
  });

  test('adding a driver: EINVAL on a group nobody manages; deleting is silent; false without a manager', () => {
    const bench = new IsolationBench();
    const { isolation } = bench;
    const group = bench.group('g', 'x');
    const driver = bench.driver('d');
    expect(answerOf(() => isolation.managerAddDriver(group, driver))).toBe('EINVAL');
    isolation.managerDelDriver(group, driver);
    isolation.freeManager(group);
    expect([isolation.managerDriver(group, driver), isolation.managerLocked(group)]).toEqual([false, false]);
    isolation.initManager(group, manager());
    isolation.managerAddDriver(group, driver);
    expect(isolation.managerDriver(group, driver)).toBe(true);
    isolation.managerDelDriver(group, driver);
    expect(isolation.managerDriver(group, driver)).toBe(false);
  });

  test('locked: every device bound to an allowed driver, or to none', () => {
    const bench = new IsolationBench();
    const { isolation, core } = bench;
    const nic = bench.driver('nic');
    const vfio = { name: 'vfio-pci', bus: bench.bus };
    const group = bench.group('g', 'x', 'y');
    const [x, y] = group.devices;
    isolation.initManager(group, manager());
    expect(isolation.managerLocked(group)).toBe(false);
    expect(isolation.strangers(group)).toEqual([x, y]);
    core.unbind(x!);
    core.unbind(y!);
    expect(isolation.managerLocked(group)).toBe(true);
    isolation.managerAddDriver(group, vfio);
    core.registerDriver(vfio);
    expect([x!.driver, y!.driver]).toEqual([vfio, vfio]);
    expect(isolation.managerLocked(group)).toBe(true);
    isolation.managerDelDriver(group, vfio);
    expect(isolation.managerLocked(group)).toBe(false);
    expect(nic.name).toBe('nic');
  });
});

describe('the driver match gate of the device core (isolation.md 2)', () => {
  test('in a managed group a driver that is not allowed does not match, before the bus or driver_override is asked', () => {
    const bench = new IsolationBench();
    const { isolation, core } = bench;
    const asked: string[] = [];
    const nic = { name: 'nic', bus: bench.bus, match: ({ name }: Device) => asked.push(name) > 0 };
    const group = bench.group('g', 'x');
    const x = bench.devices.get('x')!;
    isolation.initManager(group, manager());
    core.registerDriver(nic);
    x.driverOverride = 'nic';
    expect(answerOf(() => core.bind(x, nic))).toBe('ENODEV');
    expect([x.driver, asked]).toEqual([undefined, []]);
    isolation.managerAddDriver(group, nic);
    core.bind(x, nic);
    expect(x.driver).toBe(nic);
  });

  test('other groups and devices without one are none of its business; nor is this one once it is given up', () => {
    const bench = new IsolationBench();
    const { isolation, core } = bench;
    const taken = bench.group('taken', 'x');
    bench.group('free', 'y');
    bench.device('z');
    isolation.initManager(taken, manager());
    const nic = bench.driver('nic');
    expect(core.devicesOf(nic).map(({ name }) => name)).toEqual(['y', 'z']);
    isolation.freeManager(taken);
    expect(core.attach(bench.devices.get('x')!)).toBe(true);
  });

  test('a device plugged into a managed group meets the gate before its first probe', () => {
    const bench = new IsolationBench();
    bench.isolation.registerNotifier(
      bench.bus,
      bench.provider('p', () => 'g'),
    );
    bench.device('x');
    bench.driver('nic');
    bench.core.unbind(bench.devices.get('x')!);
    bench.isolation.initManager(bench.isolation.groups.get('g')!, manager());
    expect(bench.device('y').driver).toBeUndefined();
  });
});

describe('a manager is told (isolation.md 3)', () => {
  test('of arrivals once the device is a member and attached, before it is probed; of departures after the driver went', () => {
    const log: string[] = [];
    const bench = new IsolationBench();
    const { isolation } = bench;
    isolation.registerNotifier(
      bench.bus,
      bench.provider('p', () => 'g', bench.ops),
    );
    bench.device('x');
    const group = isolation.groups.get('g')!;
    const vfio = {
      name: 'vfio-pci',
      bus: bench.bus,
      probe: ({ name }: Device) => void log.push(`probe ${name}`),
      remove: ({ name }: Device) => void log.push(`remove ${name}`),
    };
    bench.core.registerDriver(vfio);
    isolation.initIommuDomain(group);
    const owner = new IsolationManager({
      name: 'vfio',
      arrived: (device) => {
        log.push(`arrived ${device.name} ${group.has(device) && bench.ops.attached.has(device)}`);
      },
      departed: (device) => {
        log.push(`departed ${device.name} ${group.has(device) || bench.ops.attached.has(device)}`);
      },
    });
    isolation.initManager(group, owner);
    isolation.managerAddDriver(group, vfio);
    const y = bench.device('y');
    bench.core.deleteDevice(y);
    expect(log).toEqual(['probe x', 'arrived y true', 'probe y', 'remove y', 'departed y false']);
  });

  test('of what arrives in a segment it holds although nothing is left in it', () => {
    const log: string[] = [];
    const bench = new IsolationBench();
    const { isolation } = bench;
    isolation.registerNotifier(
      bench.bus,
      bench.provider('p', () => 'slot'),
    );
    const x = bench.device('x');
    const slot = isolation.groups.get('slot')!;
    isolation.initManager(slot, manager('vfio', log));
    bench.core.deleteDevice(x);
    bench.device('y');
    expect(log).toEqual(['x left slot', 'y arrived in slot']);
    isolation.freeManager(slot);
    expect(isolation.groups.has('slot')).toBe(true);
  });

  test('an empty group is freed by its provider once it is given up', () => {
    const bench = new IsolationBench();
    const { isolation } = bench;
    isolation.registerNotifier(
      bench.bus,
      bench.provider('p', () => 'slot'),
    );
    const x = bench.device('x');
    const slot = isolation.groups.get('slot')!;
    isolation.initManager(slot, manager());
    bench.core.deleteDevice(x);
    isolation.freeManager(slot);
    expect(bench.partition()).toEqual({});
  });

  test('a manager that cannot cope changes nothing, and that is logged', () => {
    const bench = new IsolationBench();
    const { isolation } = bench;
    const group = bench.group('g', 'x');
    isolation.initManager(
      group,
      new IsolationManager({ name: 'm', arrived: () => isolation.delDev(new Device({ name: 'unknown' })) }),
    );
    isolation.addDev(group, bench.device('y'));
    expect(group.size).toBe(2);
    expect(isolation.messages.warnings.map(({ object }) => object)).toEqual(['isolation group g']);
  });
});

describe('ownership is exclusive up and down the device tree (isolation.md 3)', () => {
  /** port ─ switch ─ card ─ part, each in a group of its own; and a card beside. */
  function tree() {
    const bench = new IsolationBench();
    bench.isolation.registerNotifier(
      bench.bus,
      bench.provider('p', ({ name }) => name),
    );
    const port = bench.device('port');
    const mid = bench.device('switch', bench.plain('no bus', port));
    bench.device('part', bench.device('card', mid));
    bench.device('beside', port);
    const take = (name: string, owner = manager(`owner of ${name}`)) =>
      bench.isolation.initManager(bench.isolation.groups.get(name)!, owner);
    return { bench, take };
  }

  test('EBUSY while any group above is taken, however far', () => {
    const { take } = tree();
    take('port');
    expect(answerWithText(() => take('part'))).toBe(
      'isolation group part: port above part is in isolation group port, which owner of port has [EBUSY]',
    );
    expect(['switch', 'card', 'beside'].map((name) => answerOf(() => take(name)))).toEqual(
      Array(3).fill('EBUSY'),
    );
  });

  test('EBUSY while any group below is taken, however far', () => {
    const { take } = tree();
    take('part');
    expect(answerWithText(() => take('port'))).toContain('part below port is in isolation group part');
    expect(['switch', 'card'].map((name) => answerOf(() => take(name)))).toEqual(['EBUSY', 'EBUSY']);
  });

  test('what is neither above nor below is free to take, and all is once the other gives up', () => {
    const { bench, take } = tree();
    take('card');
    take('beside');
    bench.isolation.freeManager(bench.isolation.groups.get('card')!);
    expect(answerOf(() => take('port'))).toBe('EBUSY');
    bench.isolation.freeManager(bench.isolation.groups.get('beside')!);
    take('port');
  });

  test('nor can a device come into a group that is taken while somebody else has something below it', () => {
    const { bench, take } = tree();
    take('card');
    take('beside');
    const mid = bench.devices.get('switch')!;
    bench.isolation.delDev(mid);
    const before = bench.state();
    const beside = bench.isolation.groups.get('beside')!;
    expect(answerOf(() => bench.isolation.addDev(beside, mid))).toBe('EBUSY');
    expect(bench.state()).toEqual(before);
  });

  test('one instance may hold groups at both levels: it is one owner', () => {
    const { take } = tree();
    const owner = manager();
    take('card', owner);
    take('port', owner);
    expect(answerOf(() => take('switch'))).toBe('EBUSY');
    take('switch', owner);
  });
});

describe('how much isolation is enough (isolation.md 3)', () => {
  const lack = (name: StatedLack['lack']): StatedLack => ({ lack: name, why: `because of ${name}` });

  function weak(...names: StatedLack['lack'][]) {
    const bench = new IsolationBench();
    const provider = bench.provider('p', () => 'g');
    provider.lacks = () => names.map(lack);
    bench.isolation.registerNotifier(bench.bus, provider);
    bench.device('x');
    const group = bench.isolation.groups.get('g')!;
    return { bench, provider, group, take: () => bench.isolation.initManager(group, manager()) };
  }

  test('a manager is refused with exactly the lacks that policy does not accept', () => {
    const { bench, take, group } = weak('nomsi', 'nop2p');
    const { isolation } = bench;
    expect(answerWithText(take)).toBe(
      'isolation group g: lacks what policy asks for: nomsi (because of nomsi), nop2p (because of nop2p) [EPERM]',
    );
    isolation.accepted = new Set(['nop2p']);
    expect(answerWithText(take)).toBe(
      'isolation group g: lacks what policy asks for: nomsi (because of nomsi) [EPERM]',
    );
    isolation.accepted = new Set(['nop2p', 'nomsi']);
    take();
    expect(isolation.managed(group)).toBe(true);
  });

  test('a group that lacks nothing is given under any policy', () => {
    expect(answerOf(weak().take)).toBe('ok');
  });

  test('the lacks are those of now, not of when the group was formed', () => {
    const { provider, take } = weak('nop2p');
    expect(answerOf(take)).toBe('EPERM');
    provider.lacks = () => [];
    expect(answerOf(take)).toBe('ok');
  });

  test('a group that can be nobody’s is EPERM whatever the policy', () => {
    const { bench, provider, take } = weak();
    bench.isolation.accepted = new Set(['nomsi', 'nop2p', 'disputed']);
    provider.why = () => 'firmware uses memory through x';
    expect(answerWithText(take)).toBe(
      'isolation group g: cannot be handed over: firmware uses memory through x [EPERM]',
    );
  });
});
