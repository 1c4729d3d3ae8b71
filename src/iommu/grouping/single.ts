/**
 * `generic_single_device_group()`: an IOMMU that cannot tell its devices apart keeps them all in one group.
 *
 * The kernel remembers the group itself, a policy remembers who is in it. They differ when all have left: the core
 * then finds the group again by the `instance` step.
 */

import type { Device } from '../../device/device.ts';
import { KeyedGrouping } from './keyed.ts';

export class SingleGrouping extends KeyedGrouping {
  readonly #instanceOf: (device: Device) => string;

  /** @param instanceOf name of the IOMMU that translates a device */
  constructor(instanceOf: (device: Device) => string) {
    super('single');
    this.#instanceOf = instanceOf;
  }

  protected override keyOf(device: Device) {
    const iommu = this.#instanceOf(device);
    return { key: iommu, step: { step: 'instance' as const, iommu, grouped: false } };
  }
}
