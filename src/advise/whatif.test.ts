import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machine as recorded } from '../../test/support/machine.ts';
import { ACS_FULL } from '../../test/support/space.ts';
import { readHost } from '../host/read-host.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { boot } from '../machine/boot.ts';
import { changeText, type MachineChange, parseChange } from '../machine/change.ts';
import { PcieType } from '../pci/facts.ts';
import { PciIds } from '../pci/ids.ts';
import { Describer } from './describe.ts';
import { goalReport } from './goal.ts';
import type { GoalReport, WhatIfDevice, WhatIfReport } from './report.ts';
import { tryChanges } from './trial.ts';
import { whatIf } from './whatif.ts';

const FIXTURES = new URL('../../test/fixtures/machines', import.meta.url).pathname;
const FILES = readdirSync(FIXTURES);
const fixture = (name: string): Promise<Snapshot> => readHost(join(FIXTURES, `${name}.tar.gz`));
const ids = new PciIds('');
const describer = (snapshot: Snapshot): Describer => new Describer(snapshot, ids);
const ask = (snapshot: Snapshot, ...lines: string[]): WhatIfReport =>
  whatIf(snapshot, lines.map(parseChange), { describer });
const goal = (snapshot: Snapshot, name: string): GoalReport => goalReport(describer(snapshot), name);
const of = (report: WhatIfReport, name: string): WhatIfDevice | undefined =>
  report.devices.find(({ device }) => device.address === name);

const ENDPOINT = { vendor: 0x1af4, device: 0x1041, class: 0x020000, pcie: { type: PcieType.Endpoint } };
const rootPort = (at: string, secondary: number, acs: boolean) => ({
  at,
  vendor: 0x1b36,
  device: 0x000c,
  class: 0x060400,
  multifunction: true,
  bridge: { primary: 0, secondary, subordinate: secondary },
  pcie: { type: PcieType.RootPort },
  ...(acs && { acs: ACS_FULL }),
});

/** 1c.0 and 1c.1 without ACS and with a card each; 1c.4 isolates and is free. */
const board = (): Snapshot =>
  recorded({
    kernel: { cmdline: 'intel_iommu=on' },
    functions: [
      { at: '00:00.0', vendor: 0x8086, device: 0x1234, class: 0x060000 },
      rootPort('00:1c.0', 1, false),
      rootPort('00:1c.1', 2, false),
      rootPort('00:1d.0', 3, true),
      { at: '01:00.0', ...ENDPOINT, multifunction: true },
      { at: '01:00.1', ...ENDPOINT },
      { at: '02:00.0', ...ENDPOINT },
    ],
  });

describe('worth', () => {
  test('an override is a claim', async () => {
    const report = ask(board(), 'acs-override=downstream,multifunction');
    expect(of(report, '0000:02:00.0')).toMatchObject({ effect: 'gained', worth: 'claim', after: [] });
    expect(report.parameters).toEqual(['pcie_acs_override=downstream,multifunction']);
    expect(report.summary.gained.real).toBe(0);
  });

  test('bits that the port has are real isolation, and the parameter is told', async () => {
    const snapshot = await fixture('disable-acs-redir');
    const report = ask(snapshot, 'set-acs=0000:00:02.0=xx11101');
    expect(of(report, '0000:01:00.0')).toMatchObject({ effect: 'gained', worth: 'real', after: [] });
    expect(report.parameters).toEqual(['pci=config_acs=xx11101@0000:00:02.0']);
  });

  test('a real gain stays real beside a claim for others', () => {
    const report = ask(board(), 'acs-override=downstream', 'move=01:00.0=00:1d.0');
    expect(of(report, '0000:01:00.0')).toMatchObject({ now: '0000:03:00.0', worth: 'real' });
    // What was removed from its side is real; that the ports split is not.
    expect(of(report, '0000:02:00.0')).toMatchObject({ effect: 'gained', worth: 'claim' });
  });

  test("another kernel's rules are neither", () => {
    const report = ask(board(), 'policy=acs-2025');
    expect(report.policy).toEqual({ before: 'linux-6.12', after: 'acs-2025' });
    for (const { worth } of report.devices) if (worth !== undefined) expect(worth).toBe('rules');
  });

  test('firmware that shows ACS: real, if it does', () => {
    const report = ask(board(), 'firmware-acs=00:1c.0', 'firmware-acs=00:1c.1');
    expect(of(report, '0000:02:00.0')).toMatchObject({ worth: 'firmware', after: [] });
  });

  test('a quirk removed: what rested on it is lost', async () => {
    const snapshot = await readHost(new URL('../../examples/desktop.json', import.meta.url).pathname);
    const machine = boot(snapshot);
    const quirk = machine.pci.devices.flatMap(({ name }) => machine.quirks(name))[0];
    if (quirk === undefined) return;
    const report = ask(snapshot, `without-quirk=${quirk.split(': ')[1]}`);
    expect(report.notes).not.toContainEqual(expect.stringContaining('no device of this machine'));
  });
});

describe('changes', () => {
  test('the IOMMU off: every group is lost; on: the groups that would form are gained', async () => {
    const off = ask(await fixture('vfio'), 'iommu=off');
    expect(off.after).toEqual([]);
    expect(off.summary.lost).toBe(off.before.flatMap(({ devices }) => devices).length);
    const on = ask(await fixture('none'), 'iommu=on');
    expect(on.before).toEqual([]);
    expect(on.summary.gained.real).toBeGreaterThan(0);
  });

  test('virtual functions: fewer and more, each where the registers say', async () => {
    const snapshot = await fixture('sriov-igb');
    const machine = boot(snapshot);
    const physical = machine.pci.devices.find(({ facts }) => facts.sriov?.enabled)!;
    const count = machine.pci.devices.filter(({ physfn }) => physfn === physical).length;
    const fewer = ask(snapshot, `vfs=${physical.name}=${count - 1}`);
    expect(fewer.devices.filter(({ effect }) => effect === 'gone')).toHaveLength(1);
    const more = ask(snapshot, `vfs=${physical.name}=${count + 1}`);
    expect(more.devices.filter(({ effect }) => effect === 'new')).toHaveLength(1);
    const same = ask(snapshot, `vfs=${physical.name}=${count}`);
    expect(same.devices).toEqual([]);
    expect(() => ask(snapshot, `vfs=${physical.name}=9999`)).toThrow(InputError);
  });

  test('two cards change places', () => {
    const report = ask(board(), 'move=01:00.0=00:1c.1', 'move=02:00.0=00:1c.0');
    expect(of(report, '0000:01:00.1')).toMatchObject({ now: '0000:02:00.1' });
    expect(of(report, '0000:02:00.0')).toMatchObject({ now: '0000:01:00.0' });
  });

  test('buses that are in the way move on, and registers follow', () => {
    const report = ask(board(), 'add=00:1d.0=switch:4');
    const below = report.devices.filter(({ effect }) => effect === 'new').map(({ now }) => now);
    expect(below).toEqual(['0000:03:00.0', '0000:04:00.0', '0000:04:01.0', '0000:04:02.0', '0000:04:03.0']);
    const shifted = ask(board(), 'remove=01:00.0', 'add=00:1c.0=switch');
    expect(of(shifted, '0000:02:00.0')).toMatchObject({ now: '0000:05:00.0' });
    expect(of(shifted, '0000:01:00.0')).toMatchObject({ now: null, effect: 'gone' });
  });

  test.each([
    ['move=00:1c.0=00:1d.0', /is a port/],
    ['move=01:00.0=00:1c.1', /has a card already/],
    ['move=01:00.0=02:00.0', /is no port/],
    ['move=09:00.0=00:1d.0', /is no PCI function/],
    ['set-acs=01:00.0=1111111111', /bits that ACS does not have/],
    ['acs-override=sideways', /is not known/],
    ['policy=linux-9', /there is no/],
    ['add=00:1d.0=toaster', /is no card/],
    ['drop-parameter=config_acs', /has no config_acs/],
    ['vfs=01:00.0=1', /has no SR-IOV/],
  ])('%s is refused', (line, message) => {
    expect(() => ask(board(), line)).toThrow(message);
  });

  test('text and back', () => {
    const lines = [
      'acs-override=downstream,id:10de:1b80',
      'set-acs=0000:00:1c.0=xx11101',
      'move=0000:03:00.0=0000:00:1c.4',
      'add=0000:00:1c.4=switch:4',
      'remove=0000:02:00.0',
      'vfs=0000:01:00.0=4',
      'policy=acs-2025',
      'iommu=off',
      'without-quirk=Intel 82576',
      'firmware-acs=0000:00:01.1',
      'drop-parameter=config_acs',
    ];
    for (const line of lines) expect(changeText(parseChange(line))).toBe(line);
    for (const line of ['', 'move', 'move=', 'move=a', 'iommu=maybe', 'vfs=a=b', 'toString=1', 'set-acs=a=2'])
      expect(() => parseChange(line), line).toThrow(InputError);
  });

  test('reports are plain data', () => {
    const report = ask(board(), 'move=01:00.0=00:1d.0');
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });
});

describe('goal', () => {
  test('a free port that isolates, before the override', () => {
    const report = goal(board(), '0000:02:00.0');
    expect(report.reachable).toBe('yes');
    expect(report.ways[0]).toMatchObject({ worth: 'real', reaches: 'alone', device: '0000:03:00.0' });
    expect(report.ways[0]!.changes.map(({ text }) => text)).toEqual(['move=0000:02:00.0=0000:00:1d.0']);
    expect(report.ways.at(-1)!.worth).toBe('claim');
  });

  test('parameters that keep ACS off go first', async () => {
    const report = goal(await fixture('disable-acs-redir'), '0000:01:00.0');
    expect(report.ways[0]!.changes[0]!.text).toBe('drop-parameter=disable_acs_redir');
    expect(report.ways[1]!.parameters[0]).toContain('pci=config_acs=');
  });

  test('a claim that is on the command line already is no isolation', () => {
    const snapshot = board();
    snapshot.kernel.cmdline += ' pcie_acs_override=downstream,multifunction';
    const report = goal(snapshot, '0000:02:00.0');
    expect(report.reachable).toBe('yes');
    expect(report.notes[0]).toContain('left out here');
  });

  test('what no IOMMU translates cannot have a group', () => {
    const report = goalReport(describer(board()), '0000:02:00.0', { iommu: 'off' });
    expect(report).toMatchObject({ reachable: 'no', group: null, ways: [] });
  });

  test.each(FILES)('%s: every way holds when the changed machine is booted', async (file) => {
    const snapshot = await readHost(join(FIXTURES, file));
    const machine = boot(snapshot, { withoutOverride: true });
    const shared = machine.groups().find(({ devices }) => devices.length > 1);
    for (const name of shared?.devices.slice(-1) ?? []) {
      if (machine.pci.find(name) === undefined) continue;
      const report = goal(snapshot, name);
      for (const way of report.ways) {
        const changes = way.changes.map(({ change }) => change);
        const trial = tryChanges(machine, name, changes, { withoutOverride: way.worth !== 'claim' })!;
        const members = trial.machine.groupOf(way.device)!.devices;
        expect(members.filter((other) => other !== way.device).sort()).toEqual([...way.with].sort());
        if (way.reaches === 'alone') expect(members).toEqual([trial.name]);
      }
      const worths = report.ways.map(({ worth }) => ['real', 'firmware', 'rules', 'claim'].indexOf(worth));
      expect(worths).toEqual([...worths].sort());
    }
  });
});

describe('any changes to any recorded machine', () => {
  const flags = fc
    .array(fc.constantFrom('0', '1', 'x'), { minLength: 1, maxLength: 7 })
    .map((a) => a.join(''));

  test.each(FILES.filter((file) => !file.startsWith('random')))('%s', async (file) => {
    const snapshot = await readHost(join(FIXTURES, file));
    const names = snapshot.devices.map(({ address }) => address);
    const device = fc.constantFrom(...names);
    const change: fc.Arbitrary<MachineChange> = fc.oneof(
      fc.record({
        change: fc.constant('acs-override' as const),
        words: fc.constantFrom('downstream', 'multifunction'),
      }),
      fc.record({ change: fc.constant('set-acs' as const), device, flags }),
      fc.record({ change: fc.constant('firmware-acs' as const), device }),
      fc.record({ change: fc.constant('move' as const), card: device, to: device }),
      fc.record({
        change: fc.constant('add' as const),
        to: device,
        what: fc.oneof(device, fc.constantFrom('card', 'card:2', 'switch', 'plain-switch', 'pci-bridge')),
      }),
      fc.record({ change: fc.constant('remove' as const), card: device }),
      fc.record({ change: fc.constant('vfs' as const), device, count: fc.nat(8) }),
      fc.record({
        change: fc.constant('policy' as const),
        name: fc.constantFrom('acs-2025', 'vtd-2012', 'single'),
      }),
      fc.record({ change: fc.constant('iommu' as const), on: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        let report: WhatIfReport;
        try {
          report = whatIf(snapshot, changes, { describer });
        } catch (error) {
          if (error instanceof InputError) return;
          throw error;
        }
        const after = report.after.flatMap(({ devices }) => devices.map(({ address }) => address));
        expect(new Set(after).size).toBe(after.length);
        for (const one of report.devices) {
          if (one.now === null) continue;
          const group = report.after.find(({ devices }) =>
            devices.some(({ address }) => address === one.now),
          );
          expect(one.after === null).toBe(group === undefined);
          expect(one.after?.length ?? 0).toBe(Math.max(0, (group?.devices.length ?? 0) - 1));
        }
        expect(whatIf(snapshot, changes, { describer })).toEqual(report);
      }),
      { numRuns: 25 },
    );
  });
});
