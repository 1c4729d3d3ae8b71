/** `ringfence abi` beside the kernel's own tool, as whole processes: each reads all documents anew. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Contestant, onPath, race } from './processes.ts';

const SOURCES = [
  process.env.RINGFENCE_LINUX_SOURCE,
  '/usr/src/linux-source-6.12',
  '/tmp/kst/linux-source-6.12',
];
const EMPTY: Contestant = { name: 'node -e 0 (nothing but Node)', command: [process.execPath, '-e', '0'] };
const PATHS = Array.from({ length: 50 }, (_, group) => `/sys/kernel/iommu_groups/${group}/type`);

export function abiBench({ command, rounds }: { command: string; rounds: number }): void {
  const source = SOURCES.find(
    (folder) => folder !== undefined && existsSync(join(folder, 'scripts/get_abi.pl')),
  );
  if (source === undefined || !onPath('perl')) {
    console.log('ABI documents: no linux-source-6.12 (RINGFENCE_LINUX_SOURCE), or no perl; left out\n');
    return;
  }
  const documents = join(source, 'Documentation/ABI');
  const ours = (...words: string[]) => [process.execPath, command, 'abi', ...words, '--tree', documents];
  const theirs = ['perl', join(source, 'scripts/get_abi.pl'), '--dir', documents];
  race(
    'ABI documents: one interface out of 5,742',
    [
      { name: 'ringfence abi search', command: ours('search', 'iommu_groups/.*type') },
      { name: 'ringfence abi show', command: ours('show', PATHS[0]!) },
      EMPTY,
      { name: 'get_abi.pl search', command: [...theirs, 'search', 'iommu_groups/.*type'] },
    ],
    rounds,
  );
  const fifty = 'i=0; while [ $i -lt 50 ]; do "$@" >/dev/null; i=$((i + 1)); done';
  race(
    'ABI documents: fifty paths',
    [
      { name: 'ringfence abi show', command: ours('show', ...PATHS) },
      {
        name: 'get_abi.pl search, fifty times',
        command: ['sh', '-c', fifty, 'fifty', ...theirs, 'search', 'iommu_groups/.*type'],
        rounds: 1,
      },
    ],
    rounds,
  );
  undefinedRace(ours, theirs, rounds);
}

/** A recorded machine of 18,000 files, mounted on /sys for get_abi.pl, which walks nothing else. */
function undefinedRace(
  ours: (...words: string[]) => string[],
  theirs: readonly string[],
  rounds: number,
): void {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-abi-'));
  try {
    execFileSync('tar', ['xzf', resolve('test/fixtures/machines/random-30.tar.gz'), '-C', folder]);
    const mount = 'mount --bind "$1" /sys && shift && exec "$@"';
    race(
      'ABI documents: undefined files among 18,000',
      [
        // With no path that matches the exit code says that all is well.
        { name: 'ringfence abi undefined', command: ours('undefined', '--host', folder, '--search', '^$') },
        {
          name: 'get_abi.pl undefined',
          command: ['unshare', '-m', 'sh', '-c', mount, 'sh', join(folder, 'sys'), ...theirs, 'undefined'],
          rounds: Math.min(rounds, 3),
        },
      ],
      rounds,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
