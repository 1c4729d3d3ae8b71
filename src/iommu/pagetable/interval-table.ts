/** A page table that is a sorted list: for hardware whose format is not modelled, and for tests. */

import { KernelError } from '../../kernel/errors.ts';
import { Prot } from '../domain.ts';
import type { FrameRuns } from '../frame-runs.ts';
import { hex } from './addresses.ts';
import type { IoPageTable, Leaf, PageAccess, WalkStep } from './io-page-table.ts';

interface Interval {
  start: bigint;
  last: bigint;
  paddr: bigint;
  prot: number;
}

/** `PAGE_SIZE` */
const FRAME_BYTES = 4096n;
const ALL_SIZES = 0xffff_ffff_ffff_f000n;

/**
 * Neighbours that continue each other are one entry, and one leaf. Any part of one can be unmapped. What is accessed
 * and written to is known for each of the smallest pages.
 */
export class IntervalTable implements IoPageTable {
  readonly format = 'sorted list';
  readonly pageSizes: bigint;
  readonly tables = 0;
  readonly lastAddress = 0xffff_ffff_ffff_ffffn;
  onAllocate: (() => void) | undefined;
  readonly #page: bigint;
  readonly #entries: Interval[] = [];
  /** Pages that were accessed, and whether they were written to. */
  #accessed: Map<bigint, boolean> | undefined;
  #dirtyTracking = false;

  /** @param pageSizes bit n set: pages of 2^n bytes; from 4 KiB on unless told */
  constructor(pageSizes: bigint = ALL_SIZES) {
    this.pageSizes = pageSizes;
    this.#page = pageSizes & -pageSizes;
  }

  get size(): number {
    return this.#entries.length;
  }

  map(iova: bigint, paddr: bigint, size: bigint, prot: number): void {
    if (((iova | paddr | size) & (this.#page - 1n)) !== 0n) {
      throw new KernelError(
        'EINVAL',
        `the mapping at ${hex(iova)}`,
        `is not in multiples of ${this.#page} bytes`,
      );
    }
    const last = iova + size - 1n;
    const at = this.#firstEndingAtOrAfter(iova);
    const next = this.#entries[at];
    if (next !== undefined && next.start <= last) {
      throw new KernelError('EEXIST', `I/O address ${hex(iova)}`, 'part of the range is mapped already');
    }
    this.onAllocate?.();
    const before = this.#entries[at - 1];
    if (
      before !== undefined &&
      before.last + 1n === iova &&
      before.paddr + (iova - before.start) === paddr &&
      before.prot === prot
    ) {
      before.last = last;
      return;
    }
    this.#entries.splice(at, 0, { start: iova, last, paddr, prot });
  }

  mapRuns(start: bigint, runs: FrameRuns, skip: number, size: bigint, prot: number, small: boolean): void {
    const end = start + size;
    let iova = start;
    try {
      for (let at = 0; at < runs.length && iova < end; at++) {
        let paddr = BigInt(runs.first(at)) * FRAME_BYTES;
        let left = BigInt(runs.count(at)) * FRAME_BYTES;
        if (at === 0) {
          paddr += BigInt(skip);
          left -= BigInt(skip);
        }
        if (left > end - iova) left = end - iova;
        while (left > 0n) {
          const toBoundary = FRAME_BYTES - (paddr & (FRAME_BYTES - 1n));
          const piece = small && left > toBoundary ? toBoundary : left;
          this.map(iova, paddr, piece, prot);
          iova += piece;
          paddr += piece;
          left -= piece;
        }
      }
    } catch (error) {
      if (iova > start) this.unmap(start, iova - start);
      throw error;
    }
  }

  unmap(iova: bigint, size: bigint): bigint {
    const end = iova + size;
    let done = iova;
    let at = this.#firstEndingAtOrAfter(iova);
    for (let entry = this.#entries[at]; entry !== undefined && entry.start <= done && done < end; ) {
      const upTo = entry.last < end - 1n ? entry.last : end - 1n;
      at = this.#cut(at, entry, done, upTo);
      done = upTo + 1n;
      entry = this.#entries[at];
    }
    for (const page of this.#accessed?.keys() ?? []) {
      if (page >= iova && page < done) this.#accessed?.delete(page);
    }
    return done - iova;
  }

  translate(iova: bigint): bigint | undefined {
    const entry = this.#at(iova);
    return entry && entry.paddr + (iova - entry.start);
  }

  access(iova: bigint, write: boolean): PageAccess {
    const entry = this.#at(iova);
    if (entry === undefined) return 'not-mapped';
    if ((entry.prot & (write ? Prot.Write : Prot.Read)) === 0) return write ? 'not-writable' : 'not-readable';
    const page = iova & -this.#page;
    if (this.#dirtyTracking) {
      this.#accessed ??= new Map();
      this.#accessed.set(page, write || this.#accessed.get(page) === true);
    }
    return { paddr: entry.paddr + (iova - entry.start), last: page + this.#page - 1n };
  }

  walk(iova: bigint): WalkStep[] {
    const index = this.#firstEndingAtOrAfter(iova);
    const entry = this.#at(iova);
    if (entry === undefined) return [];
    const leaf = this.#leaf(entry);
    const bits = bitNames(leaf);
    const { size, paddr } = leaf;
    return [{ level: 1, table: 0n, index, entry: paddr, kind: 'leaf', size, address: paddr, bits }];
  }

  *leaves(start: bigint, last: bigint): Generator<Leaf> {
    for (let at = this.#firstEndingAtOrAfter(start); at < this.#entries.length; at++) {
      const entry = this.#entries[at]!;
      if (entry.start > last) return;
      yield this.#leaf(entry);
    }
  }

  holes(start: bigint, last: bigint): { start: bigint; last: bigint }[] {
    const holes: { start: bigint; last: bigint }[] = [];
    let from = start;
    for (let at = this.#firstEndingAtOrAfter(start); from <= last; at++) {
      const entry = this.#entries[at];
      if (entry === undefined || entry.start > last) {
        holes.push({ start: from, last });
        break;
      }
      if (entry.start > from) holes.push({ start: from, last: entry.start - 1n });
      from = entry.last + 1n;
    }
    return holes;
  }

  setDirtyTracking(on: boolean): void {
    this.#dirtyTracking = on;
  }

  readAndClearDirty(
    start: bigint,
    last: bigint,
    clear: boolean,
    report: (iova: bigint, size: bigint) => void,
  ): void {
    const pages: bigint[] = [];
    for (const [page, dirty] of this.#accessed ?? []) {
      if (dirty && page + this.#page > start && page <= last) pages.push(page);
    }
    pages.sort((a, b) => (a < b ? -1 : 1));
    for (let at = 0; at < pages.length; ) {
      const first = pages[at]!;
      let end = first;
      for (; pages[at] === end; at++) end += this.#page;
      const from = first < start ? start : first;
      report(from, (end - 1n > last ? last + 1n : end) - from);
    }
    if (clear) for (const page of pages) this.#accessed?.set(page, false);
  }

  dump(): string[] {
    const lines = this.#entries.map((entry) => {
      const { iova, size, paddr, ...rest } = this.#leaf(entry);
      return `  ${hex(iova)}-${hex(iova + size - 1n)} -> ${hex(paddr)} ${bitNames(rest)}`;
    });
    return [this.format, ...lines];
  }

  free(): void {
    this.#entries.length = 0;
    this.#accessed = undefined;
  }

  #at(iova: bigint): Interval | undefined {
    const entry = this.#entries[this.#firstEndingAtOrAfter(iova)];
    return entry === undefined || entry.start > iova ? undefined : entry;
  }

  #leaf({ start, last, paddr, prot }: Interval): Leaf {
    let [accessed, dirty] = [false, false];
    for (const [page, written] of this.#accessed ?? []) {
      if (page < start || page > last) continue;
      accessed = true;
      dirty ||= written;
    }
    return { iova: start, paddr, size: last - start + 1n, prot, accessed, dirty };
  }

  /** Removes `first … last` from the entry at `at`; returns where the entry after the removed part stands. */
  #cut(at: number, entry: Interval, first: bigint, last: bigint): number {
    const kept: Interval[] = [];
    if (entry.start < first) kept.push({ ...entry, last: first - 1n });
    const left = kept.length;
    if (entry.last > last) {
      kept.push({ ...entry, start: last + 1n, paddr: entry.paddr + (last + 1n - entry.start) });
    }
    this.#entries.splice(at, 1, ...kept);
    return at + left;
  }

  #firstEndingAtOrAfter(address: bigint): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.last < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function bitNames({ prot, accessed, dirty }: Pick<Leaf, 'prot' | 'accessed' | 'dirty'>): string {
  const names: [unknown, string][] = [
    [prot & Prot.Read, 'R'],
    [prot & Prot.Write, 'W'],
    [accessed, 'A'],
    [dirty, 'D'],
  ];
  return names
    .filter(([set]) => set)
    .map(([, name]) => name)
    .join(' ');
}
