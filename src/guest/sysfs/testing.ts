/** For tests: a machine with its /sys, and that /sys as files on disk. */

import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostTree } from '../../host/host-tree.ts';
import { readHost } from '../../host/read-host.ts';
import type { Snapshot } from '../../host/snapshot.ts';
import { PhysicalMemory } from '../../iommu/physical-memory.ts';
import { Iommufd } from '../../iommufd/iommufd.ts';
import { Vfio } from '../../iommufd/vfio/vfio.ts';
import { KernelError } from '../../kernel/errors.ts';
import { boot } from '../../machine/boot.ts';
import type { Machine } from '../../machine/machine.ts';
import type { ViewDirectory } from './entry.ts';
import type { Uevent } from './events.ts';
import { SimulatedSysfs } from './view.ts';

const MACHINES = new URL('../../../test/fixtures/machines/', import.meta.url).pathname;

export interface Simulated {
  machine: Machine;
  vfio: Vfio;
  sysfs: SimulatedSysfs;
  /** What udev would have heard. */
  events: Uevent[];
  tree: HostTree | undefined;
}

export async function simulate(source: string): Promise<Simulated> {
  let tree: HostTree | undefined;
  const snapshot = await readHost(source, {
    keepTree: (kept) => {
      tree = kept;
    },
  });
  return simulateSnapshot(snapshot, tree);
}

export function simulateSnapshot(snapshot: Snapshot, tree?: HostTree): Simulated {
  const machine = boot(snapshot);
  const iommufd = new Iommufd({ iommu: machine.iommu, physical: new PhysicalMemory() });
  const vfio = new Vfio(iommufd);
  const events: Uevent[] = [];
  const onEvent = (event: Uevent) => events.push(event);
  const sysfs = new SimulatedSysfs({ machine, vfio, onEvent, cpus: 4, ...(tree !== undefined && { tree }) });
  return { machine, vfio, sysfs, events, tree };
}

/** A machine of test/fixtures/machines. */
export function recording(name: string): string {
  return join(MACHINES, `${name}.tar.gz`);
}

export function recordings(): string[] {
  return readdirSync(MACHINES)
    .filter((name) => name.endsWith('.tar.gz'))
    .map((name) => name.slice(0, -'.tar.gz'.length));
}

/** The errno a call ends with, or `ok`. */
export function code(work: () => unknown): string {
  try {
    work();
    return 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
}

/** Every path of the view, with what is there. Files are not read. */
export function* walk(
  directory: ViewDirectory,
): Generator<[path: string, kind: 'directory' | 'file' | 'link']> {
  const prefix = directory.path === '/' ? '' : directory.path;
  for (const name of directory.names()) {
    const entry = directory.entry(name);
    if (entry === undefined) throw new Error(`${prefix}/${name} is listed and cannot be looked up`);
    yield [`${prefix}/${name}`, entry.kind];
    if (entry.kind === 'directory') yield* walk(entry);
  }
}

/**
 * Writes the view out below `root`, which then holds what a copy of /sys would; what cannot be read is left empty.
 *
 * @param without leaves out what matches
 */
export function writeOut(sysfs: SimulatedSysfs, root: string, without = /^$/): void {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  for (const [path, kind] of walk(sysfs.root)) {
    if (without.test(path)) continue;
    const at = join(root, path);
    if (kind === 'directory') mkdirSync(at);
    else if (kind === 'link') symlinkSync(sysfs.readlink(path), at);
    else writeFileSync(at, readable(sysfs, path));
  }
}

function readable(sysfs: SimulatedSysfs, path: string): Uint8Array {
  try {
    return sysfs.read(path);
  } catch (error) {
    if (error instanceof KernelError) return new Uint8Array(0);
    throw error;
  }
}

/** Brings what was written out up to date: only what has changed is touched. */
export function refresh(sysfs: SimulatedSysfs, root: string): void {
  const wanted = new Map(walk(sysfs.root));
  const remove = (path: string): void => {
    for (const name of readdirSync(join(root, path))) {
      const at = `${path}/${name}`;
      const stat = lstatSync(join(root, at));
      const kind = stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'directory' : 'file';
      if (wanted.get(at) !== kind || kind === 'link') rmSync(join(root, at), { recursive: true });
      else if (kind === 'directory') remove(at);
    }
  };
  remove('');
  for (const [path, kind] of wanted) {
    const at = join(root, path);
    if (kind === 'link') symlinkSync(sysfs.readlink(path), at);
    else if (kind === 'directory') mkdirSync(at, { recursive: true });
    else {
      writeFileSync(at, readable(sysfs, path));
      chmodSync(at, 0o644);
    }
  }
}
