/** The device entries of an IVHD block: which ids the IOMMU translates, and what they are called on the way. */

import { place, type TableBytes } from './acpi-table.ts';

/** Ids are requester ids of the block's segment. A range entry is a start; the next `range-end` closes it. */
export type IvhdEntry =
  | { kind: 'all'; flags: number }
  | { kind: 'select'; id: number; flags: number }
  | { kind: 'range-start'; id: number; flags: number }
  | { kind: 'range-end'; id: number }
  | { kind: 'alias'; id: number; as: number; flags: number }
  | { kind: 'alias-range-start'; id: number; as: number; flags: number }
  | { kind: 'extended-select'; id: number; flags: number; extended: number }
  | { kind: 'extended-range-start'; id: number; flags: number; extended: number }
  | { kind: 'special'; id: number; flags: number; what: 'ioapic' | 'hpet' | 'unknown'; handle: number }
  | { kind: 'acpi-hid'; id: number; flags: number; hid: string; uid: string };

const Type = {
  All: 0x01,
  Select: 0x02,
  RangeStart: 0x03,
  RangeEnd: 0x04,
  Alias: 0x42,
  AliasRange: 0x43,
  ExtendedSelect: 0x46,
  ExtendedRange: 0x47,
  Special: 0x48,
  AcpiHid: 0xf0,
} as const;

/** Where an ACPI HID entry keeps the length of its UID. */
const UID_LENGTH_AT = 21;

/** Entries from `start` to `end`; one that does not fit ends the list with a note. */
export function readIvhdEntries(bytes: TableBytes, start: number, end: number, notes: string[]): IvhdEntry[] {
  const entries: IvhdEntry[] = [];
  let at = start;
  while (at < end) {
    const length = entryLength(bytes, at, end);
    if (length === 0 || at + length > end) {
      notes.push(`${place('IVRS', at)}: device entry does not fit its block, the rest is not looked at`);
      break;
    }
    const entry = readEntry(bytes, at);
    if (entry) entries.push(entry);
    at += length;
  }
  return entries;
}

/** `ivhd_entry_length()`: the upper two bits of the type; 0 for types nobody knows the length of. */
function entryLength(bytes: TableBytes, at: number, end: number): number {
  const type = bytes.u8(at);
  if (type < 0x80) return 4 << (type >> 6);
  if (type !== Type.AcpiHid || at + UID_LENGTH_AT >= end) return 0;
  return bytes.u8(at + UID_LENGTH_AT) + 22;
}

function readEntry(bytes: TableBytes, at: number): IvhdEntry | undefined {
  const id = bytes.u16(at + 1);
  const flags = bytes.u8(at + 3);
  switch (bytes.u8(at)) {
    case Type.All:
      return { kind: 'all', flags };
    case Type.Select:
      return { kind: 'select', id, flags };
    case Type.RangeStart:
      return { kind: 'range-start', id, flags };
    case Type.RangeEnd:
      return { kind: 'range-end', id };
    case Type.Alias:
      return { kind: 'alias', id, as: bytes.u16(at + 5), flags };
    case Type.AliasRange:
      return { kind: 'alias-range-start', id, as: bytes.u16(at + 5), flags };
    case Type.ExtendedSelect:
      return { kind: 'extended-select', id, flags, extended: bytes.u32(at + 4) };
    case Type.ExtendedRange:
      return { kind: 'extended-range-start', id, flags, extended: bytes.u32(at + 4) };
    case Type.Special: {
      const what = ({ 1: 'ioapic', 2: 'hpet' } as const)[bytes.u8(at + 7)] ?? 'unknown';
      // The id of a special device stands where an alias has its target.
      return { kind: 'special', id: bytes.u16(at + 5), flags, what, handle: bytes.u8(at + 4) };
    }
    case Type.AcpiHid:
      return { kind: 'acpi-hid', id, flags, hid: bytes.text(at + 4, 8), uid: readUid(bytes, at) };
    default:
      return undefined;
  }
}

/** UID as the driver compares it: a number in decimal, or text. */
function readUid(bytes: TableBytes, at: number): string {
  const format = bytes.u8(at + 20);
  const length = bytes.u8(at + UID_LENGTH_AT);
  if (format === 1 && length > 0) return String(bytes.u8(at + 22));
  return format === 2 ? bytes.text(at + 22, length) : '';
}
