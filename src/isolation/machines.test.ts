/** The isolation system on recorded machines: its groups are the kernel's, and what they lack follows from facts. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { readHost } from '../host/read-host.ts';
import { type BootOptions, boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import { isolate } from './isolate.ts';
import { answerOf, answerWithText, manager } from './testing.ts';

const FIXTURES = new URL('../../test/fixtures/machines', import.meta.url).pathname;
const SHARED = new URL('../../../shared/machines/real', import.meta.url).pathname;

async function isolated(path: string, options: BootOptions = {}) {
  const machine = boot(await readHost(path), options);
  const devices: Device[] = [
    ...machine.pci.devices,
    ...machine.snapshot.others.flatMap(({ name }) => machine.device(name) ?? []),
  ];
  const { core, iommu, acsContext: acs } = machine;
  return { machine, ...isolate({ core, iommu, acs, devices }) };
}

const fixture = (name: string, options?: BootOptions) => isolated(join(FIXTURES, `${name}.tar.gz`), options);
const files = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => !name.endsWith('.md')) : [];

const members = (groups: Iterable<{ devices: readonly (Device | string)[] }>): string[] =>
  [...groups]
    .map(({ devices }) =>
      devices
        .map((device) => (typeof device === 'string' ? device : device.name))
        .sort()
        .join(' '),
    )
    .sort();

/** Groups of devices behind an IOMMU: others isolate nothing. */
const translated = (machine: Machine) =>
  machine
    .groups()
    .filter(({ devices }) => devices.some((name) => machine.iommu.instanceOf(machine.device(name)!)));

describe.each([
  ...files(FIXTURES).map((file) => join(FIXTURES, file)),
  ...files(SHARED).map((file) => join(SHARED, file)),
])('%s', (path) => {
  test('isolation groups are the IOMMU groups, with software children where their parents are', async () => {
    const { machine, isolation } = await isolated(path);
    const own = [...isolation.groups.values()].map((group) => ({
      devices: group.devices.filter((device) => !isolation.isAdopted(device)),
    }));
    expect(members(own)).toEqual(members(translated(machine)));
  });

  test('without an override, what is known to the last fact lacks no blocking of peers', async () => {
    const { machine, isolation } = await isolated(path, { withoutOverride: true });
    const uncertain = new Set(machine.uncertain());
    for (const group of isolation.groups.values()) {
      if (group.devices.some(({ name }) => uncertain.has(name))) continue;
      expect([group.name, isolation.lacksOf(group).filter(({ lack }) => lack === 'nop2p')]).toEqual([
        group.name,
        [],
      ]);
    }
  });

  test('every group can be taken and given up under a policy that accepts its lacks, and nothing is left', async () => {
    const { isolation, provider } = await isolated(path);
    for (const group of [...isolation.groups.values()]) {
      isolation.accepted = new Set(isolation.lacksOf(group).map(({ lack }) => lack));
      const owner = manager();
      const answer = answerOf(() => isolation.initManager(group, owner));
      if (answer !== 'ok') {
        expect([answer, provider.unmanageable(group)]).toEqual(['EPERM', expect.stringContaining('1:1')]);
        continue;
      }
      isolation.freeManager(group);
    }
    provider.stop();
    expect(isolation.groups.size).toBe(0);
  });
});

describe('a recorded machine', () => {
  test('none: once the IOMMU that is only assumed for predictions is gone, nothing can be handed over', async () => {
    const { machine, isolation } = await fixture('none');
    for (const instance of machine.iommu.instances) machine.iommu.unregisterDevice(instance);
    expect(isolation.groups.size).toBe(0);
    for (const device of machine.pci.devices) {
      expect(answerOf(() => isolation.groupToHandOver(device))).toBe('ENODEV');
    }
  });

  test('vfio: the group of 01:00.0 is locked while 01:00.1 has no driver but an allowed one', async () => {
    const { machine, isolation } = await fixture('vfio');
    const [card, sibling] = ['0000:01:00.0', '0000:01:00.1'].map((name) => machine.device(name)!);
    const host = { name: 'host driver', bus: sibling!.bus!, match: (device: Device) => device === sibling };
    machine.core.registerDriver(host);
    const group = isolation.groupToHandOver(card!);
    isolation.accepted = new Set(['nomsi']);
    isolation.initManager(group, manager());
    isolation.managerAddDriver(group, card!.driver!);
    expect(isolation.strangers(group)).toEqual([sibling]);
    expect(answerOf(() => isolation.initIommuDomain(group))).toBe('EPERM');
    machine.core.unbind(sibling!);
    expect(isolation.managerLocked(group)).toBe(true);
    expect(answerOf(() => machine.core.bind(sibling!, host))).toBe('ENODEV');
    isolation.initIommuDomain(group);
    expect(machine.iommu.groupOf(sibling!)?.domain).toBe(group.domain?.handle);
  });

  test('acs-off with pcie_acs_override=: weak groups are refused, and consolidate into what mainline forms', async () => {
    const override = { extraCommandLine: 'pcie_acs_override=downstream,multifunction' };
    const overridden: { name: string; weak: number }[] = [];
    for (const name of ['acs-off', 'multifunction', 'multifunction-mixed-acs', 'switch', 'bridges']) {
      const honest = await fixture(name);
      const { isolation } = await fixture(name, override);
      isolation.accepted = new Set(['nomsi']);
      let weak = 0;
      for (const group of [...isolation.groups.values()]) {
        if (isolation.groups.get(group.name) !== group) continue;
        if (answerOf(() => isolation.planConsolidation(group)) === 'EINVAL') continue;
        const refusal = answerWithText(() => isolation.initManager(group, manager()));
        expect(refusal).toContain('nop2p (');
        expect(refusal).toContain('pcie_acs_override= only claims that');
        const report = isolation.consolidate(group);
        expect(refusal).toContain(`at ${report.bridge.name} would cure that`);
        expect(isolation.lacksOf(report.group).filter(({ lack }) => lack === 'nop2p')).toEqual([]);
        isolation.initManager(report.group, manager());
        isolation.freeManager(report.group);
        weak += report.merged.length;
      }
      overridden.push({ name, weak });
      expect(members(isolation.groups.values())).toEqual(members(honest.isolation.groups.values()));
    }
    expect(overridden.some(({ weak }) => weak > 1)).toBe(true);
  });

  test('what is plugged into a segment that was consolidated and handed over arrives with its owner', async () => {
    const override = { extraCommandLine: 'pcie_acs_override=downstream,multifunction' };
    const { machine, isolation } = await fixture('acs-off', override);
    isolation.accepted = new Set(['nomsi']);
    const card = machine.device('0000:02:00.1')!;
    const { group } = isolation.consolidate(isolation.groupToHandOver(card));
    const log: string[] = [];
    isolation.initManager(group, manager('vfio', log));
    const facts = machine.snapshot.devices.find(({ address }) => address === card.name)!;
    machine.unplug(card.name);
    machine.plug(facts);
    const again = machine.device(card.name)!;
    expect(again).not.toBe(card);
    expect(isolation.groupOf(again)).toBe(group);
    expect(again.driver).toBeUndefined();
    expect(log).toEqual([`${card.name} left ${group.name}`, `${card.name} arrived in ${group.name}`]);
  });
});
