/** The sysfs that a command on documents looks at: this machine's, or that of `--host`. */

import type { SysfsView } from '../abi/sysfs-names.ts';
import { liveTree } from '../host/disk-tree.ts';
import { type HostTree, under } from '../host/host-tree.ts';
import { readHost } from '../host/read-host.ts';
import { InputError } from '../kernel/errors.ts';

/** @throws InputError no sysfs here, or `--host` is no tree of one */
export async function sysfsTree(host: string | undefined): Promise<HostTree> {
  if (host === undefined) return liveTree();
  let kept: HostTree | undefined;
  await readHost(host, { detail: 'names', keepTree: (tree) => (kept = tree) });
  if (kept === undefined) {
    throw new InputError(host, 'holds no sysfs files; expects a folder or an archive of a sysfs tree');
  }
  return kept;
}

export function viewOf({ files, sys }: HostTree): SysfsView {
  return {
    entries: (directory) => files.entries(directory === '' ? sys : under(sys, directory)),
    link: (path) => files.link(under(sys, path)),
  };
}
