/** Whether a driver may stay on a device while another of its group is handed over (groups-core.md 9). */

import { isVfioDriver, managesDma } from '../machine/drivers.ts';

/** A member of a group, as far as the rules look at it. */
export interface Sharer {
  driver: string;
  /** PCI header type is not 0; `undefined`: not known. Devices of other buses are none. */
  bridge: boolean | undefined;
}

interface Era {
  /** First kernel with the rule, and the first without. */
  from: number;
  until: number;
  allows(sharer: Sharer): boolean | undefined;
}

const version = (major: number, minor: number): number => major * 1000 + minor;

const FIRST_VFIO = version(3, 6);

/** Allow-lists of VFIO's own at first; since 5.19 every driver says of itself whether it shares. */
const ERAS: readonly Era[] = [
  {
    from: FIRST_VFIO,
    until: version(3, 11),
    allows: ({ driver }) => isVfioDriver(driver) || driver === 'pci-stub',
  },
  {
    from: version(3, 11),
    until: version(4, 4),
    allows: ({ driver }) => isVfioDriver(driver) || driver === 'pci-stub' || driver === 'pcieport',
  },
  {
    from: version(4, 4),
    until: version(5, 19),
    allows: ({ driver, bridge }) => isVfioDriver(driver) || driver === 'pci-stub' || bridge,
  },
  { from: version(5, 19), until: Number.POSITIVE_INFINITY, allows: ({ driver }) => managesDma(driver) },
];

const TODAY = ERAS.at(-1)!;
const LAST_LIST = ERAS.at(-2)!;

export class SharingRules {
  readonly #eras: readonly Era[];
  /** Kernel without VFIO: nothing can be handed over. */
  readonly none: boolean;

  /** @param release as `uname -r` prints it; where it is not known both sides of 5.19 must agree */
  constructor(release: string | undefined) {
    const found = /^(\d{1,4})\.(\d{1,4})/.exec(release ?? '');
    const number = found === null ? undefined : version(Number(found[1]), Number(found[2]));
    this.none = number !== undefined && number < FIRST_VFIO;
    // Enterprise kernels keep their number while parts of newer ones come in.
    const backported = /\.el9/.test(release ?? '') && number === version(5, 14);
    this.#eras =
      number === undefined || backported
        ? [LAST_LIST, TODAY]
        : this.none
          ? ERAS.slice(0, 1)
          : ERAS.filter(({ from, until }) => from <= number && number < until);
  }

  /** `undefined`: cannot be told from the data. */
  allows(sharer: Sharer): boolean | undefined {
    const answers = new Set(this.#eras.map((era) => era.allows(sharer)));
    return answers.size === 1 ? [...answers][0] : undefined;
  }
}
