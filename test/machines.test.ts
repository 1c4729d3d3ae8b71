/**
 * Recorded machines are golden cases: the model forms the groups that a real kernel formed.
 *
 * The recordings made under QEMU are in test/fixtures/machines; those of real hardware are read from
 * ../shared/machines where that is there, and skipped, saying so, where it is not.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sortNames } from '../src/advise/describe.ts';
import { readHost } from '../src/host/read-host.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { boot } from '../src/machine/boot.ts';
import type { Machine } from '../src/machine/machine.ts';

const FIXTURES = new URL('fixtures/machines', import.meta.url).pathname;
const SHARED = new URL('../../shared/machines', import.meta.url).pathname;

/** random-30: its test IOMMU numbers its groups among those of the host machine; only the partition counts. */
const PARTITION_ONLY = new Set(['random-30']);

const partition = (groups: { devices: string[] }[]): string[] =>
  groups.map((group) => sortNames(group.devices).join(' ')).sort();

const files = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => !name.endsWith('.md')) : [];

function ungrouped(snapshot: Snapshot, groups: { devices: string[] }[]): string[] {
  const grouped = new Set(groups.flatMap((group) => group.devices));
  return sortNames(
    snapshot.devices.map((device) => device.address).filter((address) => !grouped.has(address)),
  );
}

async function load(path: string): Promise<{ snapshot: Snapshot; machine: Machine }> {
  const snapshot = await readHost(path);
  return { snapshot, machine: boot(snapshot) };
}

function cases(folder: string): void {
  test.each(files(folder))('%s: same groups, same devices without one', async (file) => {
    const { snapshot, machine } = await load(join(folder, file));
    const formed = snapshot.groups ?? [];
    if (formed.length === 0) return; // No IOMMU: nothing the kernel formed to compare with.
    expect(partition(machine.groups())).toEqual(partition(formed));
    expect(ungrouped(snapshot, machine.groups())).toEqual(ungrouped(snapshot, formed));
  });
}

describe('recorded under QEMU (fixtures)', () => {
  test('there are recordings', () => expect(files(FIXTURES).length).toBeGreaterThan(10));
  cases(FIXTURES);

  const numbered = files(FIXTURES).filter((file) => !PARTITION_ONLY.has(file.split('.')[0]!));
  test.each(numbered)('%s: same numbers, types and reserved regions', async (file) => {
    const { snapshot, machine } = await load(join(FIXTURES, file));
    const kernel = (snapshot.groups ?? []).map((group) => ({
      id: group.id,
      type: group.type,
      reservedRegions: group.reservedRegions,
      devices: sortNames(group.devices),
    }));
    const model = machine.groups().map((group) => ({
      id: group.id,
      type: group.type,
      reservedRegions: group.reservedRegions,
      devices: sortNames(group.devices),
    }));
    if (kernel.length > 0) expect(model).toEqual(kernel);
  });
});

describe.skipIf(!existsSync(SHARED))('recorded machines of ../shared/machines', () => {
  cases(join(SHARED, 'qemu'));
  cases(join(SHARED, 'real'));
});

if (!existsSync(SHARED))
  test.skip('../shared/machines is absent: real-hardware recordings not checked', () => {});
