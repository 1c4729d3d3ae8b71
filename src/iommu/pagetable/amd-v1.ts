/**
 * Version 1 page tables of AMD-Vi. An entry says of what level the next table is; 0 is a leaf of the level's own size,
 * 7 a leaf of any power of two, repeated in as many entries as it takes, its size told by the lowest zero of the
 * address. Levels are added on top as addresses need them, up to six, which is all 64 bits.
 *
 * The driver asked to unmap part of a leaf removes it whole and counts it whole, wherever in it the range begins.
 */

import { byOrder, type EntryBit, type EntryFormat, LEVEL_BITS } from './entry-format.ts';
import { RadixTable, type RadixTableOptions } from './radix-table.ts';

const PRESENT: EntryBit = { word: 0, mask: 1 << 0 };
const ACCESSED: EntryBit = { word: 0, mask: 1 << 5 };
const DIRTY: EntryBit = { word: 0, mask: 1 << 6 };
const NEXT_LEVEL_SHIFT = 9;
const NEXT_LEVEL = 7 << NEXT_LEVEL_SHIFT;
/** `FC`: DMA is coherent. */
const COHERENT: EntryBit = { word: 1, mask: 1 << 28 };
const READ: EntryBit = { word: 1, mask: 1 << 29 };
const WRITE: EntryBit = { word: 1, mask: 1 << 30 };
const ADDRESS_HIGH = 0xf_ffff;
/** Powers of two from 4 KiB to 2 PiB but 512 GiB, which hardware gets wrong (`AMD_IOMMU_PGSIZES`). */
export const AMD_V1_PAGE_SIZES = 0xf_ffff_ffff_f000n & ~(1n << 39n);
const FIRST_LEVELS = 3;
const MOST_LEVELS = 6;

const FORMAT: EntryFormat = {
  name: 'AMD v1',
  pageShift: 12,
  firstLevels: FIRST_LEVELS,
  inputWidth: 64,
  outputWidth: 52,
  framePosition: 12,
  frameHighMask: ADDRESS_HIGH,
  tableLow: Array.from({ length: MOST_LEVELS }, (_, level) => PRESENT.mask | (level << NEXT_LEVEL_SHIFT)),
  tableHigh: READ.mask | WRITE.mask,
  tableMask: NEXT_LEVEL,
  leafLow: byOrder((order) => PRESENT.mask | (order % LEVEL_BITS === 0 ? 0 : NEXT_LEVEL)),
  leafHigh: byOrder(() => COHERENT.mask),
  ownFrames: false,
  leafOrder(low, high, level) {
    if ((low & NEXT_LEVEL) === 0) return LEVEL_BITS * level;
    const zeroInLow = ~(low >>> 12) & 0xf_ffff;
    return zeroInLow === 0 ? 21 + lowestBit(~high) : 1 + lowestBit(zeroInLow);
  },
  read: READ,
  write: WRITE,
  dirty: DIRTY,
  accessed: ACCESSED,
  needsProt: true,
  names: [
    { ...READ, name: 'R' },
    { ...WRITE, name: 'W' },
    { ...ACCESSED, name: 'A' },
    { ...DIRTY, name: 'D' },
    { ...COHERENT, name: 'FC' },
  ],
  partial: 'whole',
};

export interface AmdV1Options extends RadixTableOptions {
  /** `AMD_V1_PAGE_SIZES` unless told. */
  pageSizes?: bigint;
}

export class AmdV1 extends RadixTable {
  constructor(options: AmdV1Options = {}) {
    super(FORMAT, options.pageSizes ?? AMD_V1_PAGE_SIZES, options);
  }
}

function lowestBit(value: number): number {
  return 31 - Math.clz32(value & -value);
}
