/** Issue 3: every path has its failure injected at every step, and leaves things as they were. */

import { describe, expect, test } from 'vitest';
import type { Bus } from '../device/bus.ts';
import { DeviceCore } from '../device/core.ts';
import { FaultInjector } from '../iommu/fault-injector.ts';
import { Sysfs } from '../kernel/sysfs.ts';
import type { IsolationGroup } from './group.ts';
import { Isolation } from './isolation.ts';
import type { IsolationManager } from './manager.ts';
import { answerOf, IsolationBench, manager, type RuleProvider } from './testing.ts';

interface Stage {
  bench: IsolationBench;
  isolation: Isolation;
  platform: Bus;
  provider: RuleProvider;
  /** g1 g2 with a software child of g1; h1 h2; and one on a bus of its own that a later provider will want. */
  g: IsolationGroup;
  h: IsolationGroup;
  owner: IsolationManager;
}

function stage(): Stage {
  const bench = new IsolationBench();
  const platform = bench.addBus('platform');
  const { isolation } = bench;
  const provider = bench.provider('p', ({ name }) => name.charAt(0), bench.ops);
  isolation.registerNotifier(bench.bus, provider);
  const [g1] = ['g1', 'g2', 'h1', 'h2'].map((name) => bench.device(name));
  bench.device('child', g1, platform);
  return {
    bench,
    isolation,
    platform,
    provider,
    g: isolation.groups.get('g')!,
    h: isolation.groups.get('h')!,
    owner: manager(),
  };
}

/** Runs `call` on fresh stages with the 1st, 2nd … step failing until it succeeds; answers what failed on the way. */
function failEveryStep(call: (on: Stage) => unknown, prepare: (on: Stage) => void = () => {}): string[] {
  const failed: string[] = [];
  for (let n = 1; ; n++) {
    const on = stage();
    prepare(on);
    const before = on.bench.state();
    on.bench.faults.failAt(n);
    const answer = answerOf(() => call(on));
    const { fired } = on.bench.faults;
    if (fired === undefined) {
      expect(answer).toBe('ok');
      expect(on.bench.state()).not.toEqual(before);
      return failed;
    }
    expect([fired, answer]).toEqual([fired, 'ENOMEM']);
    expect(on.bench.state()).toEqual(before);
    failed.push(fired);
    // What failed once works the second time: nothing is left in the way.
    expect(answerOf(() => call(on))).toBe('ok');
    expect(n).toBeLessThan(100);
  }
}

describe('a failed call leaves everything as it was', () => {
  test('starting the subsystem', () => {
    const faults = new FaultInjector();
    const core = new DeviceCore(new Sysfs());
    const isolation = new Isolation({ core, onStep: (what) => faults.step(what) });
    faults.failAt(1);
    expect(answerOf(() => isolation.init())).toBe('ENOMEM');
    expect(faults.fired).toBe('top directory');
    expect([core.sysfs.exists('/isolation'), core.notifier.size]).toEqual([false, 0]);
    expect(answerOf(() => isolation.createGroup({ name: 'p' }))).toBe('ENODEV');
    isolation.init();
  });

  test('creating a group', () => {
    const steps = failEveryStep(({ isolation, provider }) => isolation.createGroup(provider));
    expect(steps).toEqual(['group directory', 'devices directory']);
  });

  test('adding a device, to a group with a domain', () => {
    const steps = failEveryStep(
      ({ isolation, bench, g }) => isolation.addDev(g, bench.devices.get('new')!),
      ({ isolation, bench, g, platform }) => {
        isolation.initIommuDomain(g);
        bench.device('new', undefined, platform);
      },
    );
    expect(steps).toEqual(['isolation_group link', 'devices link', 'attach']);
  });

  test('adding a device that was adopted, with what was adopted because of it', () => {
    const steps = failEveryStep(
      ({ isolation, bench, h }) => isolation.addDev(h, bench.devices.get('child')!),
      ({ isolation, bench, h, platform }) => {
        bench.device('grandchild', bench.devices.get('child'), platform);
        isolation.initIommuDomain(h);
      },
    );
    const each = ['isolation_group link', 'devices link', 'attach'];
    expect(steps).toEqual([...each, ...each]);
  });

  test('registering the first provider of a bus: the chain is dropped again', () => {
    const steps = failEveryStep(({ isolation, bench, platform }) => {
      const another = bench.provider('another', () => 'n', bench.ops);
      isolation.registerNotifier(platform, another);
    });
    expect(steps).toEqual([
      'bus chain',
      'bus notifier',
      'provider',
      'group directory',
      'devices directory',
      'isolation_group link',
      'devices link',
    ]);
  });

  test('registering one more provider, several devices into several groups', () => {
    const steps = failEveryStep(
      ({ isolation, bench, platform }) => {
        isolation.registerNotifier(
          platform,
          bench.provider('second', ({ name }) => name),
        );
      },
      ({ isolation, bench, platform }) => {
        isolation.registerNotifier(
          platform,
          bench.provider('first', ({ name }) => (name === 'm' ? 'outside' : undefined)),
        );
        for (const name of ['m', 'n']) bench.device(name, undefined, platform);
      },
    );
    const group = ['group directory', 'devices directory', 'isolation_group link', 'devices link'];
    expect(steps).toEqual(['provider', ...group, ...group, ...group]);
  });

  test('initialising a domain', () => {
    const steps = failEveryStep(({ isolation, g }) => isolation.initIommuDomain(g));
    expect(steps).toEqual(['domain', 'domain init', 'attach', 'attach', 'attach']);
  });

  test('initialising the domain of a manager’s groups', () => {
    const steps = failEveryStep(
      ({ isolation, h }) => isolation.initIommuDomain(h),
      ({ isolation, g, h, owner }) => {
        for (const group of [g, h]) isolation.initManager(group, owner);
      },
    );
    expect(steps).toEqual(['domain', 'domain init', 'attach', 'attach', 'attach', 'attach', 'attach']);
  });

  test('joining a domain', () => {
    const steps = failEveryStep(
      ({ isolation, g, h }) => isolation.iommuDomainAddGroup(g, h),
      ({ isolation, g }) => isolation.initIommuDomain(g),
    );
    expect(steps).toEqual(['attach', 'attach']);
  });

  test('taking a group', () => {
    expect(failEveryStep(({ isolation, g, owner }) => isolation.initManager(g, owner))).toEqual(['manager']);
  });

  test('taking a group into an instance that has a domain', () => {
    const steps = failEveryStep(
      ({ isolation, h, owner }) => isolation.initManager(h, owner),
      ({ isolation, g, owner }) => {
        isolation.initManager(g, owner);
        isolation.initIommuDomain(g);
      },
    );
    expect(steps).toEqual(['manager', 'attach', 'attach']);
  });

  test('taking a group that brings the domain', () => {
    const steps = failEveryStep(
      ({ isolation, h, owner }) => isolation.initManager(h, owner),
      ({ isolation, g, h, owner }) => {
        isolation.initManager(g, owner);
        isolation.initIommuDomain(h);
      },
    );
    expect(steps).toEqual(['manager', 'attach', 'attach', 'attach']);
  });

  test('allowing a driver', () => {
    const steps = failEveryStep(
      ({ isolation, bench, g }) => isolation.managerAddDriver(g, bench.bus.drivers[0]!),
      ({ isolation, bench, g, owner }) => {
        bench.driver('vfio-pci');
        isolation.initManager(g, owner);
      },
    );
    expect(steps).toEqual(['allowed driver']);
  });

  test('consolidating', () => {
    const steps = failEveryStep(
      ({ isolation, g }) => isolation.consolidate(g),
      ({ bench, provider }) => {
        const all = ['g1', 'g2', 'h1', 'h2'].map((name) => bench.devices.get(name)!);
        provider.lacks = (devices) => (devices.length < 5 ? [{ lack: 'nop2p', why: 'test' }] : []);
        provider.segment = () => ({ bridge: all[0]!, devices: all });
      },
    );
    expect(steps).toEqual(['group directory', 'devices directory', ...Array(5).fill('devices link')]);
  });
});

describe('what nobody can be told of leaves the device without a group, and everything else as it was', () => {
  test.each([
    ['a new device of a bus with a provider', 'n1', false],
    ['a new device of a group with a domain', 'g9', false],
    ['a new device that is adopted', 'child 2', true],
  ])('%s', (_, name, adopted) => {
    for (let n = 1; ; n++) {
      const on = stage();
      on.isolation.initIommuDomain(on.g);
      const before = on.bench.state();
      on.bench.faults.failAt(n);
      const parent = adopted ? on.bench.devices.get('g1') : undefined;
      const device = on.bench.device(name, parent, adopted ? on.platform : on.bench.bus);
      const { fired } = on.bench.faults;
      on.bench.devices.delete(name);
      if (fired === undefined) {
        expect(on.isolation.groupOf(device)).toBeDefined();
        expect(n).toBeGreaterThan(3);
        return;
      }
      expect(on.bench.state()).toEqual(before);
      expect(on.isolation.groupOf(device)).toBeUndefined();
      expect(on.isolation.messages.warnings.at(-1)?.text).toContain(`${fired}: made to fail`);
    }
  });
});
