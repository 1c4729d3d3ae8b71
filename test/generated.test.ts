/** Generated machines know their groups without the rules: every shape has one outcome (grouping.md 11). */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readHost } from '../src/host/read-host.ts';
import type { Snapshot } from '../src/host/snapshot.ts';
import { boot } from '../src/machine/boot.ts';
import { generate } from './support/generate.ts';
import { lspciHex, writeTree } from './support/tree.ts';

const groupsOf = (snapshot: Snapshot): string[] =>
  boot(snapshot)
    .groups()
    .map((group) => [...group.devices].sort().join(' '));
const expected = (partition: string[][]): string[] =>
  partition.map((members) => [...members].sort().join(' '));

describe('generate', () => {
  test('the same seed gives the same machine', () => {
    expect(generate(300, 7)).toEqual(generate(300, 7));
    expect(generate(300, 7)).not.toEqual(generate(300, 8));
  });

  test('any size is met exactly, with every address once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 0 }), (size, seed) => {
        const { snapshot, partition } = generate(size, seed);
        expect(new Set(snapshot.devices.map((device) => device.address)).size).toBe(size);
        expect(partition.flat().sort()).toEqual(snapshot.devices.map((device) => device.address).sort());
      }),
      { numRuns: 50 },
    );
  });
});

describe('the model forms the groups that a generated machine is built to have', () => {
  test('of any size up to 300, numbers included', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0 }), (size, seed) => {
        const { snapshot, partition } = generate(size, seed);
        expect(groupsOf(snapshot)).toEqual(expected(partition));
      }),
      { numRuns: 60 },
    );
  });

  test('of 5000 devices in several domains', () => {
    const { snapshot, partition } = generate(5000, 3);
    expect(groupsOf(snapshot)).toEqual(expected(partition));
  });
});

describe('a generated machine written to disk', () => {
  const { snapshot, partition } = generate(120, 5);

  test('reads back from its sysfs tree as it was', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ringfence-tree-'));
    try {
      writeTree(snapshot, dir);
      const back = await readHost(dir);
      expect(back.groups).toEqual(snapshot.groups);
      expect(
        back.devices.map(({ config, driver, path, physfn, iommu }) => ({
          config,
          driver,
          path,
          physfn,
          iommu,
        })),
      ).toEqual(
        snapshot.devices.map(({ config, driver, path, physfn, iommu }) => ({
          config,
          driver,
          path,
          physfn,
          iommu,
        })),
      );
      expect(groupsOf(back)).toEqual(expected(partition));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('lspci reads its tree', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'ringfence-tree-'));
    try {
      writeTree(snapshot, dir);
      const words = ['-A', 'linux-sysfs', '-O', `sysfs.path=${dir}/sys/bus/pci`, '-D', '-nk'];
      const text = lspci(words);
      if (text === undefined) return context.skip('lspci is not installed');
      const heads = text.split('\n').filter((line) => /^[0-9a-f]{4}:/.test(line));
      expect(heads.map((line) => line.replace(/ [0-9a-f]{4}: /, ' '))).toEqual(
        snapshot.devices.map(({ address, vendor, device }) => `${address} ${hex4(vendor!)}:${hex4(device!)}`),
      );
      const drivers = [...text.matchAll(/Kernel driver in use: (.*)/g)].map(([, name]) => name);
      expect(drivers).toEqual(snapshot.devices.flatMap(({ driver }) => driver ?? []));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('its hex dump has every byte of every function', () => {
    const lines = lspciHex(snapshot).split('\n');
    const bytes = snapshot.devices.reduce((sum, { config }) => sum + config!.read, 0);
    expect(lines.filter((line) => /^[0-9a-f]{2,3}: /.test(line)).length).toBe(bytes / 16);
  });
});

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}

/** `undefined` where it is not installed. */
function lspci(words: string[]): string | undefined {
  try {
    return execFileSync('lspci', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
