/** What firmware tables tell of the order in which the kernel scanned the root buses. */

import { formatBus } from '../../pci/address.ts';
import { parseDmar } from '../firmware/dmar.ts';
import { parseIvrs, unitsOfIvrs } from '../firmware/ivrs.ts';
import { readTable } from '../firmware/read-table.ts';

/**
 * Buses in the order the tables name them, `0000:00`; those that are no root buses do not matter to whoever asks.
 *
 * The kernel scans host bridges as firmware lists them in its device tree, and firmware that walks the same list to
 * write DMAR or IVRS leaves that order there. One DMAR unit that names several root buses shows it; the order of
 * units does not, since they are sorted by what they cover. AMD firmware lists units as it lists host bridges.
 */
export function rootBusOrder(acpi: Readonly<Record<string, string>>): string[] {
  const order = new Set<string>();
  for (const unit of readTable(acpi, 'DMAR', parseDmar)?.units ?? []) {
    const buses = unit.scopes
      .filter(({ kind }) => kind === 'endpoint' || kind === 'bridge')
      .map(({ bus }) => formatBus(unit.segment, bus));
    if (new Set(buses).size > 1) for (const bus of buses) order.add(bus);
  }
  const ivrs = readTable(acpi, 'IVRS', parseIvrs);
  for (const unit of ivrs === undefined ? [] : unitsOfIvrs(ivrs)) {
    for (const entry of unit.entries) {
      if (entry.kind === 'select' || entry.kind === 'range-start')
        order.add(formatBus(unit.segment, entry.id >> 8));
    }
  }
  return [...order];
}
