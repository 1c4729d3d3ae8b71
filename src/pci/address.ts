/**
 * PCI addresses: `0000:01:00.0` as sysfs writes them, the short `01:00.0` (domain 0), and libvirt's
 * `pci_0000_01_00_0`. Domains of more than four digits occur (VMD: `10000:e1:00.0`).
 */

export interface PciAddress {
  /** Segment, 32 bits. */
  domain: number;
  /** 0 to 255. */
  bus: number;
  /** Slot in bits 7:3, function in bits 2:0. */
  devfn: number;
}

const COLONS = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i;
const LIBVIRT = /^pci_([0-9a-f]{1,8})_([0-9a-f]{1,2})_([0-9a-f]{1,2})_([0-7])$/i;

/** @returns `undefined` where `text` is no address of one function */
export function parseAddress(text: string): PciAddress | undefined {
  const found = COLONS.exec(text) ?? LIBVIRT.exec(text);
  if (found === null) return undefined;
  const slot = Number.parseInt(found[3]!, 16);
  if (slot > 0x1f) return undefined;
  return {
    domain: found[1] === undefined ? 0 : Number.parseInt(found[1], 16),
    bus: Number.parseInt(found[2]!, 16),
    devfn: devfn(slot, Number(found[4])),
  };
}

/** The full form, lower case, as `pci_name()` has it. */
export function formatAddress(address: PciAddress): string {
  return `${hex(address.domain, 4)}:${hex(address.bus, 2)}:${formatDevfn(address.devfn)}`;
}

/** `1f.7`: slot and function, as they stand in kernel messages. */
function formatDevfn(value: number): string {
  return `${hex(slotOf(value), 2)}.${functionOf(value)}`;
}

/** Name of a bus: `0000:01`. */
export function formatBus(domain: number, bus: number): string {
  return `${hex(domain, 4)}:${hex(bus, 2)}`;
}

/** For sorting: addresses in numeric order first, whatever else behind them in text order. */
export function compareAddresses(a: string, b: string): number {
  const left = parseAddress(a);
  const right = parseAddress(b);
  if (left !== undefined && right !== undefined) return addressKey(left) - addressKey(right);
  if (left !== undefined) return -1;
  if (right !== undefined) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One number per address, in numeric order. */
export function addressKey(address: PciAddress): number {
  return address.domain * 0x10000 + rid(address.bus, address.devfn);
}

/** 16-bit requester id (`PCI_DEVID`). */
export function rid(bus: number, devfnOnBus: number): number {
  return bus * 0x100 + devfnOnBus;
}

/** `PCI_DEVFN` */
export function devfn(slot: number, fn: number): number {
  return slot * 8 + fn;
}

/** `PCI_SLOT` */
export function slotOf(value: number): number {
  return value >> 3;
}

/** `PCI_FUNC` */
export function functionOf(value: number): number {
  return value & 7;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
