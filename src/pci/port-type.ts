/** Port types that contradict what is above them. */

import type { PciDevice } from './device.ts';
import { PcieType } from './facts.ts';

/**
 * A downstream port below a downstream port, or an upstream port below an upstream port, is impossible, and the
 * kernel corrects its type (`set_pcie_port_type`). It then stores the new value in the low bits of the flags
 * register, which hold the version, and leaves the type field zero: what it takes the port for from there on is
 * an endpoint. The same is done here, because groups are formed with it.
 */
export function correctPortType(device: PciDevice): void {
  const above = device.pciBus.self?.pcieType;
  const type = device.facts.pcie?.type;
  if (above === undefined || above === null) return;
  const impossible =
    (type === PcieType.Downstream && isDownstream(above)) ||
    (type === PcieType.Upstream && above === PcieType.Upstream);
  if (impossible) device.correctedType = PcieType.Endpoint;
}

/** `pcie_downstream_port`: a link begins below it. */
export function isDownstream(type: number | null | undefined): boolean {
  return type === PcieType.RootPort || type === PcieType.Downstream || type === PcieType.PcieBridge;
}
