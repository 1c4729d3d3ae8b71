/** Which I/O addresses lead where: the least a domain needs of a page table. */

import { KernelError } from '../kernel/errors.ts';

/** Ranges in bytes; callers have checked alignment and that nothing ends past 2^64-1. */
export interface PageTable {
  /** @throws KernelError EEXIST a page of the range is mapped, ENOMEM; nothing is mapped then */
  map(iova: bigint, paddr: bigint, size: bigint, prot: number): void;
  /** @returns bytes unmapped from `iova` on, up to the first hole */
  unmap(iova: bigint, size: bigint): bigint;
  translate(iova: bigint): bigint | undefined;
  /** The parts of `start … last` (inclusive) that nothing is mapped at, ascending. */
  holes(start: bigint, last: bigint): { start: bigint; last: bigint }[];
}

interface Interval {
  start: bigint;
  last: bigint;
  paddr: bigint;
  prot: number;
}

/** A sorted list of mappings; neighbours that continue each other are one entry. */
export class IntervalTable implements PageTable {
  readonly #entries: Interval[] = [];

  get size(): number {
    return this.#entries.length;
  }

  map(iova: bigint, paddr: bigint, size: bigint, prot: number): void {
    const last = iova + size - 1n;
    const at = this.#firstEndingAtOrAfter(iova);
    const next = this.#entries[at];
    if (next !== undefined && next.start <= last) {
      throw new KernelError(
        'EEXIST',
        `I/O address 0x${iova.toString(16)}`,
        'part of the range is mapped already',
      );
    }
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
    return done - iova;
  }

  translate(iova: bigint): bigint | undefined {
    const entry = this.#entries[this.#firstEndingAtOrAfter(iova)];
    if (entry === undefined || entry.start > iova) return undefined;
    return entry.paddr + (iova - entry.start);
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
