/**
 * `npm run docs`: the library's reference into docs/api. TypeDoc reads sources with TypeScript's JavaScript API,
 * which TypeScript 7 no longer has, so it stands with a TypeScript of its own in tools/docs.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './paths.mjs';
import { installed } from './ready.mjs';

const tools = join(root, 'tools', 'docs');
installed();
installed(tools);
const typedoc = join(tools, 'node_modules/typedoc/bin/typedoc');
const { status } = spawnSync(
  process.execPath,
  [typedoc, '--options', join(root, 'typedoc.json'), ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
