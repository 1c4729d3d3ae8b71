import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { comparePartitions, modelPartition } from '../advise/partition.ts';
import { readHost } from '../host/read-host.ts';
import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { PcieType } from '../pci/facts.ts';
import { applyChanges, bootChanged } from './apply-changes.ts';
import { boot } from './boot.ts';
import type { Machine } from './machine.ts';

const FIXTURES = new URL('../../test/fixtures/machines', import.meta.url).pathname;
const EXAMPLES = new URL('../../examples', import.meta.url).pathname;
const REAL = new URL('../../../shared/machines/real', import.meta.url).pathname;
const recorded = [
  ...readdirSync(FIXTURES).map((file) => join(FIXTURES, file)),
  ...readdirSync(EXAMPLES)
    .filter((file) => file.endsWith('.json'))
    .map((file) => join(EXAMPLES, file)),
  ...(existsSync(REAL) ? readdirSync(REAL).filter((file) => !file.endsWith('.md')) : []).map((file) =>
    join(REAL, file),
  ),
];

/** Ports of slots, taken ones first, and what is in them. */
function slots(machine: Machine): { free: string[]; taken: { port: string; card: string }[] } {
  const free: string[] = [];
  const taken: { port: string; card: string }[] = [];
  for (const port of machine.pci.devices) {
    const bus = port.subordinate;
    if (bus === undefined || (port.pcieType !== PcieType.RootPort && port.pcieType !== PcieType.Downstream))
      continue;
    const [card] = bus.devices;
    if (card === undefined) free.push(port.name);
    else if (!card.isVirtual) taken.push({ port: port.name, card: card.name });
  }
  return { free, taken };
}

/** What every machine promises, however it came about. */
function assertCoherent(machine: Machine, snapshot: Snapshot): void {
  const seen = new Set<string>();
  for (const { devices } of machine.groups()) {
    for (const name of devices) {
      expect(seen.has(name), `${name} is in two groups`).toBe(false);
      seen.add(name);
    }
  }
  expect(machine.pci.size).toBe(snapshot.devices.length);
  for (const device of machine.pci.devices) {
    const grouped = machine.groupOf(device.name) !== undefined;
    expect(grouped || machine.noGroupReason(device.name) !== undefined, device.name).toBe(true);
    const numbers = device.facts.bridge;
    if (numbers && device.subordinate !== undefined) {
      expect(device.subordinate.number).toBe(numbers.secondary);
      for (const below of device.subordinate.devices) expect(below.upstreamBridge).toBe(device);
    }
  }
}

const partition = (machine: Machine): string[] =>
  machine
    .groups()
    .map(({ devices }) => [...devices].sort().join(' '))
    .sort();

describe.each(recorded)('%s', (path) => {
  const name = path.split('/').at(-1)!;

  test(`${name}: adding a card and taking it out again gives the groups there were`, async () => {
    const snapshot = await readHost(path);
    const before = boot(snapshot);
    for (const to of slots(before).free.slice(0, 2)) {
      for (const what of ['card:2', 'switch:3', 'plain-switch', 'pci-bridge:2']) {
        const added = applyChanges(snapshot, [{ change: 'add', to, what }]);
        const machine = bootChanged(added);
        assertCoherent(machine, added.snapshot);
        expect(added.added.length).toBeGreaterThan(0);
        const port = added.now!.get(to)!;
        if (machine.groupOf(port) !== undefined)
          for (const one of added.added) expect(machine.groupOf(one), `${one} ${what}`).toBeDefined();
        const first = added.added[0]!;
        const back = applyChanges(snapshot, [
          { change: 'add', to, what },
          { change: 'remove', card: first },
        ]);
        expect(back.added).toEqual([]);
        const renamed = new Map(
          [...modelPartition(bootChanged(back))].map(([at, id]) => {
            const was = [...back.now!].find(([, now]) => now === at)?.[0];
            return [was ?? at, id];
          }),
        );
        expect(comparePartitions(renamed, modelPartition(before), [])).toEqual([]);
      }
    }
  });

  test(`${name}: every card can be taken out, and put into every free slot`, async () => {
    const snapshot = await readHost(path);
    const before = boot(snapshot);
    const { free, taken } = slots(before);
    for (const { card, port } of taken.slice(0, 6)) {
      const without = applyChanges(snapshot, [{ change: 'remove', card }]);
      assertCoherent(bootChanged(without), without.snapshot);
      expect(without.now!.has(card)).toBe(false);
      for (const to of [...free.slice(0, 2), port]) {
        let moved: ReturnType<typeof applyChanges>;
        try {
          moved = applyChanges(snapshot, [{ change: 'move', card, to }]);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          continue;
        }
        const machine = bootChanged(moved);
        assertCoherent(machine, moved.snapshot);
        expect(machine.pci.size).toBe(before.pci.size);
        const now = moved.now!.get(card)!;
        expect(machine.parentOf(now)).toBe(moved.now!.get(to));
        if (before.groupOf(card) && before.groupOf(to)) expect(machine.groupOf(now), now).toBeDefined();
        if (to === port) expect(partition(machine)).toEqual(partition(before));
      }
    }
  });
});
