import { statSync } from 'node:fs';
import { InputError } from '../kernel/errors.ts';
import { directoryTree, liveTree } from './host-tree.ts';
import type { Detail, Snapshot } from './snapshot.ts';
import { readSysfs } from './sysfs.ts';

export interface ReadOptions {
  /** Default `all`. Captured text and snapshot files are always read whole. */
  detail?: Detail;
}

/**
 * Reads a machine: this one (`undefined`), standard input (`-`), a directory, or a file of any form that a
 * reader knows by its content.
 *
 * @throws InputError naming the source, whatever is in it
 */
export async function readHost(source: string | undefined, options: ReadOptions = {}): Promise<Snapshot> {
  const detail = options.detail ?? 'all';
  if (source === undefined) return readLiveHost(options);
  if (source === '')
    throw new InputError("''", 'an empty name; expects a file, a folder or - (standard input)');
  if (source === '-') {
    const { readStandardInput } = await import('./input.ts');
    return readCaptured(readStandardInput(), 'standard input', detail);
  }
  if (isDirectory(source)) return readSysfs(directoryTree(source), source, detail);
  const { readInputFile } = await import('./input.ts');
  return readCaptured(readInputFile(source), source, detail);
}

/** Reads this machine, without waiting. @throws InputError where there is no sysfs */
export function readLiveHost(options: ReadOptions = {}): Snapshot {
  return readSysfs(liveTree(), '/sys', options.detail ?? 'all');
}

/** The readers of captured forms are loaded only when one is asked for: start-up on the live machine counts. */
async function readCaptured(bytes: Uint8Array, place: string, detail: Detail): Promise<Snapshot> {
  const { readBytes } = await import('./readers.ts');
  return readBytes(bytes, place, detail);
}

function isDirectory(path: string): boolean {
  if (path.includes('\0')) throw new InputError('--host', 'a file name cannot hold a zero byte');
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false; // Opening it as a file says what is wrong.
  }
}
