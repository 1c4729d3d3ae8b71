/**
 * How a bus isolates, by the series "Fix incorrect iommu_groups with PCIe ACS" (v3, September 2025; proposed, not
 * in mainline).
 *
 * Its view: ACS is egress control. Good flags on the way from one device do not keep others from reaching it, so
 * isolation is a property of a bus and of the bridge that leads to it, not of a path.
 */

import type { AcsVerdict } from '../../pci/acs.ts';
import type { PciBus } from '../../pci/bus.ts';
import type { PciDevice } from '../../pci/device.ts';
import { PcieType } from '../../pci/facts.ts';

export type Isolation =
  | 'isolated'
  /** Everything below shares the group of the bridge. */
  | 'pcie-non-isolated'
  /** Inside of a switch: all its downstream ports and what is below share a group, the upstream port stays out. */
  | 'pcie-switch-dsp-non-isolated'
  /** Conventional bus behind a bridge that makes no DMA of its own: the bridge stays out. */
  | 'pci-bus-non-isolated'
  /** Conventional bus whose bridge may make DMA of its own, or is seen in its place. */
  | 'pci-bridge-non-isolated';

export interface BusVerdict {
  isolation: Isolation;
  /** The test that decided, where one did. */
  acs?: AcsVerdict;
  assumed?: string;
}

/** `pci_bus_isolated()` of the series. A bus without a bridge of its own, root or SR-IOV, isolates. */
export function busIsolation(bus: PciBus, acs: (device: PciDevice) => AcsVerdict): BusVerdict {
  const bridge = bus.self;
  if (bridge === undefined) return { isolation: 'isolated' };
  switch (bridge.pcieType) {
    case PcieType.RootPort:
    case PcieType.Downstream:
      return portIsolation(bridge, acs(bridge));
    case PcieType.Upstream:
      return switchIsolation(bus, acs);
    case PcieType.PciBridge:
      return pciBridgeIsolation(bridge);
    default:
      return { isolation: 'pci-bridge-non-isolated' };
  }
}

/** A root port without the capability is taken to have no loopback inside; a switch port is not. */
function portIsolation(port: PciDevice, verdict: AcsVerdict): BusVerdict {
  const noLoopback = port.pcieType === PcieType.RootPort && verdict.because === 'no-capability';
  return { isolation: verdict.enabled || noLoopback ? 'isolated' : 'pcie-non-isolated', acs: verdict };
}

function switchIsolation(bus: PciBus, acs: (device: PciDevice) => AcsVerdict): BusVerdict {
  let failing: AcsVerdict | undefined;
  for (const member of bus.devices) {
    if (member.pcieType !== PcieType.Downstream || member.dmaAliasMask !== undefined) {
      return { isolation: 'pcie-non-isolated' };
    }
    const verdict = acs(member);
    if (!verdict.enabled) failing ??= verdict;
  }
  return failing ? { isolation: 'pcie-switch-dsp-non-isolated', acs: failing } : { isolation: 'isolated' };
}

const FIRST_BAR = 0x10;
const BAR_IS_IO = 1;

/** The base addresses of a bridge show whether it has registers to be addressed, hence may make DMA itself. */
function pciBridgeIsolation(bridge: PciDevice): BusVerdict {
  const bars = [bridge.config?.dword(FIRST_BAR), bridge.config?.dword(FIRST_BAR + 4)];
  if (bars.some((bar) => bar !== undefined && bar !== 0 && (bar & BAR_IS_IO) === 0)) {
    return { isolation: 'pci-bridge-non-isolated' };
  }
  if (!bars.includes(undefined)) return { isolation: 'pci-bus-non-isolated' };
  const assumed = `${bridge.name} is taken to have no registers in memory space, its base addresses are not known`;
  return { isolation: 'pci-bus-non-isolated', assumed };
}
