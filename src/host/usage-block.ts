/** From a block device down to the PCI functions that hold its data. */

import { baseName } from './file-tree.ts';
import { type HostTree, under } from './host-tree.ts';
import { linkedDir, pciAbove, safeName } from './usage-list.ts';

/** A PCI function, and the block device on it. */
export interface Holder {
  device: string;
  /** Kernel name: `nvme0n1p2`. */
  through: string;
}

/** Device mapper over md over bcache over a partition is four; anything near this is a loop of links. */
const DEEPEST_STACK = 16;

/** Device mapper, md, bcache, NVMe multipath, and volumes of a zfs pool. */
const COMPOSED = /devices\/virtual\/(?:block\/(?:dm-|md|bcache|zd)\d|nvme-subsystem\/)[^/]*(?:\/nvme[^/]*)?$/;

export class BlockDevices {
  readonly #tree: HostTree;
  readonly #class: string;
  #numbers: Map<string, string> | undefined;
  #mapperNames: Map<string, string> | undefined;

  constructor(tree: HostTree) {
    this.#tree = tree;
    this.#class = under(tree.sys, 'class/block');
  }

  /** Kernel names of all block devices, partitions too. */
  get names(): string[] {
    return (this.#tree.files.list(this.#class) ?? []).sort();
  }

  /** Directory of the device with that name. */
  byName(name: string): string | undefined {
    const safe = safeName(name);
    return safe === undefined ? undefined : linkedDir(this.#tree, `${this.#class}/${safe}`);
  }

  /** Directory of the device with number `major:minor`. */
  byNumber(number: string): string | undefined {
    const known = linkedDir(this.#tree, under(this.#tree.sys, `dev/block/${number}`));
    if (known !== undefined) return known;
    this.#numbers ??= this.#readAll('dev');
    const name = this.#numbers.get(number);
    return name === undefined ? undefined : this.byName(name);
  }

  /** Directory of what a path below /dev names: `/dev/sda1`, `/dev/mapper/vg-root`. */
  byPath(path: string): string | undefined {
    if (!path.startsWith('/dev/')) return undefined;
    const name = baseName(path);
    if (!path.startsWith('/dev/mapper/')) return this.byName(name);
    this.#mapperNames ??= this.#readAll('dm/name');
    const kernelName = this.#mapperNames.get(name);
    return kernelName === undefined ? undefined : this.byName(kernelName);
  }

  /** The PCI functions below a device: several for RAID and volumes, none for what lives in memory or elsewhere. */
  holders(dir: string): Holder[] {
    const found = new Map<string, Holder>();
    this.#descend(dir, 0, new Set(), found);
    return [...found.values()];
  }

  /** Made of other devices, and the tree does not say of which. */
  composition(dir: string): 'known' | 'missing' {
    const composed = COMPOSED.test(dir.slice(under(this.#tree.sys, '').length));
    return composed && this.holders(dir).length === 0 && !this.#hasSlaves(dir) ? 'missing' : 'known';
  }

  #hasSlaves(dir: string): boolean {
    return (this.#tree.files.list(`${dir}/slaves`) ?? []).length > 0;
  }

  /** Every other device of the same btrfs, which mountinfo names by one of them only. */
  btrfsDevices(dir: string): string[] {
    const name = baseName(dir);
    const top = under(this.#tree.sys, 'fs/btrfs');
    for (const one of this.#tree.files.list(top) ?? []) {
      const members = this.#tree.files.list(`${top}/${one}/devices`) ?? [];
      if (members.includes(name)) return members.sort().flatMap((member) => this.byName(member) ?? []);
    }
    return [dir];
  }

  #descend(dir: string, depth: number, seen: Set<string>, found: Map<string, Holder>): void {
    if (depth > DEEPEST_STACK || seen.has(dir)) return;
    seen.add(dir);
    const device = pciAbove(this.#tree, dir);
    if (device !== undefined) {
      found.set(`${device} ${baseName(dir)}`, { device, through: baseName(dir) });
      return;
    }
    for (const controller of this.#nvmePaths(dir)) {
      found.set(`${controller} ${baseName(dir)}`, { device: controller, through: baseName(dir) });
    }
    // What a device is made of stands with the whole device, not with its partitions.
    const whole = this.#tree.files.exists(`${dir}/partition`) ? dir.slice(0, dir.lastIndexOf('/')) : dir;
    for (const slave of (this.#tree.files.list(`${whole}/slaves`) ?? []).sort()) {
      const below = linkedDir(this.#tree, `${whole}/slaves/${slave}`);
      if (below !== undefined) this.#descend(below, depth + 1, seen, found);
    }
  }

  /** With multipath, an NVMe namespace hangs from its subsystem, which links to the controllers. */
  #nvmePaths(dir: string): string[] {
    const subsystem = /^.*\/nvme-subsystem\/[^/]+/.exec(dir)?.[0];
    if (subsystem === undefined) return [];
    const controllers = (this.#tree.files.list(subsystem) ?? []).filter((name) => /^nvme\d+$/.test(name));
    return controllers.sort().flatMap((name) => {
      const target = linkedDir(this.#tree, `${subsystem}/${name}`);
      return (target && pciAbove(this.#tree, target)) ?? [];
    });
  }

  /** Content of one attribute of every block device, to its kernel name. */
  #readAll(attribute: string): Map<string, string> {
    const found = new Map<string, string>();
    for (const name of this.names) {
      const value = this.#tree.files.readText(`${this.#class}/${name}/${attribute}`)?.trim();
      if (value) found.set(value, name);
    }
    return found;
  }
}
