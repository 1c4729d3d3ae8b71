/** What a fresh clone lacks: packages and a build. Both say what they do on standard error, and only if they do it. */

import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { command, root } from './paths.mjs';

/** `npm ci`, unless the packages of the lock file are there. @param {string} folder with a package-lock.json */
export function installed(folder = root) {
  const wanted = timeOf(join(folder, 'package-lock.json'));
  if (timeOf(join(folder, 'node_modules', '.package-lock.json')) >= wanted) return;
  console.error('Installing packages (npm ci) …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], folder);
}

/** `npm run build`, unless dist/ is newer than everything it is made from. */
export function built() {
  installed();
  const built = timeOf(command);
  const inputs = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'node_modules/.package-lock.json'];
  const newest = Math.max(
    ...inputs.map((file) => timeOf(join(root, file))),
    newestIn('src'),
    newestIn('scripts'),
    newestIn('web'),
  );
  if (built > newest) return;
  console.error('Building …');
  run(process.execPath, [join(root, 'scripts/build.mjs')], root);
}

/** Standard output stays free for what was asked for. */
function run(program, words, cwd) {
  const { status, error } = spawnSync(program, words, { cwd, stdio: ['ignore', 2, 2] });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function newestIn(folder) {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return Math.max(...entries.map((entry) => timeOf(join(entry.parentPath, entry.name))));
}

/** 0 where there is no such file. */
function timeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
