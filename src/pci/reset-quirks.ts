/** Devices for which a way of resetting does not work although they offer it, and those with a way of their own. */

import { type PciDevice, PciFlag } from './device.ts';

interface ResetQuirk {
  vendor: number;
  /** `any`, or ids, or those equal to `value` under `mask`. */
  devices: readonly number[] | 'any' | { mask: number; value: number };
  /** Base class and sub-class. */
  class?: number;
  revision?: number;
  /** On a root bus an ineffective PM reset is still better than none. */
  notOnRootBus?: true;
  flag: number;
}

/** `quirk_no_bus_reset`, `quirk_no_pm_reset`, `quirk_no_flr` */
const RESET_QUIRKS: readonly ResetQuirk[] = [
  { vendor: 0x10de, devices: [0x22ce, 0x22d0], flag: PciFlag.NoBusReset },
  { vendor: 0x10de, devices: { mask: 0xffc0, value: 0x2340 }, flag: PciFlag.NoBusReset },
  { vendor: 0x168c, devices: [0x0030, 0x0032, 0x003c, 0x0033, 0x0034, 0x003e], flag: PciFlag.NoBusReset },
  { vendor: 0x17cb, devices: [0x1103, 0x1107, 0x0308], flag: PciFlag.NoBusReset },
  { vendor: 0x177d, devices: [0xa100], flag: PciFlag.NoBusReset },
  { vendor: 0x104c, devices: [0xb005], flag: PciFlag.NoBusReset },
  { vendor: 0x1b21, devices: [0x1164], flag: PciFlag.NoBusReset },
  { vendor: 0x1002, devices: 'any', class: 0x0300, notOnRootBus: true, flag: PciFlag.NoPmReset },
  { vendor: 0x15b3, devices: [0xcb84, 0xcf6c, 0xcf70, 0xcf80], notOnRootBus: true, flag: PciFlag.NoPmReset },
  { vendor: 0x1022, devices: [0x1487, 0x148c, 0x149c, 0x7901], flag: PciFlag.NoFlrReset },
  { vendor: 0x8086, devices: [0x1502, 0x1503], flag: PciFlag.NoFlrReset },
  { vendor: 0x14c3, devices: [0x0616, 0x7925], flag: PciFlag.NoFlrReset },
  { vendor: 0xd063, devices: [0x1000], revision: 1, flag: PciFlag.NoFlrReset },
];

export function applyResetQuirks(device: PciDevice): void {
  if (device.vendor === undefined || device.device === undefined) return;
  for (const quirk of RESET_QUIRKS) if (fits(quirk, device, device.device)) device.flags |= quirk.flag;
}

function fits(quirk: ResetQuirk, device: PciDevice, id: number): boolean {
  if (quirk.vendor !== device.vendor) return false;
  if (quirk.class !== undefined && quirk.class !== (device.class ?? 0) >>> 8) return false;
  if (quirk.revision !== undefined && quirk.revision !== device.revision) return false;
  if (quirk.notOnRootBus && device.pciBus.isRoot) return false;
  if (quirk.devices === 'any') return true;
  if ('mask' in quirk.devices) return (id & quirk.devices.mask) === quirk.devices.value;
  return quirk.devices.includes(id);
}

const NVME_CLASS = 0x010802;

/**
 * Whether the kernel has a reset of its own for the device (`pci_dev_reset_methods`).
 *
 * @param flr whether a function level reset is offered, on which some of them rest
 */
export function devSpecificReset(device: PciDevice, flr: boolean | undefined): boolean | undefined {
  const { vendor, device: id } = device;
  if (vendor === undefined || id === undefined) return undefined;
  switch (vendor) {
    case 0x8086:
      // 82599 virtual functions, Ivy Bridge graphics.
      if (id === 0x10ed || id === 0x0156 || id === 0x0166) return true;
      return id === 0x0953 || id === 0x0a54 ? flr : false;
    case 0x144d:
      return id === 0xa804 && device.class === NVME_CLASS ? flr : false;
    case 0x025e:
      return id === 0xf1ac ? flr : false;
    case 0x1425:
      return (id & 0xf000) === 0x4000;
    case 0x19e5:
      return id === 0x375e;
    default:
      return false;
  }
}
