/** For tests: every format behind one list, and a page table so plain that it is obviously right. */

import { Prot } from '../domain.ts';
import { AMD_V1_PAGE_SIZES, AmdV1 } from './amd-v1.ts';
import { IntervalTable } from './interval-table.ts';
import type { IoPageTable } from './io-page-table.ts';
import { MockTable2K } from './mock-table-2k.ts';
import { VtdSecondLevel } from './vtd-second-level.ts';

export interface FormatCase {
  name: string;
  make(): IoPageTable;
  /** Bytes of the smallest page. */
  page: bigint;
  /** Leaf sizes, as powers of two of that page, ascending. */
  orders: readonly number[];
  /** `exact`: any part of a leaf can be unmapped, and neighbours that continue each other are one. */
  partial: 'whole' | 'from-start' | 'split' | 'exact';
  needsProt: boolean;
  hasAccessed: boolean;
  /** Last byte of memory an entry can name. */
  lastMemory: bigint;
}

const ALL = 0xffff_ffff_ffff_ffffn;
const MEMORY = (1n << 52n) - 1n;
const vtd = {
  page: 4096n,
  orders: [0, 9, 18],
  partial: 'from-start',
  needsProt: true,
  hasAccessed: true,
  lastMemory: MEMORY,
} as const;
const mock = {
  page: 2048n,
  partial: 'split',
  needsProt: false,
  hasAccessed: false,
  lastMemory: ALL,
} as const;

export const FORMATS: readonly FormatCase[] = [
  { ...vtd, name: 'VT-d, 3 levels', make: () => new VtdSecondLevel({ levels: 3 }) },
  { ...vtd, name: 'VT-d, 4 levels', make: () => new VtdSecondLevel() },
  { ...vtd, name: 'VT-d, 5 levels', make: () => new VtdSecondLevel({ levels: 5 }) },
  { ...vtd, name: 'VT-d, 4 KiB only', orders: [0], make: () => new VtdSecondLevel({ pageSizes: 0x1000n }) },
  {
    name: 'AMD v1',
    make: () => new AmdV1(),
    page: 4096n,
    orders: Array.from({ length: 40 }, (_, order) => order).filter(
      (order) => (AMD_V1_PAGE_SIZES >> BigInt(order + 12)) & 1n,
    ),
    partial: 'whole',
    needsProt: true,
    hasAccessed: true,
    lastMemory: MEMORY,
  },
  { ...mock, name: 'mock', orders: [0], make: () => new MockTable2K() },
  { ...mock, name: 'mock, huge pages', orders: [0, 9], make: () => new MockTable2K({ huge: true }) },
  {
    name: 'sorted list',
    make: () => new IntervalTable(),
    page: 4096n,
    orders: [0],
    partial: 'exact',
    needsProt: false,
    hasAccessed: true,
    lastMemory: ALL,
  },
];

interface Cell {
  frame: number;
  prot: number;
  /** Of its leaf. */
  start: number;
  count: number;
  accessed: boolean;
  dirty: boolean;
}

/** Every page by itself in a map, numbered from 0. */
export class PlainTable {
  readonly cells = new Map<number, Cell>();
  tracking = false;
  readonly #format: FormatCase;
  readonly #sizes: readonly number[];

  /** @param unit smallest pages in one of this table's */
  constructor(format: FormatCase, unit: number) {
    this.#format = format;
    this.#sizes = format.orders.map((order) => 2 ** order / unit).filter((size) => size >= 1);
  }

  isTaken(page: number, count: number): boolean {
    for (let at = page; at < page + count; at++) if (this.cells.has(at)) return true;
    return false;
  }

  map(page: number, frame: number, count: number, prot: number): void {
    for (let done = 0; done < count; ) {
      const fits = this.#sizes.filter(
        (size) => size <= count - done && (page + done) % size === 0 && (frame + done) % size === 0,
      );
      const size = Math.max(...fits);
      for (let i = done; i < done + size; i++) {
        const leaf = { start: page + done, count: size, accessed: false, dirty: false };
        this.cells.set(page + i, { frame: frame + i, prot, ...leaf });
      }
      done += size;
    }
  }

  /** Pages unmapped. */
  unmap(page: number, count: number): number {
    let [at, done] = [page, 0];
    while (done < count) {
      const cell = this.cells.get(at);
      if (cell === undefined) break;
      const { start } = cell;
      const whole = start === at && cell.count <= count - done;
      if (this.#format.partial === 'from-start' && start !== at) break;
      if (!whole && this.#format.partial === 'split') this.#split(cell);
      for (let i = cell.start; i < cell.start + cell.count; i++) this.cells.delete(i);
      done += cell.count;
      at = cell.start + cell.count;
    }
    return done;
  }

  access(page: number, write: boolean): 'not-mapped' | 'not-readable' | 'not-writable' | Cell {
    const cell = this.cells.get(page);
    if (cell === undefined) return 'not-mapped';
    if (write && !(cell.prot & Prot.Write)) return 'not-writable';
    if (!write && !(cell.prot & Prot.Read)) return 'not-readable';
    if (this.tracking) {
      cell.accessed = true;
      if (write) cell.dirty = true;
    }
    return cell;
  }

  /** Dirty pages of `first … last`, ascending. */
  readDirty(first: number, last: number, clear: boolean): number[] {
    const dirty: number[] = [];
    for (let page = first; page <= last; page++) if (this.leafIs(page, 'dirty')) dirty.push(page);
    if (clear) for (const page of dirty) this.#clearLeaf(page);
    return dirty;
  }

  leafIs(page: number, what: 'dirty' | 'accessed'): boolean {
    const cell = this.cells.get(page);
    if (cell === undefined) return false;
    for (let at = cell.start; at < cell.start + cell.count; at++) if (this.cells.get(at)?.[what]) return true;
    return false;
  }

  #clearLeaf(page: number): void {
    const { start, count } = this.cells.get(page)!;
    for (let at = start; at < start + count; at++) this.cells.get(at)!.dirty = false;
  }

  #split({ start, count }: Cell): void {
    for (let at = start; at < start + count; at++)
      Object.assign(this.cells.get(at)!, { start: at, count: 1 });
  }
}
