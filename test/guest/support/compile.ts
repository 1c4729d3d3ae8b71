/** C programs of the tests, compiled when they are needed. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const programs = fileURLToPath(new URL('../programs/', import.meta.url));
let folder: string | undefined;

/** Why C programs cannot be compiled here; undefined if they can. */
export const noCompiler: string | undefined =
  spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc)';

/** Whether programs can be linked statically: the static C library is a package of its own in some distributions. */
export function compileStatic(name: string): string | undefined {
  const out = target(`${name}-static`);
  return cc(name, out, ['-static']).status === 0 ? out : undefined;
}

/** Path of `test/guest/programs/NAME.c`, compiled. */
export function compile(name: string, flags: readonly string[] = []): string {
  const out = target(name);
  const { status, stderr } = cc(name, out, flags);
  if (status !== 0) throw new Error(`${name}.c does not compile:\n${stderr}`);
  return out;
}

function cc(name: string, out: string, flags: readonly string[]) {
  const source = join(programs, `${name}.c`);
  return spawnSync('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', out, source, ...flags], {
    encoding: 'utf8',
  });
}

function target(name: string): string {
  folder ??= newFolder();
  return join(folder, basename(name));
}

function newFolder(): string {
  const made = mkdtempSync(join(tmpdir(), 'ringfence-programs-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}
