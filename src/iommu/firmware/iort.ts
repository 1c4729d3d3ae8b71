/** IORT of Arm machines: whether interrupts go through a translation service that knows who raised them. */

import { readAcpiTable } from './acpi-table.ts';

/** How many nodes, where they begin; type of a node that stands for a GIC's translation service. */
const NODE_COUNT = 36;
const FIRST_NODE = 40;
const ITS_GROUP = 0;

export interface Iort {
  /** A GIC's interrupt translation service is named. */
  translatesInterrupts: boolean;
  notes: string[];
}

/**
 * Reads an IORT table, as far as its nodes go.
 *
 * @throws InputError when there is no usable header
 */
export function parseIort(bytes: Uint8Array): Iort {
  const { bytes: table, notes } = readAcpiTable('IORT', bytes);
  const count = table.u32(NODE_COUNT);
  let at = table.u32(FIRST_NODE);
  for (let i = 0; i < count && at + 4 <= table.length; i++) {
    if (table.u8(at) === ITS_GROUP) return { translatesInterrupts: true, notes };
    const length = table.u16(at + 1);
    if (length === 0) break;
    at += length;
  }
  return { translatesInterrupts: false, notes };
}
