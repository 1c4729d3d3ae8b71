/** What the drivers of 2012 had in common: a number is computed for a device, and devices of equal number share. */

import type { Device } from '../../device/device.ts';
import type { PciDevice } from '../../pci/device.ts';
import { KeyedGrouping } from './keyed.ts';
import { requirePci } from './pci.ts';

/** The number, and why it is that. */
export interface GroupNumber {
  /** As the driver reported it. */
  id: number;
  of: string;
  because: string;
}

export abstract class NumberedGrouping extends KeyedGrouping {
  /** The driver's `device_group(dev, &id)`. */
  protected abstract groupNumber(device: PciDevice): GroupNumber;

  /** @throws KernelError EINVAL for what is not a PCI device */
  protected override keyOf(device: Device) {
    const pci = requirePci(device);
    const number = this.groupNumber(pci);
    // Not every driver put the segment into its number; those knew only one.
    return {
      key: `${pci.domain}:${number.id}`,
      step: { step: 'number' as const, ...number, grouped: false },
    };
  }
}

/** Function 0 of the slot, which stands for all functions with `iommu=group_mf`. */
export function slotOfDevfn(devfn: number): number {
  return devfn & 0xf8;
}
