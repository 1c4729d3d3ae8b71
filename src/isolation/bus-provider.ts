/** A bus whose devices cannot reach each other: every one is a group of its own. */

import type { Device } from '../device/device.ts';
import type { Isolation } from './isolation.ts';
import { OwnGroups, type Place } from './own-groups.ts';
import type { IsolationIommuOps, ProviderAnswer } from './provider.ts';

export interface BusProviderOptions {
  isolation: Isolation;
  name: string;
  ops?: IsolationIommuOps;
  /** Which of its devices are isolated; all unless told. The others must stay without a group. */
  isolates?(device: Device): boolean;
}

/** Its groups have UUIDs for names: a device's own name says nothing that its link does not. */
export class BusProvider extends OwnGroups {
  readonly #ops: IsolationIommuOps | undefined;
  readonly #isolates: (device: Device) => boolean;

  constructor(options: BusProviderOptions) {
    super(options.isolation, options.name);
    this.#ops = options.ops;
    this.#isolates = options.isolates ?? (() => true);
  }

  protected override placeOf(device: Device): Place | ProviderAnswer {
    return this.#isolates(device) ? { key: device, ops: this.#ops } : 'outside';
  }
}
