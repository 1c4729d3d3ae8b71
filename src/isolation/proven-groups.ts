/**
 * The groups that proven facts alone would give: what `pcie_acs_override=` claims left out, and every device there
 * is looked at as if all had been there from the start. A group that is smaller than this is weak.
 */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import { PciGrouping } from '../iommu/grouping/pci.ts';
import type { GroupingPolicy } from '../iommu/grouping/policy.ts';
import { AcsContext } from '../pci/acs.ts';
import { PciDevice } from '../pci/device.ts';

/** The rules of mainline on the same machine, without the override. */
export function provenRules(acs: AcsContext): GroupingPolicy {
  return new PciGrouping('proven', new AcsContext({ control: acs.control, ivrs: acs.ivrs }));
}

export class ProvenGroups {
  readonly #members = new Map<Device, Device[]>();

  /**
   * @param rules by which PCI functions are grouped; other devices are alone
   * @param translated devices that are not do not count, as in the IOMMU core
   */
  constructor(buses: Iterable<Bus>, rules: GroupingPolicy, translated: (device: Device) => boolean) {
    for (const bus of buses) {
      for (const device of bus.devices) {
        if (!(device instanceof PciDevice) || !translated(device)) continue;
        const { group } = rules.deviceGroup(device, (other) => this.#members.get(other));
        const members = group ?? [];
        members.push(device);
        this.#members.set(device, members);
      }
    }
  }

  /** The devices this one shares a group with, itself included, in the order of their bus. */
  of(device: Device): readonly Device[] {
    return this.#members.get(device) ?? [device];
  }
}
