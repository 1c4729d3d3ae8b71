/** The tree of ABI documents that a command speaks of. */

import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AbiTree } from '../abi/entry.ts';
import { readAbiTree } from '../abi/tree.ts';
import type { Call } from './args.ts';

const BELOW = 'Documentation/ABI';
const SOURCES = '/usr/src';

/**
 * The tree of `--tree`, else the first that is found. Where there is none, that is said with what would help, and the
 * command cannot tell (exit code 3).
 *
 * @throws InputError `--tree` cannot be read
 */
export function abiTree({ flags, context }: Pick<Call, 'flags' | 'context'>): AbiTree | undefined {
  const root = flags.value('tree') ?? findAbiTree();
  if (root === undefined) {
    context.note(`no tree of ABI documents here or in ${SOURCES}; ${remedy()}`);
    return undefined;
  }
  return readAbiTree(root);
}

/** `./Documentation/ABI`, else that of the newest kernel source in /usr/src. */
export function findAbiTree(): string | undefined {
  const sources = sourceNames().filter((name) => name.startsWith('linux'));
  return [BELOW, ...sources.map((name) => join(SOURCES, name, BELOW))].find((path) => existsSync(path));
}

/** Highest version first, and whole sources before the headers that lie beside them. */
function sourceNames(): string[] {
  const whole = (name: string): number => Number(name.startsWith('linux-source'));
  return names(SOURCES).sort(
    (a, b) => whole(b) - whole(a) || b.localeCompare(a, 'en', { numeric: true }) || 0,
  );
}

function remedy(): string {
  const archive = sourceNames().find((name) => /^linux-source.*\.tar\.\w+$/.test(name));
  if (archive === undefined) return 'name one with --tree DIR, or install it: apt install linux-source';
  const path = join(SOURCES, basename(archive));
  return `unpack it: tar -xf ${path} -C ${dirname(path)} --wildcards '*/${BELOW}/*'`;
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
