/**
 * The VT-d driver of Linux 3.3 to 3.5: a group is a number made of segment, bus and devfn of the device, or of
 * the PCIe-to-PCI bridge above it. ACS was not asked.
 */

import type { PciDevice } from '../../pci/device.ts';
import { PcieType } from '../../pci/facts.ts';
import { type GroupNumber, NumberedGrouping, slotOfDevfn } from './numbered.ts';

export class Vtd2012Grouping extends NumberedGrouping {
  readonly #groupMultifunction: boolean;

  /** @param options.groupMf `iommu=group_mf`: functions of a slot share, virtual functions excepted */
  constructor(options: { groupMf?: boolean } = {}) {
    super('vtd-2012');
    this.#groupMultifunction = options.groupMf === true;
  }

  /** `intel_iommu_device_group` */
  protected override groupNumber(device: PciDevice): GroupNumber {
    const bridge = upstreamPcieBridge(device);
    const source = sourceOf(device, bridge);
    const merges = this.#groupMultifunction && !device.isVirtual;
    const devfn = merges ? slotOfDevfn(source.devfn) : source.devfn;
    const id = device.domain * 0x10000 + source.bus * 0x100 + devfn;
    const because = merges
      ? `${source.because}, functions of a slot together (iommu=group_mf)`
      : source.because;
    return { id, of: (bridge ?? device).name, because };
  }
}

function sourceOf(
  device: PciDevice,
  bridge: PciDevice | undefined,
): { bus: number; devfn: number; because: string } {
  if (bridge === undefined) {
    return { bus: device.pciBus.number, devfn: device.devfn, because: 'its own bus, slot and function' };
  }
  if (bridge.isPcie && bridge.subordinate !== undefined) {
    return {
      bus: bridge.subordinate.number,
      devfn: 0,
      because: `the bus behind PCIe-to-PCI bridge ${bridge.name}`,
    };
  }
  return {
    bus: bridge.pciBus.number,
    devfn: bridge.devfn,
    because: `conventional bridge ${bridge.name} above it`,
  };
}

/**
 * `pci_find_upstream_pcie_bridge`: for a conventional device the PCIe-to-PCI bridge above it, or the topmost
 * conventional bridge where there is none.
 */
function upstreamPcieBridge(device: PciDevice): PciDevice | undefined {
  if (device.isPcie) return undefined;
  let conventional: PciDevice | undefined;
  for (let bus = device.pciBus; bus.parent !== undefined; bus = bus.parent) {
    const bridge = bus.self;
    if (bridge === undefined) continue;
    if (bridge.isPcie) return bridge.pcieType === PcieType.PciBridge ? bridge : undefined;
    conventional = bridge;
  }
  return conventional;
}
