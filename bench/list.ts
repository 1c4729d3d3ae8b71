/** `ringfence list` beside what people use today, as whole processes. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from '../test/support/generate.ts';
import { writeTree } from '../test/support/tree.ts';
import { type Contestant, onPath, race } from './processes.ts';

const EMPTY: Contestant = { name: 'node -e 0 (nothing but Node)', command: [process.execPath, '-e', '0'] };

/** The loop of every forum thread and wiki page on the subject, with a place for the tree and for lspci's options. */
const LOOP = `
shopt -s nullglob
for g in $(find "$1"/kernel/iommu_groups/* -maxdepth 0 -type d | sort -V); do
    echo "IOMMU Group \${g##*/}:"
    for d in $g/devices/*; do
        echo -e "\\t$(lspci "\${@:2}" -nns \${d##*/})"
    done
done
`;

export interface ListOptions {
  command: string;
  sizes: readonly number[];
  rounds: number;
}

export function listBench(options: ListOptions): void {
  const lspci = onPath('lspci');
  if (!lspci) console.log('lspci is not installed (Debian: pciutils): only our own times\n');
  live(options, lspci);
  for (const size of options.sizes) tree(options, size, lspci);
}

function live({ command, rounds }: ListOptions, lspci: boolean): void {
  const groups = count('/sys/kernel/iommu_groups');
  const devices = count('/sys/bus/pci/devices');
  if (groups === 0) {
    console.log(
      'This machine has no IOMMU groups: the loop has nothing to do here, and list forms them itself.\n',
    );
  }
  const contestants: Contestant[] = [
    { name: 'ringfence list', command: [process.execPath, command, 'list'] },
    EMPTY,
    { name: 'ringfence --version', command: [process.execPath, command, '--version'] },
  ];
  if (lspci) {
    contestants.push({ name: 'lspci -nnk', command: ['lspci', '-nnk'] });
    if (groups > 0) contestants.push({ name: 'shell loop', command: ['bash', '-c', LOOP, 'loop', '/sys'] });
  }
  race(`This machine: ${devices} devices, ${groups} groups`, contestants, rounds);
}

function tree({ command, rounds }: ListOptions, size: number, lspci: boolean): void {
  const dir = mkdtempSync(join(tmpdir(), 'ringfence-bench-'));
  try {
    const { snapshot, partition } = generate(size);
    writeTree(snapshot, dir);
    const contestants: Contestant[] = [
      { name: 'ringfence list', command: [process.execPath, command, 'list', '--host', dir] },
      {
        name: 'ringfence list --predict',
        command: [process.execPath, command, 'list', '--predict', '--host', dir],
      },
      EMPTY,
    ];
    if (lspci) {
      const place = ['-A', 'linux-sysfs', '-O', `sysfs.path=${dir}/sys/bus/pci`];
      contestants.push({ name: 'lspci -nnk', command: ['lspci', ...place, '-nnk'] });
      // Minutes at thousands of devices: the loop starts a process for each, which looks at all of them.
      const loop = ['bash', '-c', LOOP, 'loop', `${dir}/sys`, ...place];
      contestants.push({
        name: 'shell loop',
        command: loop,
        ...(size > 64 && { rounds: size > 1000 ? 1 : 3 }),
      });
    }
    race(`Tree of ${size} devices, ${partition.length} groups`, contestants, rounds);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function count(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0;
  }
}
