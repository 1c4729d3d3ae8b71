/**
 * Drivers of a copied tree that somebody changes, in a rehearsal or a test: what they move are the `driver` links,
 * while `uevent`, which the reader goes by, may stay behind. The running kernel keeps the two together.
 */

import { directoryTree } from '../host/disk-tree.ts';
import { baseName } from '../host/file-tree.ts';
import { under } from '../host/host-tree.ts';
import type { Snapshot } from '../host/snapshot.ts';

export class DriverLinks {
  readonly #directory: string;
  /** The tree has such links, so a device without one has no driver. */
  #kept = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The same snapshot with drivers as the links have them. @throws InputError when the tree is gone */
  correct(snapshot: Snapshot): Snapshot {
    const { files, sys, live } = directoryTree(this.#directory);
    if (live) return snapshot;
    const links = snapshot.devices.map(({ address, path }) => {
      const dir = under(sys, path === undefined ? `bus/pci/devices/${address}` : `devices/${path}`);
      return files.link(`${dir}/driver`);
    });
    this.#kept ||= links.some((link) => link !== undefined);
    if (!this.#kept) return snapshot;
    const devices = snapshot.devices.map((facts, index) => {
      const link = links[index];
      return { ...facts, driver: link === undefined ? null : baseName(link) };
    });
    return { ...snapshot, devices };
  }
}
