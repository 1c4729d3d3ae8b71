/**
 * `npm run bench`: measured beside what a user would pick instead, in one run. `-- --quick` for few rounds;
 * `-- --only list` or `--only grouping` for one half.
 */

import { cpus, release } from 'node:os';
import { resolve } from 'node:path';
import { groupingBench } from './grouping.ts';
import { listBench } from './list.ts';

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
