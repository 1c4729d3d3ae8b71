import { describe, expect, test } from 'vitest';
import { KernelError } from '../kernel/errors.ts';
import type { IsolationProvider } from './provider.ts';
import { answerOf, answerWithText, IsolationBench, manager } from './testing.ts';

describe('registering a provider for a bus (isolation.md 2)', () => {
  test('replays ADD for every device of the bus that has no group, in the order of the bus', () => {
    const bench = new IsolationBench();
    const [a1, , b1] = ['a1', 'a2', 'b1'].map((name) => bench.device(name));
    bench.device('elsewhere', undefined, bench.addBus('usb'));
    const early = bench.isolation.createGroup({ name: 'early' }, 'early');
    bench.isolation.addDev(early, a1!);
    const provider = bench.provider('p');
    bench.isolation.registerNotifier(bench.bus, provider);
    expect(provider.log).toEqual(['add a2', 'add b1']);
    expect(bench.isolation.groupOf(b1!)?.name).toBe('b');
    expect(bench.partition()).toEqual({ early: ['a1'], a: ['a2'], b: ['b1'] });
  });

  test('delivery: ADD for new devices, DEL after the driver is removed and only with a group', () => {
    const bench = new IsolationBench();
    const provider = bench.provider('p', (device) => (device.name.startsWith('n') ? undefined : 'g'));
    bench.isolation.registerNotifier(bench.bus, provider);
    const log = provider.log;
    bench.core.registerDriver({
      name: 'drv',
      bus: bench.bus,
      remove: ({ name }) => void log.push(`remove ${name}`),
    });
    const x = bench.device('x');
    const none = bench.device('none');
    bench.core.deleteDevice(none);
    bench.core.deleteDevice(x);
    expect(log).toEqual(['add x', 'add none', 'remove none', 'remove x', 'del x']);
    expect(bench.isolation.groups.size).toBe(0);
  });

  test('a device of a group whose provider does not let go of it leaves all the same', () => {
    const bench = new IsolationBench();
    const group = bench.group('g', 'x', 'y');
    bench.core.deleteDevice(bench.devices.get('x')!);
    expect(group.devices.map(({ name }) => name)).toEqual(['y']);
    expect(bench.sysfs.readdir('/isolation/g/devices')).toEqual(['y']);
  });

  test('several providers a bus: one notifier of the bus, every provider asked, the last one frees the chain', () => {
    const bench = new IsolationBench();
    const before = bench.bus.notifier.size;
    const odd = bench.provider('odd', ({ name }) => (name === 'a1' ? 'odd' : undefined));
    const even = bench.provider('even', ({ name }) => (name === 'a2' ? 'even' : undefined));
    bench.isolation.registerNotifier(bench.bus, odd);
    bench.isolation.registerNotifier(bench.bus, even);
    expect(bench.bus.notifier.size).toBe(before + 1);
    bench.device('a1');
    bench.device('a2');
    expect(odd.log).toEqual(['add a1', 'add a2']);
    expect(even.log).toEqual(['add a1', 'add a2']);
    expect(bench.partition()).toEqual({ odd: ['a1'], even: ['a2'] });
    bench.isolation.unregisterNotifier(bench.bus, odd);
    expect(bench.bus.notifier.size).toBe(before + 1);
    bench.isolation.unregisterNotifier(bench.bus, even);
    expect(bench.bus.notifier.size).toBe(before);
  });

  test('several buses a provider', () => {
    const bench = new IsolationBench();
    const usb = bench.addBus('usb');
    const provider = bench.provider('p', () => 'g');
    for (const bus of [bench.bus, usb]) bench.isolation.registerNotifier(bus, provider);
    bench.device('x');
    bench.device('y', undefined, usb);
    expect(bench.partition()).toEqual({ g: ['x', 'y'] });
    bench.isolation.unregisterNotifier(usb, provider);
    bench.device('z', undefined, usb);
    expect(provider.log).toEqual(['add x', 'add y']);
  });

  test('ENODEV for unregistering from a bus nobody knows, and what is not registered there', () => {
    const bench = new IsolationBench();
    const provider = bench.provider('p');
    expect(answerOf(() => bench.isolation.unregisterNotifier(bench.bus, provider))).toBe('ENODEV');
    bench.isolation.registerNotifier(bench.bus, bench.provider('q'));
    expect(answerOf(() => bench.isolation.unregisterNotifier(bench.bus, provider))).toBe('ENODEV');
  });

  test('EEXIST for registering twice', () => {
    const bench = new IsolationBench();
    const provider = bench.provider('p');
    bench.isolation.registerNotifier(bench.bus, provider);
    expect(answerOf(() => bench.isolation.registerNotifier(bench.bus, provider))).toBe('EEXIST');
    expect(bench.isolation.providersOf(bench.bus)).toEqual([provider]);
  });

  test('EDEADLK from inside a callback for the same bus; another bus is fine', () => {
    const bench = new IsolationBench();
    const usb = bench.addBus('usb');
    const quiet: IsolationProvider = { name: 'quiet' };
    const answers: string[] = [];
    const provider: IsolationProvider = {
      name: 'busy',
      added: () => {
        answers.push(
          answerOf(() => bench.isolation.registerNotifier(bench.bus, quiet)),
          answerOf(() => bench.isolation.unregisterNotifier(bench.bus, provider)),
          answerOf(() => bench.isolation.registerNotifier(usb, quiet)),
        );
      },
    };
    bench.isolation.registerNotifier(bench.bus, provider);
    bench.device('x');
    expect(answers).toEqual(['EDEADLK', 'EDEADLK', 'ok']);
    expect(bench.isolation.providersOf(bench.bus)).toEqual([provider]);
  });

  test('a last provider that cannot leave, since the bus is telling of a device, stays as it was', () => {
    const bench = new IsolationBench();
    const provider = bench.provider('p');
    bench.isolation.registerNotifier(bench.bus, provider);
    const answers: string[] = [];
    bench.bus.notifier.register(({ action }) => {
      if (action === 'bind')
        answers.push(answerOf(() => bench.isolation.unregisterNotifier(bench.bus, provider)));
    });
    bench.driver('d');
    bench.device('x');
    bench.device('y');
    expect(answers).toEqual(['EDEADLK', 'EDEADLK']);
    expect(provider.log).toEqual(['add x', 'add y']);
  });

  test('a refusal during the replay: registered for nothing, and none of its devices is in a group', () => {
    const bench = new IsolationBench();
    for (const name of ['a1', 'a2', 'b1', 'c1']) bench.device(name);
    const before = bench.state();
    const provider = bench.provider('p', ({ name }) => {
      if (name === 'c1') throw new KernelError('EIO', name, 'cannot be read');
      return name.charAt(0);
    });
    expect(answerOf(() => bench.isolation.registerNotifier(bench.bus, provider))).toBe('EIO');
    expect(bench.state()).toEqual(before);
    expect(provider.log).toEqual(['add a1', 'add a2', 'add b1', 'add c1', 'del b1', 'del a2', 'del a1']);
  });

  test('a refusal of a new device is logged, ends the round, and nobody adopts the device', () => {
    const bench = new IsolationBench();
    const refusing: IsolationProvider = {
      name: 'refusing',
      added: ({ name }) => {
        if (name === 'child') throw new KernelError('EIO', name, 'cannot be read');
      },
    };
    const later = bench.provider('later', ({ name }) => (name === 'parent' ? 'g' : undefined));
    for (const each of [refusing, later]) bench.isolation.registerNotifier(bench.bus, each);
    const child = bench.device('child', bench.device('parent'));
    expect(bench.isolation.messages.warnings.map(({ text }) => text)).toEqual([
      'child: cannot be read [EIO]',
    ]);
    expect(later.log).toEqual(['add parent']);
    expect(bench.isolation.groupOf(child)).toBeUndefined();
    expect(answerWithText(() => bench.isolation.groupToHandOver(child))).toContain(
      'its provider failed: child',
    );
  });
});

describe('two providers that claim one device (isolation.md 3: never let order decide)', () => {
  function disputed() {
    const bench = new IsolationBench();
    const first = bench.provider('first', () => 'one');
    const second = bench.provider('second', () => 'two');
    for (const each of [first, second]) bench.isolation.registerNotifier(bench.bus, each);
    return { bench, device: bench.device('x') };
  }

  test('is reported with both names', () => {
    const { bench, device } = disputed();
    expect(bench.isolation.conflicts.map(({ holder, claimant }) => [holder.name, claimant.name])).toEqual([
      ['first', 'second'],
    ]);
    expect(bench.isolation.messages.warnings.map(({ text }) => text)[0]).toContain(
      'is in isolation group one of first, and second claims it as well',
    );
    expect(bench.partition()).toEqual({ one: ['x'] });
    expect(bench.isolation.groupOf(device)?.provider.name).toBe('first');
  });

  test('and the group is nobody’s to have until policy accepts the dispute by name', () => {
    const { bench } = disputed();
    const group = bench.isolation.groups.get('one')!;
    const refusal = answerWithText(() => bench.isolation.initManager(group, manager()));
    expect(refusal).toContain(
      'disputed (x is in isolation group one of first, and second claims it as well)',
    );
    expect(refusal).toContain('[EPERM]');
    bench.isolation.accepted = new Set(['disputed']);
    bench.isolation.initManager(group, manager());
    expect(bench.isolation.managed(group)).toBe(true);
  });

  test('a device learned of otherwise than by its bus is offered to all of them just the same', () => {
    const bench = new IsolationBench();
    let known = false;
    const late = bench.provider('late', () => (known ? 'one' : undefined));
    const second = bench.provider('second', () => (known ? 'two' : undefined));
    for (const each of [late, second]) bench.isolation.registerNotifier(bench.bus, each);
    const device = bench.device('x');
    known = true;
    bench.isolation.announce(device);
    expect(bench.isolation.conflicts.length).toBe(1);
    bench.isolation.announce(device);
    expect(late.log).toEqual(['add x', 'add x']);
  });
});
