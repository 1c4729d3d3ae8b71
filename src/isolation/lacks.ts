/**
 * What a group's isolation may lack, by name. Providers state lacks, one policy for the machine says which are put
 * up with, and nobody else weighs them: user space gets a group or a refusal that names the lack.
 */

import { InputError } from '../kernel/errors.ts';

/** Every lack there is, and what it means. */
export const LACKS = {
  nomsi: 'interrupts are not isolated: a device can raise any interrupt of the host',
  nop2p: 'peer-to-peer traffic with devices outside is not known to be blocked',
  disputed: 'two providers claim a device of it, so one of them is wrong about what isolates it',
} as const;

export type Lack = keyof typeof LACKS;

export const LACK_NAMES = Object.keys(LACKS) as Lack[];

/** A lack of one group, and the fact it follows from. */
export interface StatedLack {
  lack: Lack;
  why: string;
}

/** Lacks that do not stand in the way of a manager. Nothing is accepted unless told. */
export type AcceptedLacks = ReadonlySet<Lack>;

/**
 * Names of lacks, as a policy file or a parameter has them.
 *
 * @param place what an error names, e.g. `isolation=` or a file
 * @throws InputError for a name that is none
 */
export function parseLacks(names: Iterable<string>, place: string): AcceptedLacks {
  const accepted = new Set<Lack>();
  for (const name of names) {
    if (!isLack(name)) {
      throw new InputError(place, `there is no lack '${name}'; there are ${LACK_NAMES.join(', ')}`);
    }
    accepted.add(name);
  }
  return accepted;
}

/** Those of `lacks` that policy does not put up with. */
export function unaccepted(lacks: readonly StatedLack[], accepted: AcceptedLacks): StatedLack[] {
  return lacks.filter(({ lack }) => !accepted.has(lack));
}

/** `nomsi (no interrupt remapping), nop2p (…)` */
export function lackWords(lacks: readonly StatedLack[]): string {
  return lacks.map(({ lack, why }) => `${lack} (${why})`).join(', ');
}

function isLack(name: string): name is Lack {
  return Object.hasOwn(LACKS, name);
}
