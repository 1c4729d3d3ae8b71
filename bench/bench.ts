/**
 * `npm run bench`: measured beside what a user would pick instead, in one run. `-- --quick` for few rounds;
 * `-- --only NAME` for one of `PARTS`.
 */

import { cpus, release } from 'node:os';
import { resolve } from 'node:path';
import { abiBench } from './abi.ts';
import { areasBench } from './areas.ts';
import { doorBench } from './door.ts';
import { explorerBench } from './explorer.ts';
import { groupingBench } from './grouping.ts';
import { iommufdBench } from './iommufd.ts';
import { listBench } from './list.ts';
import { pageTableBench } from './pagetable.ts';

const words = process.argv.slice(2);
const quick = words.includes('--quick');
const only = words.includes('--only') ? words[words.indexOf('--only') + 1] : undefined;
const command = resolve('dist/cli/main.js');
const child = (name: string) => resolve(`bench/out/js/${name}-child.mjs`);

const PARTS: Readonly<Record<string, () => void | Promise<void>>> = {
  list: () => listBench({ command, sizes: quick ? [64, 512] : [64, 512, 4096], rounds: quick ? 5 : 15 }),
  grouping: () => groupingBench(child('grouping'), [64, 512, 4096, 16384, 65536], quick ? 1 : 3),
  pagetable: () => pageTableBench(child('pagetable'), 1_000_000, quick ? 1 : 5),
  areas: () =>
    areasBench({ child: child('areas'), sizes: [1000, 100_000, 1_000_000], rounds: quick ? 1 : 3 }),
  iommufd: () =>
    iommufdBench({
      child: child('iommufd'),
      pages: 1_000_000,
      sizes: quick ? [1000, 100_000] : [1000, 100_000, 1_000_000],
      rounds: quick ? 1 : 5,
    }),
  door: () =>
    doorBench({
      command,
      host: resolve('examples/desktop.json'),
      rounds: quick ? 2000 : 20_000,
      selftest: !quick,
    }),
  abi: () => abiBench({ command, rounds: quick ? 3 : 15 }),
  explorer: () => explorerBench({ sizes: [500, 5000], rounds: quick ? 1 : 5 }),
};

if (only !== undefined && !(only in PARTS)) {
  console.error(`bench: --only takes one of ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
console.log(
  `Node ${process.versions.node}, Linux ${release()}, ${cpus().length} × ${cpus()[0]?.model.trim()}`,
);
console.log('Ratios are of medians, to the first line of each table; contestants run in turn.\n');
for (const [name, measure] of Object.entries(PARTS)) {
  if (only === undefined || only === name) await measure();
}
