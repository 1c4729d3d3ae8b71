/** Devices that no provider gives a group (isolation.md 3). */

import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { IsolationManager } from './manager.ts';
import { answerOf, answerWithText, IsolationBench, manager } from './testing.ts';

/** A provider for PCI that groups by initial, and says of `o…` that nothing translates it. */
function machine() {
  const bench = new IsolationBench();
  const platform = bench.addBus('platform');
  const provider = bench.provider(
    'iommu',
    ({ name }) => (name.startsWith('o') ? 'outside' : name.charAt(0)),
    bench.ops,
  );
  bench.isolation.registerNotifier(bench.bus, provider);
  return { bench, platform, provider, isolation: bench.isolation };
}

describe('a device on a bus no provider knows', () => {
  test('joins the group of its parent bridge when it is added', () => {
    const { bench, platform, isolation } = machine();
    const child = bench.device('i2c-designware.0', bench.device('gpu'), platform);
    expect(bench.partition()).toEqual({ g: ['gpu', 'i2c-designware.0'] });
    expect(isolation.isAdopted(child)).toBe(true);
    expect(bench.sysfs.realpath(`${child.kobj!.path}/isolation_group`)).toBe('/isolation/g');
  });

  test('also below devices on no bus, which are nobody’s members, and below adopted ones', () => {
    const { bench, platform, isolation } = machine();
    const adapter = bench.plain('i2c-0', bench.device('gpu'));
    const sensor = bench.device('sensor', adapter, platform);
    bench.device('deeper', sensor, platform);
    expect(bench.partition()).toEqual({ g: ['gpu', 'sensor', 'deeper'] });
    expect(isolation.groupOf(adapter)).toBeUndefined();
  });

  test('only if nothing else has given it one', () => {
    const { bench, platform } = machine();
    bench.isolation.registerNotifier(
      platform,
      bench.provider('smmu', () => 'smmu'),
    );
    bench.device('child', bench.device('gpu'), platform);
    expect(bench.partition()).toEqual({ g: ['gpu'], smmu: ['child'] });
  });

  test('a provider that claims it for the very group that adopted it has it by right from then on', () => {
    const { bench, platform, isolation } = machine();
    const child = bench.device('child', bench.device('gpu'), platform);
    expect(isolation.isAdopted(child)).toBe(true);
    isolation.addDev(isolation.groupOf(child)!, child);
    expect(isolation.isAdopted(child)).toBe(false);
    expect(bench.partition()).toEqual({ g: ['gpu', 'child'] });
  });

  test('is decided when it is added: a parent without a group then, no group later', () => {
    const { bench, platform, isolation } = machine();
    const child = bench.device('child', bench.device('outsider'), platform);
    expect(isolation.groupOf(child)).toBeUndefined();
    expect(answerWithText(() => isolation.groupToHandOver(child))).toContain(
      'no provider knows it or anything above',
    );
  });

  test('a bus whose providers have nothing to say about it: a software child lands with its parent as well', () => {
    const { bench, platform } = machine();
    const silent = bench.provider('silent', () => undefined);
    bench.isolation.registerNotifier(platform, silent);
    bench.device('child', bench.device('gpu'), platform);
    expect(silent.log).toEqual(['add child']);
    expect(bench.partition()).toEqual({ g: ['gpu', 'child'] });
  });

  test('goes when its parent leaves the group, and when it is deleted', () => {
    const { bench, platform, isolation } = machine();
    const gpu = bench.device('gpu');
    const child = bench.device('child', gpu, platform);
    const deeper = bench.device('deeper', bench.plain('adapter', child), platform);
    bench.core.deleteDevice(deeper);
    expect(bench.partition()).toEqual({ g: ['gpu', 'child'] });
    isolation.delDev(gpu);
    expect(bench.partition()).toEqual({ g: [] });
    expect(bench.sysfs.exists(`${child.kobj!.path}/isolation_group`)).toBe(false);
  });

  test('is attached to the domain of the group and its manager is told', () => {
    const { bench, platform, isolation } = machine();
    const log: string[] = [];
    const gpu = bench.device('gpu');
    const group = isolation.groupOf(gpu)!;
    isolation.initIommuDomain(group);
    isolation.initManager(group, manager('vfio', log));
    const child = bench.device('child', gpu, platform);
    expect(bench.ops.log).toEqual(['attach gpu', 'attach child']);
    bench.core.deleteDevice(child);
    expect(log).toEqual(['child arrived in g', 'child left g']);
  });

  test('devices that were there before anybody registered are adopted once their parent has a group', () => {
    const bench = new IsolationBench();
    const platform = bench.addBus('platform');
    bench.device('child', bench.plain('adapter', bench.device('gpu')), platform);
    bench.isolation.registerNotifier(bench.bus, bench.provider('iommu'));
    expect(bench.partition()).toEqual({ g: ['gpu', 'child'] });
  });

  test('one that cannot be adopted has no group, and that is logged', () => {
    const { bench, platform, isolation } = machine();
    const gpu = bench.device('gpu');
    isolation.initIommuDomain(isolation.groupOf(gpu)!);
    bench.faults.failEvery('attach', 'EIO');
    const child = bench.device('child', gpu, platform);
    expect(isolation.groupOf(child)).toBeUndefined();
    expect(isolation.messages.warnings.map(({ object }) => object)).toEqual(['child']);
  });
});

describe('devices that no IOMMU translates', () => {
  test('have no group even below one that has, and can never be handed over: ENODEV', () => {
    const { bench, isolation } = machine();
    const outsider = bench.device('outsider', bench.device('bridge'));
    expect(bench.partition()).toEqual({ b: ['bridge'] });
    expect(answerWithText(() => isolation.groupToHandOver(outsider))).toBe(
      'outsider: is in no isolation group (iommu says nothing translates it), so it cannot be handed over [ENODEV]',
    );
    expect(answerOf(() => isolation.groupToHandOver(bench.devices.get('bridge')!))).toBe('ok');
  });

  test('leave the group that adopted them before their bus had a provider, unless somebody has that', () => {
    const { bench, isolation } = machine();
    const inner = bench.addBus('inner');
    const [a, b] = ['a', 'b'].map((name) => bench.device(name)) as [Device, Device];
    const raw = [a, b].map((parent) => bench.device(`raw of ${parent.name}`, parent, inner));
    isolation.initManager(isolation.groupOf(b)!, manager());
    isolation.registerNotifier(
      inner,
      bench.provider('late', () => 'outside'),
    );
    expect(raw.map((device) => isolation.groupOf(device)?.name)).toEqual([undefined, 'b']);
  });
});

describe('a bridge card with an IOMMU of its own', () => {
  /** A card on the PCI bus, with two devices on a bus of its own below it. */
  function card() {
    const on = machine();
    const inner = on.bench.addBus('inner');
    const bridge = on.bench.device('card');
    const devices = ['x1', 'y1'].map((name) => on.bench.device(name, bridge, inner));
    return { ...on, inner, bridge, devices, own: on.bench.provider('card iommu') };
  }

  test('its devices are in its group until its provider registers, and return when that goes', () => {
    const { bench, isolation, inner, devices, own } = card();
    expect(bench.partition()).toEqual({ c: ['card', 'x1', 'y1'] });
    isolation.registerNotifier(inner, own);
    expect(bench.partition()).toEqual({ c: ['card'], x: ['x1'], y: ['y1'] });
    for (const device of devices) own.removed(device);
    expect(bench.partition()).toEqual({ c: ['card'] });
    isolation.unregisterNotifier(inner, own);
    expect(bench.partition()).toEqual({ c: ['card', 'x1', 'y1'] });
  });

  test('its provider forms groups below only while the bridge is not handed over itself', () => {
    const { bench, isolation, inner, bridge, own } = card();
    const group = isolation.groupOf(bridge)!;
    isolation.initManager(group, manager());
    expect(answerOf(() => isolation.registerNotifier(inner, own))).toBe('EBUSY');
    expect(bench.partition()).toEqual({ c: ['card', 'x1', 'y1'] });
    isolation.freeManager(group);
    isolation.registerNotifier(inner, own);
    isolation.initManager(group, manager());
    bench.device('x2', bridge, inner);
    expect(bench.partition()).toEqual({ c: ['card', 'x2'], x: ['x1'], y: ['y1'] });
    expect(isolation.messages.warnings.at(-1)?.text).toContain('card above it is handed over to vfio');
  });

  test('what was adopted because of a device moves along with it', () => {
    const { bench, isolation, platform, inner, devices, own } = card();
    bench.device('child', devices[0], platform);
    expect(bench.partition().c).toContain('child');
    isolation.registerNotifier(inner, own);
    expect(bench.partition()).toEqual({ c: ['card'], x: ['x1', 'child'], y: ['y1'] });
    expect(bench.sysfs.readdir('/isolation/c/devices')).toEqual(['card']);
  });

  test('the manager of the group they arrive in is told of each, once all are members', () => {
    const { bench, isolation, platform, inner, devices } = card();
    const child = bench.device('child', devices[0], platform);
    bench.device('deeper', bench.plain('adapter', child), platform);
    const group = bench.group('taken');
    const log: string[] = [];
    isolation.initManager(
      group,
      new IsolationManager({
        name: 'vfio',
        arrived: (device, to) => void log.push(`${device.name}, one of ${to.size}`),
      }),
    );
    isolation.addDev(group, devices[0]!);
    expect(log).toEqual(['x1, one of 3', 'child, one of 3', 'deeper, one of 3']);
    expect(inner.devices).toContain(devices[0]);
  });

  test('none of them leaves a group that is managed; when they go with its device, its manager is told of each', () => {
    const { bench, isolation, platform, bridge, devices } = card();
    bench.device('child', devices[0], platform);
    const log: string[] = [];
    isolation.initManager(isolation.groupOf(bridge)!, manager('vfio', log));
    expect(answerOf(() => isolation.addDev(bench.group('elsewhere'), devices[0]!))).toBe('EBUSY');
    expect(log).toEqual([]);
    isolation.delDev(devices[0]!);
    expect(log).toEqual(['child left c', 'x1 left c']);
  });
});
