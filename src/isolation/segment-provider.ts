/**
 * A bridge that isolates what is below it as a whole: a host bridge with an IOMMU for its segment (a partitionable
 * endpoint of POWER), or a card that brings a bus and an IOMMU of its own.
 */

import type { Device } from '../device/device.ts';
import type { Isolation } from './isolation.ts';
import type { StatedLack } from './lacks.ts';
import { OwnGroups, type Place } from './own-groups.ts';
import type { IsolationIommuOps } from './provider.ts';

export interface SegmentOptions {
  isolation: Isolation;
  bridge: Device;
  /** The bridge's name unless told. */
  name?: string;
  ops?: IsolationIommuOps;
  /** What this bridge's isolation lacks. */
  lacks?: readonly StatedLack[];
}

export class SegmentProvider extends OwnGroups {
  readonly #bridge: Device;
  readonly #ops: IsolationIommuOps | undefined;
  readonly #lacks: readonly StatedLack[];

  constructor(options: SegmentOptions) {
    super(options.isolation, options.name ?? options.bridge.name);
    this.#bridge = options.bridge;
    this.#ops = options.ops;
    this.#lacks = options.lacks ?? [];
  }

  lacksOf(): StatedLack[] {
    return [...this.#lacks];
  }

  /** Everything below the bridge, not the bridge, in one group that is named for it. */
  protected override placeOf(device: Device): Place | undefined {
    for (let above = device.parent; above !== undefined; above = above.parent) {
      if (above === this.#bridge) return { key: this.#bridge, name: this.#bridge.name, ops: this.#ops };
    }
    return undefined;
  }
}
