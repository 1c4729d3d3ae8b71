/** How DMAR names devices: by the way that leads to them, since bus numbers below bridges may change. */

import { place, type TableBytes } from './acpi-table.ts';

export type ScopeKind = 'endpoint' | 'bridge' | 'ioapic' | 'hpet' | 'namespace';
const SCOPE_KINDS: Record<number, ScopeKind> = {
  1: 'endpoint',
  2: 'bridge',
  3: 'ioapic',
  4: 'hpet',
  5: 'namespace',
};

/** A device, named by the way to it: from a bus down through bridges, one step each. */
export interface DeviceScope {
  kind: ScopeKind;
  /** I/O APIC, HPET or ACPI device number. */
  enumeration: number;
  bus: number;
  path: { device: number; function: number }[];
}

/** Scopes from `start` to `end`; one that does not fit ends the list with a note. */
export function readScopes(bytes: TableBytes, start: number, end: number, notes: string[]): DeviceScope[] {
  const scopes: DeviceScope[] = [];
  let at = start;
  while (at < end) {
    const length = at + 2 <= end ? bytes.u8(at + 1) : 0;
    if (length < 6 || at + length > end) {
      notes.push(`${place('DMAR', at)}: device scope does not fit its record, the rest is not looked at`);
      break;
    }
    const kind = SCOPE_KINDS[bytes.u8(at)];
    if (kind === undefined) {
      notes.push(`${place('DMAR', at)}: device scope type ${bytes.u8(at)} unknown`);
    } else {
      const path: DeviceScope['path'] = [];
      for (let step = at + 6; step + 2 <= at + length; step += 2) {
        path.push({ device: bytes.u8(step), function: bytes.u8(step + 1) });
      }
      scopes.push({ kind, enumeration: bytes.u8(at + 4), bus: bytes.u8(at + 5), path });
    }
    at += length;
  }
  return scopes;
}
