import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { recording, recordings, simulate, walk, writeOut } from './testing.ts';

// Tens of thousands of small files: in memory where that can be had.
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ringfence-sysfs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }), 60_000);

/** What the view stands for of a recording. */
const PARTS = /^\/(?:bus\/pci|devices|kernel\/iommu_groups|class\/iommu|firmware\/acpi\/tables)(?:\/|$)/;

function unpacked(name: string): string {
  const at = mkdtempSync(join(scratch, `${name}-`));
  execFileSync('tar', ['xzf', recording(name), '-C', at]);
  return join(at, 'sys');
}

function* filesBelow(root: string, path = ''): Generator<string> {
  for (const name of readdirSync(join(root, path)).sort()) {
    const at = `${path}/${name}`;
    yield at;
    if (lstatSync(join(root, at)).isDirectory()) yield* filesBelow(root, at);
  }
}

describe.each(recordings())('%s', (name) => {
  test('everything that was recorded is there with the same content, links lead the same way', async () => {
    const { sysfs } = await simulate(recording(name));
    const root = unpacked(name);
    const different: string[] = [];
    let seen = 0;
    for (const path of filesBelow(root)) {
      if (!PARTS.test(path)) continue;
      seen++;
      const stat = lstatSync(join(root, path));
      const entry = sysfs.lookup(path);
      const kind = stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'directory' : 'file';
      if (entry?.kind !== kind) different.push(`${path}: ${entry?.kind ?? 'missing'}, not ${kind}`);
      else if (entry.kind === 'link' && entry.target !== readlinkSync(join(root, path)))
        different.push(`${path} -> ${entry.target}, not ${readlinkSync(join(root, path))}`);
      else if (entry.kind === 'file') {
        const is = Buffer.from(sysfs.read(path)).toString('latin1');
        const was = readFileSync(join(root, path), 'latin1');
        if (is !== was) different.push(`${path}: ${JSON.stringify(is)}, not ${JSON.stringify(was)}`);
      }
    }
    // Where no groups were recorded the model shows the machine with its IOMMU switched on, and so with ACS enabled.
    const changed = name === 'none' ? [expect.stringContaining('/0000:00:02.0/config: ')] : [];
    expect(different).toEqual(changed);
    expect(seen).toBeGreaterThan(50);
  });

  test('every name that is listed can be looked up, and no name is listed twice', async () => {
    const { sysfs } = await simulate(recording(name));
    const paths = [...walk(sysfs.root)].map(([path]) => path);
    expect(new Set(paths).size).toBe(paths.length);
  });

  test('lspci prints of it what it prints of the unpacked tree', async ({ skip }) => {
    const lspci = (root: string): string => {
      // The machine without groups gets some here, and ACS with them.
      const detail = name === 'none' ? ['-nnk'] : ['-nnkvvv', '-xxxx'];
      const words = ['-O', `sysfs.path=${root}/bus/pci`, '-A', 'linux-sysfs', ...detail];
      return execFileSync('lspci', words, { encoding: 'utf8', maxBuffer: 1 << 26 });
    };
    try {
      execFileSync('lspci', ['--version']);
    } catch {
      skip('lspci is not installed');
    }
    const { sysfs } = await simulate(recording(name));
    const root = mkdtempSync(join(scratch, 'view-'));
    writeOut(sysfs, root, /\/(?:power|pci_bus|cpu[a-z]*affinity)(?:\/|$)|^\/(?:class|firmware)/);
    expect(lspci(root)).toBe(lspci(unpacked(name)));
  });
});
