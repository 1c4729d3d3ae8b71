/** The machines a server shows: each is read when first asked for, and anew after it changed. */

import { Explorer } from '../advise/explore.ts';
import type { Snapshot } from '../host/snapshot.ts';
import type { BootOptions } from '../machine/boot.ts';
import type { PciIds } from '../pci/ids.ts';

export interface MachineSource {
  /** As it was named on the command line, or `this machine`. */
  name: string;
  /** Changes can be followed. */
  live: boolean;
  read(): Promise<Snapshot>;
}

export interface MachineLine {
  id: number;
  name: string;
  live: boolean;
}

export class Machines {
  readonly #sources: readonly MachineSource[];
  readonly #ids: PciIds;
  readonly #options: BootOptions;
  readonly #explorers = new Map<number, Promise<Explorer>>();

  constructor(sources: readonly MachineSource[], ids: PciIds, options: BootOptions = {}) {
    this.#sources = sources;
    this.#ids = ids;
    this.#options = options;
  }

  lines(): MachineLine[] {
    return this.#sources.map(({ name, live }, id) => ({ id, name, live }));
  }

  /** @returns `undefined` where there is no machine of that number @throws InputError when it cannot be read */
  async explorer(id: number): Promise<Explorer | undefined> {
    const source = this.#sources[id];
    if (source === undefined) return undefined;
    let made = this.#explorers.get(id);
    if (made === undefined) {
      made = source.read().then((snapshot) => new Explorer(snapshot, this.#ids, this.#options));
      this.#explorers.set(id, made);
      // What could not be read is tried again when asked again.
      made.catch(() => this.#explorers.delete(id));
    }
    return made;
  }

  /** It changed: what is known of it is stale. */
  forget(id: number): void {
    this.#explorers.delete(id);
  }
}
