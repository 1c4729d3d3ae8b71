/**
 * `npm run bench`: measured beside what a user would pick instead, in one run. `-- --quick` for few rounds;
 * `-- --only list`, `grouping`, `pagetable`, `areas` or `iommufd` for one part.
 */

import { cpus, release } from 'node:os';
import { resolve } from 'node:path';
import { areasBench } from './areas.ts';
import { groupingBench } from './grouping.ts';
import { iommufdBench } from './iommufd.ts';
import { listBench } from './list.ts';
import { pageTableBench } from './pagetable.ts';

const words = process.argv.slice(2);
const quick = words.includes('--quick');
const only = words.includes('--only') ? words[words.indexOf('--only') + 1] : undefined;

console.log(
  `Node ${process.versions.node}, Linux ${release()}, ${cpus().length} × ${cpus()[0]?.model.trim()}\n`,
);
if (only === undefined || only === 'list') {
  console.log('Ratios are of medians, to the first line of each table; contestants run in turn.\n');
  listBench({
    command: resolve('dist/cli/main.js'),
    sizes: quick ? [64, 512] : [64, 512, 4096],
    rounds: quick ? 5 : 15,
  });
}
if (only === undefined || only === 'grouping') {
  const child = resolve('bench/out/js/grouping-child.mjs');
  groupingBench(child, [64, 512, 4096, 16384, 65536], quick ? 1 : 3);
}
if (only === undefined || only === 'pagetable') {
  pageTableBench(resolve('bench/out/js/pagetable-child.mjs'), 1_000_000, quick ? 1 : 5);
}
if (only === undefined || only === 'areas') {
  const child = resolve('bench/out/js/areas-child.mjs');
  areasBench({ child, sizes: [1000, 100_000, 1_000_000], rounds: quick ? 1 : 3 });
}
if (only === undefined || only === 'iommufd') {
  const child = resolve('bench/out/js/iommufd-child.mjs');
  const sizes = quick ? [1000, 100_000] : [1000, 100_000, 1_000_000];
  iommufdBench({ child, pages: 1_000_000, sizes, rounds: quick ? 1 : 5 });
}
