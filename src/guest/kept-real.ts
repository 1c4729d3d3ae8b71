/**
 * What of the real /sys and /dev stays in sight beside the simulated machine: everything but the buses, classes and
 * nodes that the model answers for. Each such entry gets a place in the served tree, and the real one is bound there.
 */

import { readdirSync, readlinkSync } from 'node:fs';

export type KeptEntry =
  | { readonly name: string; readonly kind: 'directory' | 'file' }
  | { readonly name: string; readonly kind: 'link'; readonly target: string };

/** By directory, from the root of the file system: `/` and below for /sys, `/` alone for /dev. */
export type KeptEntries = Readonly<Record<string, readonly KeptEntry[]>>;

/** Directories of sysfs that hold both simulated and real things. */
const SHARED = [
  '/',
  '/bus',
  '/class',
  '/devices',
  '/devices/virtual',
  '/firmware',
  '/firmware/acpi',
  '/kernel',
];

/** Real things the model answers for, whether the simulated machine has any or not. */
const ANSWERED_FOR =
  /^\/(?:bus\/(?:pci|pci_express|iommufd_mock)|class\/(?:iommu|vfio|vfio-dev|pci_bus)|devices\/pci[^/]*|devices\/virtual\/(?:iommu|vfio)|firmware\/acpi\/tables|kernel\/iommu_groups)$/;

const OWN_NODES: ReadonlySet<string> = new Set(['iommu', 'vfio']);

/** @param sys where the real sysfs is */
export function keptOfSys(sys: string): KeptEntries {
  const kept: Record<string, readonly KeptEntry[]> = {};
  for (const directory of SHARED) {
    const prefix = directory === '/' ? '' : directory;
    kept[directory] = list(`${sys}${prefix}`).filter(({ name }) => !ANSWERED_FOR.test(`${prefix}/${name}`));
  }
  return kept;
}

/** Without what the model shows itself, whatever the real machine has of the same name. */
export function keptBeside(kept: KeptEntries, shows: (path: string) => boolean): KeptEntries {
  const beside = Object.entries(kept).map(([directory, entries]) => {
    const prefix = directory === '/' ? '' : directory;
    return [
      directory,
      entries.filter(({ name }) => isShared(`${prefix}/${name}`) || !shows(`${prefix}/${name}`)),
    ] as const;
  });
  return Object.fromEntries(beside);
}

/** @param dev where the real /dev is */
export function keptOfDev(dev: string): KeptEntries {
  const entries = list(dev).filter(({ name }) => !OWN_NODES.has(name));
  const hasTerminals = entries.some(({ name, kind }) => name === 'pts' && kind === 'directory');
  // The node itself would look for its terminals beside the place it was bound from.
  return {
    '/': entries.map((entry) =>
      entry.name === 'ptmx' && hasTerminals ? { name: 'ptmx', kind: 'link', target: 'pts/ptmx' } : entry,
    ),
  };
}

/** Whether the directory is made of both. */
export function isShared(path: string): boolean {
  return SHARED.includes(path);
}

/**
 * Lines of an fstab that bind the real entries over their places.
 *
 * @param source where the real directory can be reached still
 * @param target where the served one is mounted
 */
export function bindLines(kept: KeptEntries, source: string, target: string): string[] {
  const lines: string[] = [];
  for (const [directory, entries] of Object.entries(kept)) {
    const prefix = directory === '/' ? '' : directory;
    for (const { name, kind } of entries) {
      const path = `${prefix}/${name}`;
      if (kind === 'link' || isShared(path)) continue;
      const how = kind === 'directory' ? 'rbind' : 'bind';
      lines.push(`${escaped(source + path)} ${escaped(target + path)} none ${how} 0 0`);
    }
  }
  return lines;
}

function list(directory: string): KeptEntry[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry): KeptEntry[] => {
      const { name } = entry;
      if (entry.isDirectory()) return [{ name, kind: 'directory' }];
      if (!entry.isSymbolicLink()) return [{ name, kind: 'file' }];
      return [{ name, kind: 'link', target: readlinkSync(`${directory}/${name}`) }];
    });
  } catch {
    return [];
  }
}

/** As getmntent(3) reads it. */
function escaped(path: string): string {
  return path.replace(/[\s\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
