/** Trying a change on the model: boot the machine with it, and see what becomes of one device's group. */

import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { applyChanges, bootChanged } from '../machine/apply-changes.ts';
import type { BootOptions } from '../machine/boot.ts';
import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';

export interface Trial {
  machine: Machine;
  /** What the device is called there. */
  name: string;
  /** Words for the kernel command line. */
  parameters: string[];
  /** Functions that were not there before. */
  added: readonly string[];
}

/** The machine, as far as it matters to the device, with changes; absent where they cannot be made. */
export function tryChanges(
  machine: Machine,
  name: string,
  changes: readonly MachineChange[],
  options: BootOptions = machine.options,
): Trial | undefined {
  try {
    const changed = applyChanges(domainOf(machine.snapshot, name), changes, options);
    const { parameters, added, now } = changed;
    return { machine: bootChanged(changed), name: now?.get(name) ?? name, parameters, added };
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

/** Size of the device's group then; 0 where it has none, or the changes cannot be made. */
export function sizeWith(machine: Machine, name: string, changes: readonly MachineChange[]): number {
  const trial = tryChanges(machine, name, changes);
  return trial?.machine.groupOf(trial.name)?.devices.length ?? 0;
}

/**
 * Groups do not reach across PCI domains, so a large machine need not be booted whole to try one device. Domains
 * above ffff are behind a VMD, which makes their DMA and is in another.
 */
export function domainOf(snapshot: Snapshot, name: string): Snapshot {
  if (snapshot.devices.some((facts) => facts.address.indexOf(':') > 4)) return snapshot;
  const domain = name.slice(0, name.indexOf(':') + 1);
  return { ...snapshot, devices: snapshot.devices.filter((facts) => facts.address.startsWith(domain)) };
}
