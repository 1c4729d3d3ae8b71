/** Trees that lie on this machine's disk: its own sysfs, and captured ones. */

import { realpathSync } from 'node:fs';
import { machine } from 'node:os';
import { InputError } from '../kernel/errors.ts';
import { DirectoryTree, LiveTree } from './directory-tree.ts';
import { type HostTree, hostTree } from './host-tree.ts';

/** This machine. @throws InputError where there is no sysfs (another system, or a container without it). */
export function liveTree(): HostTree {
  const files = new LiveTree();
  if (!files.exists('sys/bus') && !files.exists('sys/devices')) {
    throw new InputError('/sys', 'no sysfs here; name a captured machine with --host');
  }
  return { files, sys: 'sys', proc: 'proc', live: true, arch: machine() };
}

/** A directory that holds `sys`, is one, or holds one directory that does. @throws InputError */
export function directoryTree(directory: string): HostTree {
  const tree = hostTree(new DirectoryTree(directory), directory);
  return realPath(`${directory}/${tree.sys}`) === '/sys' ? liveTree() : tree;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
