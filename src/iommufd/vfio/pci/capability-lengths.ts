/**
 * How many bytes a capability takes, for the map of configuration space. 0 for capabilities a program does not get
 * to see: those of bridges, and those whose registers would reach beyond the function.
 */

import type { PciHardware } from './hardware.ts';
import { Capability, CONVENTIONAL_SIZE, Extended, Msi } from './registers.ts';

/** Express endpoint of a root complex, which has no link registers. */
const INTEGRATED_ENDPOINT = 9;

const CONVENTIONAL: ReadonlyMap<number, number> = new Map([
  [Capability.PowerManagement, 8],
  [Capability.Agp, 12],
  [Capability.Vpd, 8],
  [Capability.MsiX, 12],
  [Capability.AdvancedFeatures, 6],
]);

const EXTENDED: ReadonlyMap<number, number> = new Map([
  [Extended.AdvancedErrors, 0x2c],
  [Extended.SerialNumber, 12],
  [Extended.PowerBudget, 16],
  [Extended.Ari, 8],
  [Extended.Ats, 8],
  [Extended.Sriov, 0x40],
  [Extended.Multicast, 40],
  [Extended.PageRequest, 16],
  [Extended.Ltr, 8],
]);

/** `vfio_cap_len` and its table. */
export function capabilityLength(hardware: PciHardware, id: number, at: number): number {
  switch (id) {
    case Capability.Msi: {
      const flags = hardware.read(at + Msi.Flags, 2);
      return 10 + ((flags & Msi.wide) !== 0 ? 4 : 0) + ((flags & Msi.maskable) !== 0 ? 10 : 0);
    }
    case Capability.PciX:
      return ((hardware.read(at + 2, 2) >> 12) & 3) !== 0 ? 24 : 8;
    case Capability.HyperTransport:
      return (hardware.read(at + 3, 1) & 0xe0) !== 0 ? 24 : 28;
    case Capability.Vendor:
      return hardware.read(at + 2, 1);
    case Capability.Express: {
      const flags = hardware.read(at + 2, 2);
      const linkless = ((flags >> 4) & 0xf) === INTEGRATED_ENDPOINT;
      if ((flags & 0xf) === 1) return linkless ? 12 : 20;
      return linkless ? 0x2c : 0x32;
    }
    case Capability.Sata:
      return (hardware.read(at + 4, 1) & 0xf) === 0xf ? 16 : 8;
    default:
      return CONVENTIONAL.get(id) ?? 0;
  }
}

/** Whether configuration space goes on beyond 256 bytes, as far as a capability tells (`extended_caps`). */
export function announcesExtended(hardware: PciHardware, id: number, at: number): boolean {
  if (hardware.configSize <= CONVENTIONAL_SIZE) return false;
  const newPciX = id === Capability.PciX && ((hardware.read(at + 2, 2) >> 12) & 3) !== 0;
  return (id === Capability.Express || newPciX) && hardware.read(CONVENTIONAL_SIZE, 4) !== 0;
}

/** `vfio_ext_cap_len` and its table. */
export function extendedLength(hardware: PciHardware, id: number, at: number): number {
  switch (id) {
    case Extended.Vendor:
    case Extended.DesignatedVendor:
      return hardware.read(at + 4, 4) >>> 20;
    case Extended.VirtualChannel:
    case Extended.VirtualChannel9:
    case Extended.MultiFunctionVc:
      return virtualChannelLength(hardware, at);
    case Extended.Acs: {
      if ((hardware.read(at + 4, 1) & 0x20) === 0) return 8;
      const bits = hardware.read(at + 5, 1);
      return 8 + (bits === 0 ? 256 : Math.ceil(bits / 32) * 32) / 8;
    }
    case Extended.ResizableBar:
      return 4 + ((hardware.read(at + 8, 1) & 0xe0) >> 5) * 8;
    case Extended.PowerAllocation:
      return 16 + (hardware.read(at + 4, 1) & 0x1f) + 1;
    case Extended.Tph: {
      const capability = hardware.read(at + 4, 4);
      const tableInside = (capability & 0x600) === 0x200;
      return 12 + (tableInside ? ((capability >>> 16) & 0x7ff) * 2 + 2 : 0);
    }
    default:
      return EXTENDED.get(id) ?? 0;
  }
}

/** `vfio_vc_cap_len`: one block a channel, then the arbitration table. */
function virtualChannelLength(hardware: PciHardware, at: number): number {
  const channels = 1 + (hardware.read(at + 4, 4) & 7);
  const arbitration = hardware.read(at + 8, 4);
  const phases =
    (arbitration & 8) !== 0 ? 128 : (arbitration & 4) !== 0 ? 64 : (arbitration & 2) !== 0 ? 32 : 0;
  const length = 16 + channels * 12;
  return phases === 0 ? length : Math.ceil(length / 16) * 16 + phases / 2;
}
