/** isolation.md 3: refusing is not enough, several weak groups may consolidate into one strong group further up. */

import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { answerOf, answerWithText, IsolationBench, MockOps, manager } from './testing.ts';

/**
 * port ─ x, y, z, each a group of its own that can reach the others below the port, which isolates; and `other`,
 * which is strong.
 */
function segment(lacking: (devices: readonly Device[]) => boolean = (devices) => devices.length < 3) {
  const bench = new IsolationBench();
  const bridge = bench.plain('bridge');
  const provider = bench.provider('p', ({ name }) => (name === 'port' ? undefined : name), bench.ops);
  bench.isolation.registerNotifier(bench.bus, provider);
  const port = bench.device('port', bridge);
  const below = ['x', 'y', 'z'].map((name) => bench.device(name, port));
  bench.device('other', bridge);
  provider.lacks = (devices) =>
    devices.some((device) => below.includes(device)) && lacking(devices)
      ? [{ lack: 'nop2p', why: `${devices[0]!.name} can reach the rest` }]
      : [];
  provider.segment = (devices) =>
    devices.some((device) => below.includes(device)) ? { bridge: port, devices: below } : undefined;
  const group = (name: string) => bench.isolation.groups.get(name)!;
  return { bench, isolation: bench.isolation, provider, port, below, group };
}

describe('consolidation', () => {
  test('the refusal of a manager says which groups would have to come together, and where', () => {
    const { isolation, group } = segment();
    expect(answerWithText(() => isolation.initManager(group('y'), manager()))).toBe(
      'isolation group y: lacks what policy asks for: nop2p (y can reach the rest) ' +
        '(consolidating x, y, z at port would cure that) [EPERM]',
    );
  });

  test('makes one strong group at the bridge that isolates, and the report says which', () => {
    const { bench, isolation, provider, port, below, group } = segment();
    const report = isolation.consolidate(group('y'));
    expect(report.bridge).toBe(port);
    expect(
      report.merged.map(({ name, devices, lacks }) => [name, devices.length, lacks.map(({ lack }) => lack)]),
    ).toEqual([
      ['x', 1, ['nop2p']],
      ['y', 1, ['nop2p']],
      ['z', 1, ['nop2p']],
    ]);
    expect(report.cured.length).toBe(3);
    expect(report.remaining).toEqual([]);
    expect(report.group.name).toBe('port');
    expect(report.group.bridge).toBe(port);
    expect(bench.partition()).toEqual({ other: ['other'], port: ['x', 'y', 'z'] });
    for (const device of below) {
      expect(isolation.groupOf(device)).toBe(report.group);
      expect(bench.sysfs.realpath(`${device.kobj!.path}/isolation_group`)).toBe('/isolation/port');
    }
    expect(bench.sysfs.readdir('/isolation')).toEqual(['other', 'port']);
    expect([...provider.groups.values()].filter((each) => each === report.group).length).toBe(3);
    isolation.initManager(report.group, manager());
    isolation.initIommuDomain(report.group);
    expect(bench.ops.attached.size).toBe(3);
  });

  test('a plan changes nothing and tells the same', () => {
    const { bench, isolation, group } = segment();
    const before = bench.state();
    const plan = isolation.planConsolidation(group('x'));
    expect(bench.state()).toEqual(before);
    const { group: _, ...done } = isolation.consolidate(group('x'));
    expect(done).toEqual(plan);
  });

  test('takes the name of its bridge although a group that goes has it', () => {
    const { bench, isolation, provider, port, below } = segment();
    isolation.delDev(below[0]!);
    const named = isolation.createGroup(provider, 'port');
    isolation.setIommuOps(named, bench.ops);
    isolation.addDev(named, below[0]!);
    isolation.addDev(named, port);
    provider.lacks = (devices) => (devices.length < 4 ? [{ lack: 'nop2p', why: '' }] : []);
    const { group } = isolation.consolidate(named);
    expect(group.name).toBe('port');
    expect(isolation.groups.get('port')).toBe(group);
    expect(bench.sysfs.realpath('/devices/bridge/port/isolation_group')).toBe('/isolation/port');
    expect(answerOf(() => isolation.initManager(group, manager()))).toBe('ok');
  });

  test('whole groups come in, with what was adopted in them', () => {
    const { bench, isolation, below, group } = segment();
    const child = bench.device('child', below[0], bench.addBus('platform'));
    const { group: strong } = isolation.consolidate(group('z'));
    expect(bench.partition().port).toEqual(['x', 'child', 'y', 'z']);
    expect(isolation.isAdopted(child)).toBe(true);
    isolation.delDev(below[0]!);
    expect(strong.devices.map(({ name }) => name)).toEqual(['y', 'z']);
  });

  test('EINVAL where policy asks for nothing more; EPERM where nothing above cures, every lack named', () => {
    const { isolation, group } = segment();
    expect(answerOf(() => isolation.consolidate(group('other')))).toBe('EINVAL');
    isolation.accepted = new Set(['nop2p']);
    expect(answerOf(() => isolation.consolidate(group('x')))).toBe('EINVAL');
    const never = segment(() => true);
    expect(answerWithText(() => never.isolation.consolidate(never.group('x')))).toBe(
      'isolation group x: no bridge above cures what it lacks: nop2p (x can reach the rest) [EPERM]',
    );
  });

  test('EBUSY when a group that must come in is managed or has a domain', () => {
    const { bench, isolation, group } = segment();
    isolation.initIommuDomain(group('z'));
    expect(answerOf(() => isolation.consolidate(group('x')))).toBe('EBUSY');
    isolation.freeIommuDomain(group('z'));
    isolation.accepted = new Set(['nop2p']);
    isolation.initManager(group('z'), manager());
    isolation.accepted = new Set();
    const before = bench.state();
    expect(answerOf(() => isolation.consolidate(group('x')))).toBe('EBUSY');
    expect(bench.state()).toEqual(before);
  });

  test('EPERM when one can be nobody’s, EIO when IOMMU operations differ, EINVAL for another provider’s', () => {
    const { bench, isolation, provider, below, group } = segment();
    provider.why = ({ name }) => (name === 'y' ? 'firmware says so' : undefined);
    expect(answerOf(() => isolation.consolidate(group('x')))).toBe('EPERM');
    provider.why = () => undefined;
    isolation.delDev(below[1]!);
    const foreign = isolation.createGroup({ name: 'somebody else' }, 'foreign');
    isolation.addDev(foreign, below[1]!);
    expect(answerOf(() => isolation.consolidate(group('x')))).toBe('EINVAL');
    isolation.delDev(below[1]!);
    const odd = isolation.createGroup(provider, 'odd');
    isolation.setIommuOps(odd, new MockOps(bench.faults, 'odd'));
    isolation.addDev(odd, below[1]!);
    expect(answerOf(() => isolation.consolidate(group('x')))).toBe('EIO');
  });

  test('climbs as far as it must: what comes in may ask for more', () => {
    const { isolation, bench, provider, below, group } = segment((devices) => devices.length < 4);
    const other = bench.devices.get('other')!;
    provider.segment = (devices) => ({
      bridge: devices.length < 3 ? bench.devices.get('port')! : bench.devices.get('bridge')!,
      devices: devices.length < 3 ? below : [...below, other],
    });
    const report = isolation.consolidate(group('x'));
    expect([report.bridge.name, report.devices.length]).toEqual(['bridge', 4]);
  });

  test('a disputed device stays disputed', () => {
    const { isolation, below, group } = segment();
    const theirs = isolation.createGroup({ name: 'somebody else' });
    expect(answerOf(() => isolation.addDev(theirs, below[2]!))).toBe('EBUSY');
    expect(answerWithText(() => isolation.consolidate(group('x')))).toContain('no bridge above cures');
    isolation.accepted = new Set(['disputed']);
    const { group: strong, remaining } = isolation.consolidate(group('x'));
    expect(remaining.map(({ lack }) => lack)).toEqual(['disputed']);
    expect(isolation.lacksOf(strong)).toEqual(remaining);
  });
});
