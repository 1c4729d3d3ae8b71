/**
 * Which bits of configuration space a program may write, and which it only believes to (`struct perm_bits`). A bit
 * that is virtual is read from and written to the copy VFIO keeps; any other is the hardware's.
 */

import { RegisterBytes, type Width } from './register-bytes.ts';
import {
  Af,
  Capability,
  Command,
  Express,
  Extended,
  HEADER_SIZE,
  Header,
  Msi,
  Pm,
  STATUS_CAPABILITY_LIST,
  Vpd,
} from './registers.ts';

export class Permissions {
  readonly #virtual: RegisterBytes;
  readonly #writable: RegisterBytes;

  /** @param size bytes; whole double words are kept, so that an access never runs out at the end */
  constructor(size: number) {
    const length = Math.ceil(size / 4) * 4;
    this.#virtual = new RegisterBytes(new Uint8Array(length));
    this.#writable = new RegisterBytes(new Uint8Array(length));
  }

  set8(at: number, virtual: number, writable: number): this {
    return this.#set(at, 1, virtual, writable);
  }

  set16(at: number, virtual: number, writable: number): this {
    return this.#set(at, 2, virtual, writable);
  }

  set32(at: number, virtual: number, writable: number): this {
    return this.#set(at, 4, virtual, writable);
  }

  virtual(at: number, width: Width): number {
    return this.#virtual.read(at, width);
  }

  writable(at: number, width: Width): number {
    return this.#writable.read(at, width);
  }

  #set(at: number, width: Width, virtual: number, writable: number): this {
    this.#virtual.write(at, width, virtual);
    this.#writable.write(at, width, writable);
    return this;
  }
}

const ALL8 = 0xff;
const ALL16 = 0xffff;
const ALL32 = 0xffff_ffff;
/** Next pointer of a conventional capability: virtual, so that capabilities can be left out. */
const NEXT = 1;

/** `init_pci_cap_basic_perm`: ids, BARs, interrupt and capability pointer are VFIO's. */
function headerPermissions(): Permissions {
  const bits = new Permissions(HEADER_SIZE)
    .set16(Header.Vendor, ALL16, 0)
    .set16(Header.Device, ALL16, 0)
    .set16(Header.Command, Command.IntxDisable, ALL16)
    .set16(Header.Status, STATUS_CAPABILITY_LIST, 0)
    .set8(Header.CacheLine, 0, ALL8)
    .set8(Header.LatencyTimer, 0, ALL8)
    .set8(Header.Bist, 0, ALL8)
    .set32(Header.Rom, ALL32, ALL32)
    .set8(Header.CapabilityList, ALL8, 0)
    .set8(Header.InterruptLine, ALL8, ALL8)
    .set8(Header.InterruptPin, ALL8, 0);
  for (let at: number = Header.FirstBar; at <= Header.LastBar; at += 4) bits.set32(at, ALL32, ALL32);
  return bits;
}

/** `init_pci_cap_pm_perm`: the power state is changed on the program's behalf; wake-up events are the host's. */
function powerPermissions(): Permissions {
  const pme = Pm.pmeEnable | Pm.pmeStatus;
  return new Permissions(8)
    .set8(NEXT, ALL8, 0)
    .set16(Pm.Pmc, Pm.pmeSupport, 0)
    .set32(Pm.Ctrl, pme, ~(pme | Pm.stateMask));
}

/** `init_pci_cap_exp_perm`: no phantom functions, no ARI; payload size, read size and reset are VFIO's. */
function expressPermissions(): Permissions {
  return new Permissions(0x32)
    .set8(NEXT, ALL8, 0)
    .set16(Express.Control, Express.flr | Express.payload | Express.readRequest, ALL16 & ~Express.phantom)
    .set16(Express.Control2, 0, ALL16 & ~Express.ari);
}

/** Errors of a link and of transactions (`PCI_ERR_UNC_*`, `PCI_ERR_COR_*`), and the two checksum switches. */
const UNCORRECTABLE = 0x03ff_f031;
const CORRECTABLE = 0xf1c1;
const CHECKSUMS = 0x140;

/** `init_pci_ext_cap_err_perm`. The first double word holds the next pointer. */
function errorPermissions(): Permissions {
  const bits = new Permissions(0x2c).set32(0, ALL32, 0).set32(0x18, 0, CHECKSUMS);
  for (const at of [0x04, 0x08, 0x0c]) bits.set32(at, 0, UNCORRECTABLE);
  for (const at of [0x10, 0x14]) bits.set32(at, 0, CORRECTABLE);
  return bits;
}

export const HEADER_PERMISSIONS = headerPermissions();

/** `cap_perms`. Capabilities not named are read-only and the hardware's; MSI has bits of its own in each device. */
export const CAPABILITY_PERMISSIONS: ReadonlyMap<number, Permissions> = new Map([
  [Capability.PowerManagement, powerPermissions()],
  [
    Capability.Vpd,
    new Permissions(8).set8(NEXT, ALL8, 0).set16(Vpd.Address, ALL16, ALL16).set32(Vpd.Data, ALL32, ALL32),
  ],
  [Capability.PciX, new Permissions(24).set8(NEXT, ALL8, 0).set16(2, 0, ALL16).set32(8, 0, ALL32)],
  [Capability.Express, expressPermissions()],
  [Capability.AdvancedFeatures, new Permissions(6).set8(NEXT, ALL8, 0).set8(Af.Control, Af.flr, Af.flr)],
]);

/** `ecap_perms`. */
export const EXTENDED_PERMISSIONS: ReadonlyMap<number, Permissions> = new Map([
  [Extended.AdvancedErrors, errorPermissions()],
  [Extended.PowerBudget, new Permissions(16).set32(0, ALL32, 0).set8(8, 0, ALL8)],
]);

/** Capabilities of makers, whose registers nobody but the device understands: written as they are. */
export const RAW_CAPABILITIES: ReadonlySet<number> = new Set([Capability.Vendor]);
export const RAW_EXTENDED: ReadonlySet<number> = new Set([Extended.Vendor, Extended.DesignatedVendor]);

/** `init_pci_cap_msi_perm`: interrupts are set up by calls, so address, data and switch are only shown. */
export function msiPermissions(length: number, flags: number): Permissions {
  const bits = new Permissions(length)
    .set8(NEXT, ALL8, 0)
    .set8(Msi.Flags, ALL8, ALL8)
    .set32(Msi.Address, ALL32, ALL32);
  const wide = (flags & Msi.wide) !== 0;
  if (wide) bits.set32(Msi.AddressHigh, ALL32, ALL32);
  bits.set16(wide ? Msi.Data64 : Msi.Data32, ALL16, ALL16);
  if ((flags & Msi.maskable) !== 0) {
    bits
      .set32(wide ? Msi.Mask64 : Msi.Mask32, 0, ALL32)
      .set32(wide ? Msi.Pending64 : Msi.Pending32, 0, ALL32);
  }
  return bits;
}
