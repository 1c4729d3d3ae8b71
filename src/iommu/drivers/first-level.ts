/**
 * One access through a first-level table, which has the format of x86 processors, in memory that is itself translated
 * (VT-d specification, first-stage and nested translation).
 */

import type { DmaTranslation } from '../domain.ts';
import type { PhysicalMemory } from '../physical-memory.ts';

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const ACCESSED = 0x20n;
const DIRTY = 0x40n;
const LARGE = 0x80n;
const ADDRESS = 0xf_ffff_ffff_f000n;

const PAGE_SHIFT = 12n;
const PAGE_OFFSET = 0xfffn;
const LEVEL_BITS = 9n;
const INDEX_MASK = 0x1ffn;
const ENTRY_BYTES = 8n;
/** Leaves are of 4 KiB, 2 MiB and 1 GiB. */
const TOP_LEAF_LEVEL = 3;

export interface FirstLevel {
  /** Address of the top table. */
  root: bigint;
  /** Bits of address: 48 for four levels, 57 for five. */
  width: number;
}

/** Where an address inside the guest is in memory (`VtdSecondLevel.access`). */
export type Below = (address: bigint, write: boolean) => DmaTranslation;

/** Sets accessed and dirty bits as hardware does, and asks for the right to write to the tables for that. */
export function translateFirstLevel(
  { root, width }: FirstLevel,
  iova: bigint,
  write: boolean,
  below: Below,
  physical: PhysicalMemory,
): DmaTranslation {
  if (!isCanonical(iova, width)) return 'not-mapped';
  const levels = (width - Number(PAGE_SHIFT)) / Number(LEVEL_BITS);
  let table = root & ADDRESS;
  for (let level = levels; level > 0; level--) {
    const shift = PAGE_SHIFT + LEVEL_BITS * BigInt(level - 1);
    const at = below(table + ((iova >> shift) & INDEX_MASK) * ENTRY_BYTES, true);
    if (typeof at === 'string') return at;
    const entry = readEntry(physical, at.paddr);
    if ((entry & PRESENT) === 0n) return 'not-mapped';
    if ((entry & USER) === 0n) return write ? 'not-writable' : 'not-readable';
    if (write && (entry & WRITABLE) === 0n) return 'not-writable';
    const leaf = level === 1 || (level <= TOP_LEAF_LEVEL && (entry & LARGE) !== 0n);
    mark(physical, at.paddr, entry, leaf && write ? ACCESSED | DIRTY : ACCESSED);
    if (!leaf) {
      table = entry & ADDRESS;
      continue;
    }
    const offset = (1n << shift) - 1n;
    const page = below((entry & ADDRESS & ~offset) | (iova & offset), write);
    if (typeof page === 'string') return page;
    // Both tables have leaves of a page at least, so this much goes on in one piece.
    return { paddr: page.paddr, last: iova | PAGE_OFFSET };
  }
  return 'not-mapped';
}

/** Bits above the width repeat the highest one. */
function isCanonical(iova: bigint, width: number): boolean {
  const top = BigInt.asIntN(64, iova) >> BigInt(width - 1);
  return top === 0n || top === -1n;
}

function readEntry(physical: PhysicalMemory, address: bigint): bigint {
  const bytes = new Uint8Array(Number(ENTRY_BYTES));
  physical.read(address, bytes);
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

function mark(physical: PhysicalMemory, address: bigint, entry: bigint, bits: bigint): void {
  if ((entry & bits) === bits) return;
  const bytes = new Uint8Array(Number(ENTRY_BYTES));
  new DataView(bytes.buffer).setBigUint64(0, entry | bits, true);
  physical.write(address, bytes);
}
