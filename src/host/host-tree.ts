import { InputError } from '../kernel/errors.ts';
import { addressKey, formatAddress, parseAddress } from '../pci/address.ts';
import type { FileTree } from './file-tree.ts';

/** A tree and where sysfs and procfs lie in it. */
export interface HostTree {
  files: FileTree;
  /** `sys`, `top/sys`, or empty when the tree is itself a sysfs. */
  sys: string;
  proc: string;
  /** The running kernel's own sysfs: nothing in it was left out. */
  live: boolean;
  /** Architecture of the running machine, of its own sysfs. */
  arch?: string;
}

/** Finds sysfs in a tree. @throws InputError when there is none, or more than one to choose from. */
export function hostTree(files: FileTree, place: string): HostTree {
  if (isSysfs(files, 'sys')) return { files, sys: 'sys', proc: 'proc', live: false };
  if (isSysfs(files, '')) return { files, sys: '', proc: 'proc', live: false };
  const tops = (files.list('') ?? []).filter((name) => isSysfs(files, `${name}/sys`)).sort();
  if (tops.length > 1) {
    throw new InputError(
      place,
      `holds several machines (${tops.slice(0, 3).map(shown).join(', ')} …); name one`,
    );
  }
  if (tops.length === 0) {
    throw new InputError(
      place,
      'holds no sysfs tree (sys/bus/pci/devices); capture one with `ringfence capture`',
    );
  }
  return { files, sys: `${tops[0]}/sys`, proc: `${tops[0]}/proc`, live: false };
}

function isSysfs(files: FileTree, dir: string): boolean {
  return files.exists(under(dir, 'bus/pci')) || files.exists(under(dir, 'devices'));
}

/** Joins a directory and a name, either of which may be empty. */
export function under(dir: string, name: string): string {
  return dir === '' ? name : `${dir}/${name}`;
}

/** sysfs writes addresses in full; anything else in its PCI directories is a stray. */
export function fullAddress(name: string): string | undefined {
  if (!/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(name)) return undefined;
  const address = parseAddress(name);
  return address && formatAddress(address);
}

/** Text from other people's files, fit for one line of a report. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text).slice(1, -1);
}

/** In numeric order of address, each address parsed once. */
export function sortByAddress<T extends { address: string }>(items: readonly T[]): T[] {
  const keyed = items.map((item) => [addressKey(parseAddress(item.address)!), item] as const);
  return keyed.sort(([a], [b]) => a - b).map(([, item]) => item);
}
