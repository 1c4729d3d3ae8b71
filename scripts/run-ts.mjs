/**
 * Bundles one TypeScript file with what it imports, and runs it in this Node (20.19 takes no TypeScript itself):
 * `node scripts/run-ts.mjs tools/make-examples.ts ARGUMENTS…`
 */

import { rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle } from './bundle.mjs';
import { root } from './paths.mjs';

const [file, ...words] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: node scripts/run-ts.mjs FILE.ts [ARGUMENTS]');
// Below node_modules, so that packages are found from there.
const out = join(root, 'node_modules', '.cache', 'ringfence', `run-${process.pid}`);
process.on('exit', () => rmSync(out, { recursive: true, force: true }));
await bundle([resolve(file)], out);
process.argv = [process.argv[0], resolve(file), ...words];
await import(pathToFileURL(join(out, `${basename(file, '.ts')}.mjs`)).href);
