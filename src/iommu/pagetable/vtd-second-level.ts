/**
 * Second-level (second-stage) page tables of VT-d, as its specification has them: an entry is present when it can be
 * read or written, bit 7 above the bottom level tells a leaf of 2 MiB or 1 GiB.
 *
 * The driver asked to unmap part of a leaf from its start on removes it whole and says so; from inside a leaf it would
 * take the memory it maps for a table. Here that unmaps nothing.
 */

import { byOrder, type EntryBit, type EntryFormat, LEVEL_BITS } from './entry-format.ts';
import { RadixTable, type RadixTableOptions } from './radix-table.ts';

const READ: EntryBit = { word: 0, mask: 1 << 0 };
const WRITE: EntryBit = { word: 0, mask: 1 << 1 };
const SUPER_PAGE: EntryBit = { word: 0, mask: 1 << 7 };
const ACCESSED: EntryBit = { word: 0, mask: 1 << 8 };
const DIRTY: EntryBit = { word: 0, mask: 1 << 9 };
const SNOOP: EntryBit = { word: 0, mask: 1 << 11 };
/** 4 KiB, 2 MiB and 1 GiB. */
const PAGE_SIZES = 0x4020_1000n;
/** Memory addresses are in bits 12 to 51. */
const ADDRESS_HIGH = 0xf_ffff;
const MOST_LEVELS = 5;

export interface VtdSecondLevelOptions extends RadixTableOptions {
  /** 3, 4 or 5, which is 39, 48 or 57 bits of I/O address (AGAW); 4 unless told. */
  levels?: number;
  /** Bits of I/O address, where the unit translates fewer than its levels could (MGAW). */
  width?: number;
  /** Leaves of 4 KiB, 2 MiB and 1 GiB unless told. */
  pageSizes?: bigint;
}

export class VtdSecondLevel extends RadixTable {
  /**
   * `set_pte_snp`: entries made from now on have DMA snoop the caches whatever the device asks for. Those that are
   * there stay as they are.
   */
  forceSnooping = false;

  constructor(options: VtdSecondLevelOptions = {}) {
    const levels = options.levels ?? 4;
    const width = Math.min(options.width ?? 64, 12 + LEVEL_BITS * levels);
    super(formatOf(levels, width), options.pageSizes ?? PAGE_SIZES, options);
  }

  protected override get extraLow(): number {
    return this.forceSnooping ? SNOOP.mask : 0;
  }
}

/** One for all tables alike, since machines have tens of thousands. */
const formats = new Map<number, EntryFormat>();

function formatOf(levels: number, width: number): EntryFormat {
  const key = 64 * levels + width;
  const format = formats.get(key) ?? makeFormat(levels, width);
  formats.set(key, format);
  return format;
}

function makeFormat(levels: number, inputWidth: number): EntryFormat {
  return {
    name: 'VT-d second level',
    pageShift: 12,
    firstLevels: levels,
    inputWidth,
    outputWidth: 52,
    framePosition: 12,
    frameHighMask: ADDRESS_HIGH,
    tableLow: Array.from({ length: MOST_LEVELS }, () => READ.mask | WRITE.mask),
    tableHigh: 0,
    tableMask: SUPER_PAGE.mask,
    leafLow: byOrder((order) => (order >= LEVEL_BITS ? SUPER_PAGE.mask : 0)),
    leafHigh: byOrder(() => 0),
    ownFrames: false,
    leafOrder: (_low, _high, level) => LEVEL_BITS * level,
    read: READ,
    write: WRITE,
    dirty: DIRTY,
    accessed: ACCESSED,
    needsProt: true,
    names: [
      { ...READ, name: 'R' },
      { ...WRITE, name: 'W' },
      { ...SUPER_PAGE, name: 'PS' },
      { ...ACCESSED, name: 'A' },
      { ...DIRTY, name: 'D' },
      { ...SNOOP, name: 'SNP' },
    ],
    partial: 'from-start',
  };
}
