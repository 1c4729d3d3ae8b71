/** Hosts that are no sysfs tree: everything in /sys is made from what they say. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readHost } from '../../host/read-host.ts';
import { readBytes } from '../../host/readers.ts';
import { ConfigSpace } from '../../pci/config-space.ts';
import { decodeConfig } from '../../pci/decode.ts';
import { recording, type Simulated, simulateSnapshot, walk, writeOut } from './testing.ts';

const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ringfence-sysfs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function lspci(root: string, ...words: string[]): string {
  return execFileSync('lspci', ['-O', `sysfs.path=${root}/bus/pci`, '-A', 'linux-sysfs', ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

const hasLspci = ((): boolean => {
  try {
    execFileSync('lspci', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

const SKIPPED = /\/(?:power|pci_bus)(?:\/|$)|^\/(?:class|firmware)/;

/** What lspci prints of the recording itself. */
function printed(name: string, ...words: string[]): string {
  const at = mkdtempSync(join(scratch, 'tree-'));
  execFileSync('tar', ['xzf', recording(name), '-C', at]);
  return lspci(join(at, 'sys'), ...words);
}

async function fromText(text: string): Promise<Simulated & { root: string }> {
  const simulated = simulateSnapshot(await readBytes(Buffer.from(text), 'dump.txt'));
  const root = mkdtempSync(join(scratch, 'view-'));
  writeOut(simulated.sysfs, root, SKIPPED);
  return { ...simulated, root };
}

describe.skipIf(!hasLspci)('lspci (skipped where it is not installed)', () => {
  test.each(['switch', 'sriov-igb', 'multifunction-mixed-acs', 'pcie-pci-bridge'])(
    '-xxxx of %s: the simulated /sys prints the same dump again',
    async (name) => {
      const dump = printed(name, '-D', '-n', '-xxxx');
      const { root } = await fromText(dump);
      expect(lspci(root, '-D', '-n', '-xxxx')).toBe(dump);
    },
  );

  test.each(['switch', 'sriov-igb', 'multifunction-mixed-acs', 'pcie-pci-bridge', 'vfio'])(
    '-vvnn of %s: the same devices, bridges, drivers, ACS words and SR-IOV numbers',
    async (name) => {
      const words = ['-D', '-nn', '-vvv', '-k'];
      const { root } = await fromText(printed(name, ...words));
      const lines = (text: string): string[] =>
        text
          .split('\n')
          .map((line) => line.trim())
          .filter((line) =>
            /^[0-9a-f]{4}:|^Bus: |ACSCap|ACSCtl|Kernel driver|IOMMU group|Total VFs|VF offset/.test(line),
          )
          .map((line) =>
            line.replace(/, Function Dependency.*/, '').replace(/ \(prog-if.*|sec-latency.*/, ''),
          );
      const again = lines(lspci(root, ...words));
      expect(again.length).toBeGreaterThan(5);
      expect(again).toEqual(lines(printed(name, ...words)));
    },
  );
});

test.each(['switch', 'random-30', 'sriov-igb'])(
  '%s as a snapshot without its tree: nothing is missing',
  async (name) => {
    const snapshot = await readHost(recording(name));
    const { sysfs, machine } = simulateSnapshot(snapshot);
    const paths = [...walk(sysfs.root)];
    expect(new Set(paths.map(([path]) => path)).size).toBe(paths.length);
    for (const { address, vendor, irq, resources } of snapshot.devices) {
      const at = `/bus/pci/devices/${address}`;
      expect(sysfs.readText(`${at}/vendor`)).toBe(`0x${vendor!.toString(16)}\n`);
      expect(sysfs.readText(`${at}/irq`)).toBe(`${irq}\n`);
      expect(sysfs.readText(`${at}/modalias`)).toMatch(
        /^pci:v[0-9A-F]{8}d[0-9A-F]{8}sv[0-9A-F]{8}sd[0-9A-F]{8}bc/,
      );
      const lines = sysfs.readText(`${at}/resource`).trimEnd().split('\n');
      expect([13, 17]).toContain(lines.length);
      for (const [number, { start, end, flags }] of (resources ?? []).entries()) {
        expect(lines[number]).toBe(`${start} ${end} ${flags}`);
      }
      const group = machine.groupOf(address);
      expect(sysfs.lookup(`${at}/iommu_group`)?.kind).toBe(group === undefined ? undefined : 'link');
    }
  },
);

const REAL = new URL('../../../../shared/machines/real', import.meta.url).pathname;
const real = existsSync(REAL) ? readdirSync(REAL).filter((name) => name.endsWith('.txt')) : [];

test.each(real)('%s, from a real machine: every device has its files and its group', async (name) => {
  const { sysfs, machine } = simulateSnapshot(await readHost(join(REAL, name)));
  for (const [path, kind] of walk(sysfs.root)) if (kind === 'link') sysfs.readlink(path);
  for (const { address } of machine.pci.devices) {
    const at = `/bus/pci/devices/${address}`;
    expect(sysfs.readText(`${at}/uevent`)).toContain(`PCI_SLOT_NAME=${address}\n`);
    expect(sysfs.read(`${at}/config`).length).toBeGreaterThanOrEqual(64);
    const group = machine.groupOf(address);
    if (group !== undefined)
      expect(sysfs.list(`/kernel/iommu_groups/${group.id}/devices`)).toContain(address);
  }
});

test('made configuration space decodes to the facts it was made from', async () => {
  const text = hasLspci ? printed('sriov-igb', '-D', '-nn', '-vvv') : undefined;
  if (text === undefined) return;
  const { machine, sysfs } = await fromText(text);
  for (const { address, facts, isVirtual } of machine.pci.devices) {
    const bytes = sysfs.read(`/bus/pci/devices/${address}/config`);
    const decoded = decodeConfig(new ConfigSpace(bytes, bytes.length, bytes.length));
    expect(decoded.headerType).toBe(facts.headerType);
    expect(decoded.acs && { capability: decoded.acs.capability, control: decoded.acs.control }).toEqual(
      facts.acs && { capability: facts.acs.capability, control: facts.acs.control },
    );
    expect(decoded.pcie?.type).toBe(facts.pcie?.type);
    expect(decoded.sriov ?? undefined).toEqual(facts.sriov ?? undefined);
    expect(decoded.bridge ?? undefined).toEqual(facts.bridge ?? undefined);
    expect(decoded.idsHidden === true).toBe(isVirtual);
  }
});

test('a recording of one user, without privilege: nobody reads on where it ends', async () => {
  const rows = [
    '00:01.0 0200: 8086:10d3',
    '00: 86 80 d3 10 07 05 10 00 00 00 00 02 00 00 00 00',
    '10: 00 00 60 fe 00 00 00 00 00 00 00 00 00 00 00 00',
    '20: 00 00 00 00 00 00 00 00 00 00 00 00 86 80 00 00',
    '30: 00 00 00 00 c8 00 00 00 00 00 00 00 0b 01 00 00',
    '',
  ];
  const file = join(scratch, 'short.txt');
  writeFileSync(file, rows.join('\n'));
  const { sysfs } = simulateSnapshot(await readHost(file));
  expect(sysfs.read('/bus/pci/devices/0000:00:01.0/config')).toHaveLength(64);
  expect(sysfs.readText('/bus/pci/devices/0000:00:01.0/irq')).toBe('0\n');
});
