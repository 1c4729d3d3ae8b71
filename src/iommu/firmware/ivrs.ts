/**
 * IVRS: which AMD IOMMU translates which device ids, under which other ids they appear, and which memory they
 * must keep reaching.
 *
 * The driver refuses a table with a wrong checksum, and reads block after block on trust. Here a length that
 * leads nowhere ends the reading with a note; `refused` says that the kernel would not use the table.
 */

import { type AcpiTable, place, readAcpiTable, type TableBytes } from './acpi-table.ts';
import { type IvhdEntry, readIvhdEntries } from './ivrs-entries.ts';

/** Header, IVinfo, eight reserved bytes. */
const FIRST_BLOCK = 48;
/** IOMMUs the driver has room for (MAX_IOMMUS). */
const MAX_UNITS = 32;

/** Length of the fixed part of each kind of IVHD. */
const IVHD_FIXED: Record<number, number> = { 16: 24, 17: 40, 64: 40 };
const IVMD_LENGTH = 32;

/** IVHD: one IOMMU as one revision of the format describes it. */
export interface IvhdBlock {
  type: number;
  flags: number;
  /** Requester id of the IOMMU's own function. */
  deviceId: number;
  /** Offset of its capability in configuration space. */
  capabilityOffset: number;
  address: bigint;
  segment: number;
  info: number;
  attributes: number;
  /** Extended feature register as firmware copied it; types 11h and 40h. */
  features?: bigint;
  features2?: bigint;
  entries: IvhdEntry[];
}

/** IVMD: memory that devices reach untranslated. */
export interface IvmdBlock {
  scope: 'all' | 'device' | 'range';
  /** First id; with `range`, `lastDeviceId` ends it. */
  deviceId: number;
  lastDeviceId: number;
  segment: number;
  start: bigint;
  length: bigint;
  unity: boolean;
  read: boolean;
  write: boolean;
  exclusion: boolean;
}

export interface Ivrs {
  info: number;
  /** Every IVHD block, in table order, whatever its type. */
  blocks: IvhdBlock[];
  memory: IvmdBlock[];
  /** Why the kernel would not use this table at all; absent: it would. */
  refused?: string;
  notes: string[];
}

/**
 * Reads an IVRS table.
 *
 * @throws InputError when there is no usable header
 */
export function parseIvrs(bytes: Uint8Array): Ivrs {
  const table = readAcpiTable('IVRS', bytes);
  const ivrs: Ivrs = { info: 0, blocks: [], memory: [], notes: table.notes };
  // A table cut off in the snapshot says nothing of the checksum the kernel saw.
  const whole = table.bytes.length === table.statedLength;
  if (whole && !table.checksumGood) ivrs.refused = 'wrong checksum';
  if (table.bytes.length < FIRST_BLOCK) {
    ivrs.notes.push('ends before its first block');
    return ivrs;
  }
  ivrs.info = table.bytes.u32(36);
  walkBlocks(table, ivrs);
  const units = unitsOfIvrs(ivrs);
  if (units.length === 0) ivrs.refused ??= 'no IOMMU';
  if (units.length > MAX_UNITS) ivrs.refused ??= `more than ${MAX_UNITS} IOMMUs`;
  for (const unit of units) {
    if (lastDeviceId(units, unit.segment) < 0) ivrs.refused ??= `no device ids on segment ${unit.segment}`;
  }
  return ivrs;
}

/**
 * The blocks the driver takes: those of the newest type that describes the first IOMMU
 * (`get_highest_supported_ivhd_type`: the last block of that IOMMU, not the largest number).
 */
export function unitsOfIvrs(ivrs: Ivrs): IvhdBlock[] {
  const first = ivrs.blocks[0];
  if (!first) return [];
  let type = first.type;
  for (const block of ivrs.blocks) if (block.deviceId === first.deviceId) type = block.type;
  return ivrs.blocks.filter((block) => block.type === type);
}

/** Highest device id on a segment (`find_last_devid_acpi`), -1 when a block there names none. */
export function lastDeviceId(units: IvhdBlock[], segment: number): number {
  let last = 0;
  for (const unit of units) {
    if (unit.segment !== segment) continue;
    let own = -1;
    for (const entry of unit.entries) {
      if (entry.kind === 'all') own = 0xffff;
      else if (COUNTED.has(entry.kind) && 'id' in entry) own = Math.max(own, entry.id);
    }
    if (own < 0) return -1;
    last = Math.max(last, own);
  }
  return last;
}

/** Entries whose id counts towards the highest; starts of ranges do not, their ends do. */
const COUNTED = new Set<IvhdEntry['kind']>(['select', 'range-end', 'alias', 'extended-select']);

function walkBlocks(table: AcpiTable, ivrs: Ivrs): void {
  const { bytes } = table;
  let at = FIRST_BLOCK;
  while (at + 4 <= bytes.length) {
    const type = bytes.u8(at);
    const length = bytes.u16(at + 2);
    if (length < 4) {
      ivrs.notes.push(`${place('IVRS', at)}: block of length ${length}, the rest is not looked at`);
      return;
    }
    if (at + length > bytes.length) {
      ivrs.notes.push(`${place('IVRS', at)}: block passes the end of the table`);
      return;
    }
    readBlock(bytes, at, type, length, ivrs);
    at += length;
  }
}

function readBlock(bytes: TableBytes, at: number, type: number, length: number, ivrs: Ivrs): void {
  const fixed = IVHD_FIXED[type];
  if (fixed !== undefined) {
    if (length < fixed) ivrs.notes.push(`${place('IVRS', at)}: IVHD is only ${length} bytes long`);
    else ivrs.blocks.push(readIvhd(bytes, at, fixed, length, ivrs.notes));
  } else if (type >= 0x20 && type <= 0x22) {
    if (length < IVMD_LENGTH) ivrs.notes.push(`${place('IVRS', at)}: IVMD is only ${length} bytes long`);
    else ivrs.memory.push(readIvmd(bytes, at, type));
  } else {
    ivrs.notes.push(`${place('IVRS', at)}: block type 0x${type.toString(16)} unknown`);
  }
}

function readIvhd(bytes: TableBytes, at: number, fixed: number, length: number, notes: string[]): IvhdBlock {
  return {
    type: bytes.u8(at),
    flags: bytes.u8(at + 1),
    deviceId: bytes.u16(at + 4),
    capabilityOffset: bytes.u16(at + 6),
    address: bytes.u64(at + 8),
    segment: bytes.u16(at + 16),
    info: bytes.u16(at + 18),
    attributes: bytes.u32(at + 20),
    ...(fixed >= 40 ? { features: bytes.u64(at + 24), features2: bytes.u64(at + 32) } : {}),
    entries: readIvhdEntries(bytes, at + fixed, at + length, notes),
  };
}

function readIvmd(bytes: TableBytes, at: number, type: number): IvmdBlock {
  const flags = bytes.u8(at + 1);
  const deviceId = type === 0x20 ? 0 : bytes.u16(at + 4);
  return {
    scope: type === 0x20 ? 'all' : type === 0x21 ? 'device' : 'range',
    deviceId,
    lastDeviceId: type === 0x20 ? 0xffff : type === 0x21 ? deviceId : bytes.u16(at + 6),
    segment: bytes.u16(at + 8),
    start: bytes.u64(at + 16),
    length: bytes.u64(at + 24),
    unity: (flags & 0x01) !== 0,
    read: (flags & 0x02) !== 0,
    write: (flags & 0x04) !== 0,
    exclusion: (flags & 0x08) !== 0,
  };
}
