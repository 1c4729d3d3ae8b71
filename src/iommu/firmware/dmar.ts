/**
 * DMAR: which VT-d unit translates which devices, and which memory they must keep reaching.
 *
 * `dmar_walk_remapping_entries()` gives up on the whole table at a record that passes its end, and so does the
 * boot on a unit at address 0. Such a table is still read as far as it goes; `refused` says that the kernel
 * would not use it, and why.
 */

import { type AcpiTable, place, readAcpiTable, type TableBytes } from './acpi-table.ts';
import { type DeviceScope, readScopes } from './device-scope.ts';

/** Header, host address width, flags, 10 reserved bytes. */
const FIRST_RECORD = 48;
/** Smallest width a page fits in: PAGE_SHIFT - 1. */
const MIN_WIDTH = 11;
/** Units the driver has room for (DMAR_UNITS_SUPPORTED). */
const MAX_UNITS = 1024;
const PAGE = 4096n;

const Record = { Drhd: 0, Rmrr: 1, Atsr: 2, Rhsa: 3, Andd: 4, Satc: 5 } as const;

/** One translation unit (DRHD). */
export interface DmarUnit {
  /** Everything on the segment that no other unit names. */
  includeAll: boolean;
  segment: number;
  address: bigint;
  scopes: DeviceScope[];
}

/** Reserved memory (RMRR); `last` inclusive, as the table has it. */
export interface DmarReserved {
  segment: number;
  start: bigint;
  last: bigint;
  scopes: DeviceScope[];
}

export interface Dmar {
  /** Bits of a DMA address. */
  addressWidth: number;
  interruptRemapping: boolean;
  x2apicOptOut: boolean;
  /** Firmware wants DMA protection on (`dmar_platform_optin`). */
  optIn: boolean;
  /** In table order; see `unitsInKernelOrder`. */
  units: DmarUnit[];
  reserved: DmarReserved[];
  /** Root ports below which ATS may be used. */
  ats: { segment: number; allPorts: boolean; scopes: DeviceScope[] }[];
  /** Integrated devices with a translation cache. */
  atc: { segment: number; required: boolean; scopes: DeviceScope[] }[];
  namespaceDevices: { number: number; name: string }[];
  proximity: { address: bigint; domain: number }[];
  /** Why the kernel would not use this table at all; absent: it would. */
  refused?: string;
  notes: string[];
}

/**
 * Reads a DMAR table (`parse_dmar_table`).
 *
 * @throws InputError when there is no usable header
 */
export function parseDmar(bytes: Uint8Array): Dmar {
  const table = readAcpiTable('DMAR', bytes);
  const dmar = emptyDmar(table);
  if (table.statedLength < FIRST_RECORD || table.bytes.length < FIRST_RECORD) {
    dmar.notes.push('ends before its first record');
    return dmar;
  }
  const width = table.bytes.u8(36);
  const flags = table.bytes.u8(37);
  dmar.addressWidth = width + 1;
  dmar.interruptRemapping = (flags & 1) !== 0;
  dmar.x2apicOptOut = (flags & 2) !== 0;
  dmar.optIn = (flags & 4) !== 0;
  if (width < MIN_WIDTH) refuse(dmar, `host address width ${width + 1}`);
  walkRecords(table, dmar);
  if (dmar.units.length === 0) refuse(dmar, 'no translation unit');
  if (dmar.units.length > MAX_UNITS) refuse(dmar, `more than ${MAX_UNITS} translation units`);
  return dmar;
}

/** Order in which the kernel looks units up and registers them: scoped ones last first, then INCLUDE_ALL. */
export function unitsInKernelOrder(dmar: Dmar): DmarUnit[] {
  return [
    ...dmar.units.filter((unit) => !unit.includeAll).reverse(),
    ...dmar.units.filter((unit) => unit.includeAll),
  ];
}

function emptyDmar(table: AcpiTable): Dmar {
  return {
    addressWidth: 0,
    interruptRemapping: false,
    x2apicOptOut: false,
    optIn: false,
    units: [],
    reserved: [],
    ats: [],
    atc: [],
    namespaceDevices: [],
    proximity: [],
    notes: table.notes,
  };
}

function refuse(dmar: Dmar, why: string): void {
  dmar.refused ??= why;
}

function walkRecords(table: AcpiTable, dmar: Dmar): void {
  const { bytes, statedLength } = table;
  let at = FIRST_RECORD;
  while (at < statedLength) {
    if (at + 4 > bytes.length) {
      if (bytes.length === statedLength)
        refuse(dmar, `record at ${place('DMAR', at)} passes the end of the table`);
      return;
    }
    const length = bytes.u16(at + 2);
    if (length === 0) {
      dmar.notes.push(`${place('DMAR', at)}: record of length 0, the rest is not looked at`);
      return;
    }
    if (at + length > statedLength) {
      refuse(dmar, `record at ${place('DMAR', at)} passes the end of the table`);
      return;
    }
    if (at + length > bytes.length) {
      dmar.notes.push(`${place('DMAR', at)}: record cut off`);
      return;
    }
    readRecord(bytes, at, length, dmar);
    at += length;
  }
}

/** Fixed part of each record type; what is left after it are device scopes. */
const FIXED_LENGTH: Record<number, number> = {
  [Record.Drhd]: 16,
  [Record.Rmrr]: 24,
  [Record.Atsr]: 8,
  [Record.Rhsa]: 20,
  [Record.Andd]: 9,
  [Record.Satc]: 8,
};

function readRecord(bytes: TableBytes, at: number, length: number, dmar: Dmar): void {
  const type = bytes.u16(at);
  const fixed = FIXED_LENGTH[type];
  if (fixed === undefined) {
    dmar.notes.push(`${place('DMAR', at)}: record type ${type} unknown`);
    return;
  }
  if (length < fixed) {
    dmar.notes.push(`${place('DMAR', at)}: record of type ${type} is only ${length} bytes long`);
    return;
  }
  const scopes = () => readScopes(bytes, at + fixed, at + length, dmar.notes);
  switch (type) {
    case Record.Drhd:
      addUnit(dmar, {
        includeAll: (bytes.u8(at + 4) & 1) !== 0,
        segment: bytes.u16(at + 6),
        address: bytes.u64(at + 8),
        scopes: scopes(),
      });
      break;
    case Record.Rmrr:
      addReserved(dmar, at, {
        segment: bytes.u16(at + 6),
        start: bytes.u64(at + 8),
        last: bytes.u64(at + 16),
        scopes: scopes(),
      });
      break;
    case Record.Atsr:
      dmar.ats.push({ segment: bytes.u16(at + 6), allPorts: (bytes.u8(at + 4) & 1) !== 0, scopes: scopes() });
      break;
    case Record.Satc:
      dmar.atc.push({ segment: bytes.u16(at + 6), required: (bytes.u8(at + 4) & 1) !== 0, scopes: scopes() });
      break;
    case Record.Rhsa:
      dmar.proximity.push({ address: bytes.u64(at + 8), domain: bytes.u32(at + 16) });
      break;
    case Record.Andd: {
      const name = bytes.text(at + 8, length - 8);
      if (name.length === length - 8) refuse(dmar, `ACPI device name at ${place('DMAR', at)} has no end`);
      dmar.namespaceDevices.push({ number: bytes.u8(at + 7), name });
      break;
    }
  }
}

/** A second record for the same unit adds nothing (`dmar_find_dmaru`). */
function addUnit(dmar: Dmar, unit: DmarUnit): void {
  if (unit.address === 0n) refuse(dmar, 'translation unit at address 0');
  const known = dmar.units.some((other) => other.segment === unit.segment && other.address === unit.address);
  if (known) {
    dmar.notes.push(`unit at 0x${unit.address.toString(16)} is listed twice`);
    return;
  }
  // One over the limit is kept: it is what makes the table refused.
  if (dmar.units.length <= MAX_UNITS) dmar.units.push(unit);
}

/** Reserved regions of a real machine are a handful. */
const MAX_RESERVED = 1024;
const TOO_MANY_RESERVED = `more than ${MAX_RESERVED} reserved regions, the rest is left out`;

/** A bad range is used nevertheless, as the kernel does after a warning, unless nothing can be made of it. */
function addReserved(dmar: Dmar, at: number, region: DmarReserved): void {
  if (region.last <= region.start) {
    dmar.notes.push(`${place('DMAR', at)}: reserved region ends before it starts, left out`);
    return;
  }
  if (region.start % PAGE !== 0n || (region.last + 1n) % PAGE !== 0n) {
    dmar.notes.push(`${place('DMAR', at)}: reserved region is not made of whole pages`);
  }
  if (dmar.reserved.length < MAX_RESERVED) dmar.reserved.push(region);
  else if (dmar.notes.at(-1) !== TOO_MANY_RESERVED) dmar.notes.push(TOO_MANY_RESERVED);
}
