/** The recorded facts of each function, those of functions that are gone included. */

import type { PciFacts } from '../../host/snapshot.ts';
import type { Machine } from '../../machine/machine.ts';

export class FactsByAddress {
  readonly #machine: Machine;
  readonly #known = new Map<string, PciFacts>();
  #taken: readonly PciFacts[] | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** What is known of the function that is, or was last, at an address. */
  get(address: string): PciFacts | undefined {
    const { devices } = this.#machine.snapshot;
    if (this.#taken !== devices) {
      for (const facts of devices) this.#known.set(facts.address, facts);
      this.#taken = devices;
    }
    return this.#known.get(address);
  }

  /** All of which that is true. */
  all(): PciFacts[] {
    this.get('');
    return [...this.#known.values()];
  }
}
