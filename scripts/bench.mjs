/** `npm run bench [-- ARGUMENTS]`: what bench/ measures, on a build that is up to date. */

import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root } from './paths.mjs';
import { built } from './ready.mjs';

built();
const bench = join(root, 'bench');
const out = join(bench, 'out', 'js');
rmSync(out, { recursive: true, force: true });
const files = readdirSync(bench).filter((name) => name.endsWith('.ts'));
await bundle(
  files.map((name) => join(bench, name)),
  out,
);
const { status } = spawnSync(process.execPath, [join(out, 'bench.mjs'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
