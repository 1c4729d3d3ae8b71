/** The tree that `--host` names, if it is one that can be written to. */

import { statfsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DirectoryTree } from '../host/directory-tree.ts';
import { hostTree } from '../host/host-tree.ts';
import { InputError } from '../kernel/errors.ts';
import { LiveTree } from './live-tree.ts';
import { RehearsalTree } from './rehearsal-tree.ts';
import type { HandoverTree } from './tree.ts';

/** What statfs(2) calls a sysfs. */
const SYSFS_MAGIC = 0x62656572;

/**
 * @param source as `--host` has it; `undefined`: this machine
 * @throws InputError for what is no directory, or holds no sysfs
 */
export function openTree(source: string | undefined): HandoverTree {
  if (source === undefined) return live('/sys');
  if (!isDirectory(source)) {
    throw new InputError(
      source,
      'is no directory: writes go to this machine, or are rehearsed on a folder that holds a sysfs tree',
    );
  }
  const { sys } = hostTree(new DirectoryTree(source), source);
  const root = join(resolve(source), sys);
  // The kernel's own, mounted wherever: playing the kernel's part there would be refused halfway.
  return isSysfs(root) ? live(root) : new RehearsalTree(root);
}

function live(root: string): LiveTree {
  try {
    return new LiveTree(root);
  } catch {
    throw new InputError(root, 'no sysfs here; name a folder with --host to rehearse');
  }
}

function isDirectory(path: string): boolean {
  try {
    return !path.includes('\0') && statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function isSysfs(path: string): boolean {
  try {
    return statfsSync(path).type === SYSFS_MAGIC;
  } catch {
    return false;
  }
}
