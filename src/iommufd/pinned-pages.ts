/**
 * Which pages of a page set are pinned, which frames they are, and how many users each has.
 *
 * The kernel finds this out from two interval trees, an xarray and the page tables themselves (pages.c). Here it is
 * one sorted list of stretches: pages that follow each other, lie in frames that follow each other and have equally
 * many users. Contiguous memory is one stretch whatever its size; a million scattered pages are a million rows of
 * one typed array. Cutting an area in two leaves the list as it is.
 */

import type { FrameRuns } from '../iommu/frame-runs.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';

/** A row: first page, number of pages, first frame, users. */
const ROW = 4;
const COUNT = 1;
const FRAME = 2;
const USERS = 3;

/** Of all lists with nothing in them. */
const NOTHING = new Float64Array(0);

export class PinnedPages {
  #rows = NOTHING;
  #length = 0;
  #pages = 0;

  /** Pages in the list. */
  get pages(): number {
    return this.#pages;
  }

  /** Stretches in the list. */
  get length(): number {
    return this.#length;
  }

  /** The stretches of `first … last` that are not in the list: first and last page, alternating, ascending. */
  holes(first: number, last: number): number[] {
    const holes: number[] = [];
    let from = first;
    for (let row = this.#firstEndingAfter(first); row < this.#length && from <= last; row++) {
      const start = this.#rows[row * ROW]!;
      if (start > last) break;
      if (start > from) holes.push(from, start - 1);
      from = start + this.#rows[row * ROW + COUNT]!;
    }
    if (from <= last) holes.push(from, last);
    return holes;
  }

  /** The frames of `first … last`, all of which are in the list, in order. */
  collect(first: number, last: number, into: FrameRuns): void {
    let page = first;
    for (let at = this.#firstEndingAfter(first) * ROW; page <= last; at += ROW) {
      const skip = page - this.#rows[at]!;
      const count = Math.min(this.#rows[at + COUNT]! - skip, last - page + 1);
      into.push(this.#rows[at + FRAME]! + skip, count);
      page += count;
    }
  }

  /** Pages from `first` on, none of which is in the list, without users so far: `use` them or `sweep` them. */
  insert(first: number, runs: FrameRuns): void {
    const row = this.#firstEndingAfter(first);
    this.#makeRoom(row, runs.length);
    let page = first;
    for (let run = 0, at = row * ROW; run < runs.length; run++, at += ROW) {
      const count = runs.count(run);
      this.#rows[at] = page;
      this.#rows[at + COUNT] = count;
      this.#rows[at + FRAME] = runs.first(run);
      this.#rows[at + USERS] = 0;
      page += count;
    }
    this.#pages += runs.pages;
  }

  /** One more user of `first … last`, all of which are in the list. */
  use(first: number, last: number): void {
    const from = this.#splitAt(first);
    const to = this.#splitAt(last + 1);
    for (let at = from * ROW + USERS; at < to * ROW; at += ROW) this.#rows[at] = this.#rows[at]! + 1;
    this.#join(from, to);
  }

  /** One user less; pages that have none left are unpinned; returns how many. */
  unuse(first: number, last: number, physical: PhysicalMemory): number {
    const from = this.#splitAt(first);
    const to = this.#splitAt(last + 1);
    for (let at = from * ROW + USERS; at < to * ROW; at += ROW) this.#rows[at] = this.#rows[at]! - 1;
    return this.#dropUnused(from, to, physical);
  }

  /** Pages of `first … last` without users are unpinned. */
  sweep(first: number, last: number, physical: PhysicalMemory): void {
    this.#dropUnused(this.#splitAt(first), this.#splitAt(last + 1), physical);
  }

  /** Every stretch, ascending: for a picture of the state. */
  *stretches(): Generator<{ first: number; pages: number; frame: number; users: number }> {
    for (let at = 0; at < this.#length * ROW; at += ROW) {
      yield {
        first: this.#rows[at]!,
        pages: this.#rows[at + COUNT]!,
        frame: this.#rows[at + FRAME]!,
        users: this.#rows[at + USERS]!,
      };
    }
  }

  #dropUnused(from: number, to: number, physical: PhysicalMemory): number {
    let dropped = 0;
    for (let at = from * ROW; at < to * ROW; at += ROW) {
      if (this.#rows[at + USERS]! > 0) continue;
      const count = this.#rows[at + COUNT]!;
      physical.unpin(this.#rows[at + FRAME]!, count);
      this.#rows[at + COUNT] = 0;
      dropped += count;
    }
    this.#pages -= dropped;
    this.#join(from, to);
    return dropped;
  }

  /** A stretch starts at `page` if `page` is in the list; returns the first row from there on. */
  #splitAt(page: number): number {
    const row = this.#firstEndingAfter(page);
    const at = row * ROW;
    if (row === this.#length || this.#rows[at]! >= page) return row;
    const left = page - this.#rows[at]!;
    this.#makeRoom(row, 1);
    this.#rows.copyWithin(at, at + ROW, at + 2 * ROW);
    this.#rows[at + COUNT] = left;
    this.#rows[at + ROW] = page;
    this.#rows[at + ROW + COUNT] = this.#rows[at + ROW + COUNT]! - left;
    this.#rows[at + ROW + FRAME] = this.#rows[at + ROW + FRAME]! + left;
    return row + 1;
  }

  /** Takes empty rows out of `from … to-1` and joins stretches there and at both ends that continue each other. */
  #join(from: number, to: number): void {
    const rows = this.#rows;
    let kept = Math.max(from - 1, 0) * ROW;
    const end = Math.min(to + 1, this.#length) * ROW;
    if (kept >= end) return;
    let next = kept;
    let open = false;
    for (; next < end; next += ROW) {
      if (rows[next + COUNT] === 0) continue;
      if (open && continues(rows, kept - ROW, next)) {
        rows[kept - ROW + COUNT] = rows[kept - ROW + COUNT]! + rows[next + COUNT]!;
        continue;
      }
      if (kept !== next) rows.copyWithin(kept, next, next + ROW);
      kept += ROW;
      open = true;
    }
    if (kept === next) return;
    rows.copyWithin(kept, next, this.#length * ROW);
    this.#length -= (next - kept) / ROW;
    if (this.#length === 0) this.#rows = NOTHING;
  }

  #makeRoom(row: number, count: number): void {
    const needed = (this.#length + count) * ROW;
    if (needed > this.#rows.length) {
      const rows = new Float64Array(Math.max(needed, 2 * this.#length * ROW));
      rows.set(this.#rows.subarray(0, row * ROW));
      rows.set(this.#rows.subarray(row * ROW, this.#length * ROW), (row + count) * ROW);
      this.#rows = rows;
    } else {
      this.#rows.copyWithin((row + count) * ROW, row * ROW, this.#length * ROW);
    }
    this.#length += count;
  }

  #firstEndingAfter(page: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = middle * ROW;
      if (this.#rows[at]! + this.#rows[at + COUNT]! <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function continues(rows: Float64Array, at: number, next: number): boolean {
  const count = rows[at + COUNT]!;
  return (
    rows[at]! + count === rows[next] &&
    rows[at + FRAME]! + count === rows[next + FRAME] &&
    rows[at + USERS] === rows[next + USERS]
  );
}
