/** Devices of the ACPI namespace that IVRS lists by hardware id (`acpihid_map`). */

import type { IvhdBlock } from '../firmware/ivrs.ts';

export interface HidEntry {
  hid: string;
  uid: string;
  segment: number;
  id: number;
  /** Entries with one device id share a group. */
  key: string;
}

export function acpiHidEntries(units: readonly IvhdBlock[]): HidEntry[] {
  const entries: HidEntry[] = [];
  for (const unit of units) {
    if (unit.type !== 0x40) continue;
    for (const entry of unit.entries) {
      if (entry.kind !== 'acpi-hid' || entry.hid === '') continue;
      const { hid, uid, id } = entry;
      entries.push({ hid, uid, segment: unit.segment, id, key: `${unit.segment}:${id.toString(16)}` });
    }
  }
  return entries;
}

/**
 * The entry of a device named `HID:NN` (`get_acpihid_device_id`). Its UID is not in the name; the instance number
 * usually equals it, and where only one entry has the HID, the driver takes that one as well.
 */
export function hidEntryOf(entries: readonly HidEntry[], name: string): HidEntry | undefined {
  const [hid, instance] = name.split(':');
  const candidates = entries.filter((entry) => entry.hid === hid);
  if (candidates.length <= 1) return candidates[0];
  const number = Number.parseInt(instance ?? '', 16);
  return candidates.find((entry) => Number(entry.uid) === number);
}
