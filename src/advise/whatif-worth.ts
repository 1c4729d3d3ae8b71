/** What a gain is worth: whether it would be had without the parts that only make the kernel believe it. */

import type { Snapshot } from '../host/snapshot.ts';
import { applyChanges, bootChanged } from '../machine/apply-changes.ts';
import type { BootOptions } from '../machine/boot.ts';
import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';
import type { Worth } from './report-whatif.ts';
import { WORTHS, worthOf } from './whatif-words.ts';

/** Machines with part of the changes, booted when asked for: those as honest as a level, and all more honest. */
export class HonestMachines {
  readonly #snapshot: Snapshot;
  readonly #changes: readonly MachineChange[];
  readonly #options: BootOptions;
  readonly #whole: Machine;
  readonly #booted = new Map<string, Machine>();

  /** @param whole the machine with all changes */
  constructor(snapshot: Snapshot, changes: readonly MachineChange[], options: BootOptions, whole: Machine) {
    this.#snapshot = snapshot;
    this.#changes = changes;
    this.#options = options;
    this.#whole = whole;
  }

  /** The most honest level at which the device is with nobody it is not with in the end; by its name in the end. */
  worth(name: string): Worth {
    const company = new Set(this.#whole.groupOf(name)?.devices);
    for (const level of WORTHS) {
      const group = this.#at(level).groupOf(name);
      if (group?.devices.every((other) => company.has(other))) return level;
    }
    return 'claim';
  }

  #at(level: Worth): Machine {
    const allowed = WORTHS.slice(0, WORTHS.indexOf(level) + 1);
    const changes = this.#changes.filter((change) => allowed.includes(worthOf([change])));
    const claims = level === 'claim';
    const overridden = this.#whole.acsContext.override !== undefined;
    if (changes.length === this.#changes.length && (claims || !overridden)) return this.#whole;
    const key = `${changes.length} ${claims}`;
    let machine = this.#booted.get(key);
    if (machine === undefined) {
      const options = claims ? this.#options : { ...this.#options, withoutOverride: true };
      machine = bootChanged(applyChanges(this.#snapshot, changes, options));
      this.#booted.set(key, machine);
    }
    return machine;
  }
}
