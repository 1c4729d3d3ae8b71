/**
 * The page table of the iommufd selftest's mock domain: pages of 2 KiB, so that code which takes a page for 4 KiB is
 * found out, and huge pages of 512 of them.
 *
 * Every 2 KiB has an entry of its own, its page number in the lower 53 bits and flags above; a huge page is 512 of them
 * with a flag. What is unmapped of it is just that; here the rest then is small pages. The kernel keeps no
 * permissions, and finds entries by a radix tree (xarray) of its own; the bits for both are this model's.
 */

import { byOrder, type EntryBit, type EntryFormat } from './entry-format.ts';
import { RadixTable, type RadixTableOptions } from './radix-table.ts';

const DIRTY: EntryBit = { word: 1, mask: 1 << 22 };
const HUGE: EntryBit = { word: 1, mask: 1 << 23 };
const READ: EntryBit = { word: 1, mask: 1 << 24 };
const WRITE: EntryBit = { word: 1, mask: 1 << 25 };
const PRESENT: EntryBit = { word: 1, mask: 1 << 26 };
const PAGE_NUMBER_HIGH = 0x1f_ffff;
const HUGE_ORDER = 9;
/** `MOCK_IO_PAGE_SIZE`, `MOCK_HUGE_PAGE_SIZE` */
export const MOCK_PAGE_SIZE = 2048n;
export const MOCK_HUGE_PAGE_SIZE = 512n * MOCK_PAGE_SIZE;
const MOST_LEVELS = 6;

const FORMAT: EntryFormat = {
  name: 'selftest mock, 2 KiB pages',
  pageShift: 11,
  firstLevels: 1,
  inputWidth: 64,
  outputWidth: 64,
  framePosition: 0,
  frameHighMask: PAGE_NUMBER_HIGH,
  tableLow: Array.from({ length: MOST_LEVELS }, () => 0),
  tableHigh: PRESENT.mask,
  tableMask: 0,
  leafLow: byOrder(() => 0),
  leafHigh: byOrder((order) => PRESENT.mask | (order === HUGE_ORDER ? HUGE.mask : 0)),
  ownFrames: true,
  leafOrder: (_low, high) => ((high & HUGE.mask) === 0 ? 0 : HUGE_ORDER),
  read: READ,
  write: WRITE,
  dirty: DIRTY,
  needsProt: false,
  names: [
    { ...READ, name: 'R' },
    { ...WRITE, name: 'W' },
    { ...HUGE, name: 'HUGE' },
    { ...DIRTY, name: 'D' },
  ],
  partial: 'split',
};

export interface MockTable2KOptions extends RadixTableOptions {
  /** With pages of 1 MiB too (`MOCK_FLAGS_DEVICE_HUGE_IOVA`). */
  huge?: boolean;
}

export class MockTable2K extends RadixTable {
  constructor(options: MockTable2KOptions = {}) {
    super(FORMAT, options.huge ? MOCK_PAGE_SIZE | MOCK_HUGE_PAGE_SIZE : MOCK_PAGE_SIZE, options);
  }
}
