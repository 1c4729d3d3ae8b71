/** Devices of other buses that stand in IOMMU groups: platform, ACPI, AMBA … */

import { Bus } from '../device/bus.ts';
import { Device } from '../device/device.ts';
import type { OtherFacts } from '../host/snapshot.ts';
import type { Iommu } from '../iommu/iommu.ts';
import type { PciTopology } from '../pci/topology.ts';

/** Devices by name, each on a bus of the recorded name and below the PCI device its path leads through. */
export function otherDevices(
  facts: readonly OtherFacts[],
  pci: PciTopology,
  iommu: Iommu,
): Map<string, Device> {
  const buses = new Map<string, Bus>();
  const devices = new Map<string, Device>();
  for (const { name, bus = 'platform', path } of facts) {
    let onBus = buses.get(bus);
    if (onBus === undefined) {
      onBus = new Bus({ name: bus, ...iommu.dmaHooks });
      buses.set(bus, onBus);
    }
    const parent = pciAncestor(path, pci);
    devices.set(name, new Device({ name, bus: onBus, ...(parent !== undefined && { parent }) }));
  }
  return devices;
}

function pciAncestor(path: string | undefined, pci: PciTopology): Device | undefined {
  const above = path?.split('/').slice(0, -1).reverse() ?? [];
  for (const name of above) {
    const found = pci.find(name);
    if (found !== undefined) return found;
  }
  return undefined;
}
