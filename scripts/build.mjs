/**
 * `npm run build`: dist/ with the library as tsc makes it, the command bundled into few files, and the files that
 * are made from the sources: the snapshot's JSON Schema, the man page, and the launcher of `run`.
 */

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle } from './bundle.mjs';
import { command, root } from './paths.mjs';
import { staticImports } from './static-imports.mjs';
import { buildWeb } from './web.mjs';

const dist = join(root, 'dist');
const source = (file) => join(root, 'src', file);

compile();
await writeMadeFiles();
await prebuildLauncher();
await buildWeb();
await bundleCommand();

function compile() {
  rmSync(dist, { recursive: true, force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status === 0) return;
  // What tsc made all the same is no build, though it has the command's file.
  rmSync(dist, { recursive: true, force: true });
  process.exit(status ?? 1);
}

async function writeMadeFiles() {
  const load = (file) => import(pathToFileURL(join(dist, file)).href);
  const [{ jsonSchemaText }, { manPage }, { COMMANDS }] = await Promise.all([
    load('host/schema.js'),
    load('cli/man-page.js'),
    load('cli/commands.js'),
  ]);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  writeMade('schema/snapshot.json', jsonSchemaText());
  writeMade('man/ringfence.1', manPage(COMMANDS, version));
}

/**
 * Start-up time is a matter of how many files Node has to find and read: one has what `list` of this machine
 * needs, a second the model, and each other command and reader comes when asked for.
 */
async function bundleCommand() {
  const start = staticImports([source('cli/run.ts'), source('cli/commands/list.ts')]);
  const model = staticImports([source('machine/boot.ts')]);
  const inside = (files) => (id) => files.has(id);
  rmSync(join(dist, 'cli'), { recursive: true });
  const entries = ['cli/main.ts', 'guest/session.ts', 'guest/worker.ts'].map(source);
  await bundle(entries, join(dist, 'cli'), {
    ending: '.js',
    inline: ['picocolors'],
    output: {
      codeSplitting: {
        groups: [
          { name: 'start', test: (id) => start.has(id) || id.includes('/picocolors/'), priority: 2 },
          { name: 'model', test: inside(model), priority: 1 },
        ],
      },
      banner: ({ name }) => (name === 'start' ? `/* With picocolors:\n${licence('picocolors')}*/` : ''),
    },
  });
  chmodSync(command, 0o755);
}

/**
 * The launcher of `run`: its source goes along, and where there is a compiler the program, so that nothing has to be
 * compiled when it is first needed.
 */
async function prebuildLauncher() {
  const native = join(dist, 'native');
  const file = join(native, 'ringfence-exec.c');
  mkdirSync(native);
  copyFileSync(source('guest/native/ringfence-exec.c'), file);
  const { compileLauncher, launcherName } = await import(pathToFileURL(join(dist, 'guest/launcher.js')).href);
  const problem = compileLauncher(file, join(native, launcherName(file)));
  if (problem !== undefined) console.error(`The launcher of \`run\` is not built: ${problem}`);
}

function licence(name) {
  return readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8');
}

/** Left alone when nothing changed, so that a build leaves a clean tree clean. */
function writeMade(path, text) {
  const file = join(root, path);
  try {
    if (readFileSync(file, 'utf8') === text) return;
  } catch {
    mkdirSync(dirname(file), { recursive: true });
  }
  writeFileSync(file, text);
}
