import { statSync } from 'node:fs';
import { InputError } from '../kernel/errors.ts';
import { directoryTree, liveTree } from './disk-tree.ts';
import type { HostTree } from './host-tree.ts';
import type { Detail, Snapshot } from './snapshot.ts';
import { readSysfs } from './sysfs.ts';

export interface ReadOptions {
  /** Default `all`. Captured text and snapshot files are always read whole. */
  detail?: Detail;
  /** Told of the sysfs tree that was read, where the source is one: for what no snapshot holds. */
  keepTree?(tree: HostTree): void;
}

/**
 * Reads a machine: this one (`undefined`), standard input (`-`), a directory, or a file of any form that a
 * reader knows by its content.
 *
 * @throws InputError naming the source, whatever is in it
 */
export async function readHost(source: string | undefined, options: ReadOptions = {}): Promise<Snapshot> {
  if (source === undefined) return readLiveHost(options);
  if (source === '')
    throw new InputError("''", 'an empty name; expects a file, a folder or - (standard input)');
  if (source === '-') {
    const { readStandardInput } = await import('./input.ts');
    return readCaptured(readStandardInput(), 'standard input', options);
  }
  if (isDirectory(source)) return readTree(directoryTree(source), source, options);
  const { readInputFile } = await import('./input.ts');
  return readCaptured(readInputFile(source), source, options);
}

/** Reads this machine, without waiting. @throws InputError where there is no sysfs */
export function readLiveHost(options: ReadOptions = {}): Snapshot {
  return readTree(liveTree(), '/sys', options);
}

function readTree(tree: HostTree, place: string, { detail = 'all', keepTree }: ReadOptions): Snapshot {
  keepTree?.(tree);
  return readSysfs(tree, place, detail);
}

/** The readers of captured forms are loaded only when one is asked for: start-up on the live machine counts. */
async function readCaptured(
  bytes: Uint8Array,
  place: string,
  { detail, keepTree }: ReadOptions,
): Promise<Snapshot> {
  const { readBytes } = await import('./readers.ts');
  return readBytes(bytes, place, detail, keepTree);
}

function isDirectory(path: string): boolean {
  if (path.includes('\0')) throw new InputError('--host', 'a file name cannot hold a zero byte');
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false; // Opening it as a file says what is wrong.
  }
}
