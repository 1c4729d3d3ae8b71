/**
 * The launcher, a small C program (native/ringfence-exec.c): taken as the build made it, or compiled when it is first
 * needed and kept in the user's cache. Its name tells machine and source, so another version is never run by mistake.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = 'ringfence-exec.c';
/** Beside this file, and where bundles of the command are. */
const FOLDERS = ['native', '../native'].map((folder) =>
  fileURLToPath(new URL(`${folder}/`, import.meta.url)),
);
const COMPILERS = ['cc', 'gcc', 'clang'];

export interface Launcher {
  /** None if there is no way to have it. */
  readonly path: string | undefined;
  /** Why there is none, and what would help. */
  readonly lack: string | undefined;
}

/** Finds it, or makes it. */
export function findLauncher(env: Readonly<Record<string, string | undefined>>): Launcher {
  const folder = FOLDERS.find((each) => isReadable(join(each, SOURCE)));
  if (folder === undefined) return lacking(`${SOURCE} is missing; install ringfence again`);
  const source = join(folder, SOURCE);
  const name = launcherName(source);
  const cache = join(cacheFolder(env), name);
  for (const made of [join(folder, name), cache])
    if (isExecutable(made)) return { path: made, lack: undefined };
  const problem = compileLauncher(source, cache);
  return problem === undefined ? { path: cache, lack: undefined } : lacking(problem);
}

/** `ringfence-exec-x64-1b2c3d4e`. */
export function launcherName(source: string): string {
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 8);
  return `ringfence-exec-${process.arch}-${hash}`;
}

/**
 * Statically if that can be had, so that it runs whatever the program's own libraries are.
 *
 * @returns what went wrong; nothing if it is there now
 */
export function compileLauncher(source: string, target: string): string | undefined {
  const scratch = `${target}.${process.pid}`;
  try {
    mkdirSync(join(target, '..'), { recursive: true, mode: 0o700 });
  } catch (error) {
    return `${target} cannot be made (${(error as NodeJS.ErrnoException).code}); set XDG_CACHE_HOME`;
  }
  try {
    let said = 'no C compiler (cc, gcc, clang); install one';
    for (const compiler of COMPILERS) {
      for (const linking of [['-static'], []]) {
        const { status, stderr, error } = spawnSync(compiler, ['-O2', ...linking, '-o', scratch, source], {
          encoding: 'utf8',
        });
        if (error !== undefined) break;
        if (status === 0) {
          chmodSync(scratch, 0o755);
          renameSync(scratch, target);
          return undefined;
        }
        said = `${compiler} cannot compile it: ${stderr.trim().split('\n').at(-1) ?? ''}`;
      }
    }
    return said;
  } finally {
    rmSync(scratch, { force: true });
  }
}

function cacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'ringfence');
}

function lacking(lack: string): Launcher {
  return { path: undefined, lack };
}

function isReadable(path: string): boolean {
  return isAccessible(path, constants.R_OK);
}

function isExecutable(path: string): boolean {
  return isAccessible(path, constants.X_OK);
}

function isAccessible(path: string, how: number): boolean {
  try {
    accessSync(path, how);
    return true;
  } catch {
    return false;
  }
}
