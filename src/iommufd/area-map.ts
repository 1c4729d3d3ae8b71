/**
 * Areas of an address space by address: ranges that never overlap, anywhere in 0 to 2^64-1, ends inclusive. The
 * place of the kernel's interval tree in io_pagetable.c, with the search for room built in.
 */

import { hex64 } from '../iommu/reserved-region.ts';
import { KernelError } from '../kernel/errors.ts';
import { NONE } from './area-tree/leaves.ts';
import { AreaTree } from './area-tree/tree.ts';
import { ULONG_MAX } from './limits.ts';

/** An area as the map has it. */
export interface AreaEntry<V> {
  readonly start: bigint;
  /** Inclusive. */
  readonly last: bigint;
  readonly value: V;
}

/** Doubles are rounded beyond 2^53: a gap may seem this much smaller than it is. What is found is looked at exactly. */
const ROUNDING = 1 - 2 ** -50;

/**
 * Addresses are bytes, 0 to 2^64-1; higher bits are not looked at. Every operation takes time in the logarithm of the
 * number of areas. Values are given back as they are, so that look-ups allocate nothing.
 */
export class AreaMap<V extends NonNullable<unknown>> {
  readonly #name: string;
  /** For checks. */
  readonly tree = new AreaTree<V>();

  /** @param name what refusals name, e.g. `IOAS 3` */
  constructor(name = 'areas') {
    this.#name = name;
  }

  /** Number of areas. */
  get size(): number {
    return this.tree.size;
  }

  /**
   * Adds an area (`interval_tree_insert` after the check of `iopt_check_iova`).
   *
   * @throws KernelError EEXIST it overlaps another area
   * @throws KernelError EINVAL `last` is below `start`
   */
  set(start: bigint, last: bigint, value: V): void {
    if (last < start) {
      throw new KernelError('EINVAL', this.#name, `an area cannot go from ${hex64(start)} to ${hex64(last)}`);
    }
    if (!this.tree.insert(start, last, value)) this.#refuseOverlap(start, last);
  }

  /** Removes the area that begins at `start` (`interval_tree_remove`), and gives back its value. */
  delete(start: bigint): V | undefined {
    return this.tree.remove(start);
  }

  /** The area that covers an address. */
  at(address: bigint): V | undefined {
    return this.#value(this.tree.at(address));
  }

  /**
   * The lowest area that ends at `address` or above: the one that covers it, or else the next one
   * (`interval_tree_iter_first` up to ULONG_MAX). After an area comes `firstFrom(area.last + 1n)`, unless it ends at
   * 2^64-1; walking so, areas may come and go meanwhile.
   */
  firstFrom(address: bigint): V | undefined {
    return this.#value(this.tree.from(address));
  }

  /** The lowest area that has a byte in `start` to `last` (`interval_tree_iter_first`). */
  firstIn(start: bigint, last: bigint): V | undefined {
    return this.#value(this.#slotIn(start, last));
  }

  /** The highest area that ends below `address`. */
  lastBefore(address: bigint): V | undefined {
    return this.#value(this.tree.below(address));
  }

  /** Whether any area has a byte in `start` to `last`. */
  overlaps(start: bigint, last: bigint): boolean {
    return this.#slotIn(start, last) !== NONE;
  }

  /**
   * The areas that have a byte in `start` to `last`, ascending (`interval_tree_iter_next`). Each step goes on from the
   * end of the area given last: areas may be added and removed while one walks.
   */
  *entries(start = 0n, last = ULONG_MAX): Generator<AreaEntry<V>, void, undefined> {
    const tree = this.tree;
    let slot = this.#slotIn(start, last);
    while (slot !== NONE) {
      const { changes } = tree;
      const entry = { start: tree.start(slot), last: tree.end(slot) - 1n, value: tree.leaves.values[slot]! };
      yield entry;
      if (entry.last >= last) return;
      slot =
        tree.changes === changes
          ? this.#notPast(tree.after(slot), last)
          : this.#slotIn(entry.last + 1n, last);
    }
  }

  /** All areas, ascending. */
  [Symbol.iterator](): Generator<AreaEntry<V>, void, undefined> {
    return this.entries();
  }

  /**
   * Looks for room, lowest first (`interval_tree_for_each_span` over holes). Offers `place` every hole of at least
   * `bytes` bytes between `low` and `high`, cut to these bounds; its first answer that is not undefined is the
   * result. Holes too small are skipped in bulk: with a million areas side by side the one behind them is found at
   * once.
   *
   * @param high inclusive
   */
  lowestHole<T extends NonNullable<unknown>>(
    low: bigint,
    high: bigint,
    bytes: bigint,
    place: (start: bigint, last: bigint) => T | undefined,
  ): T | undefined {
    const tree = this.tree;
    const wanted = bytes > 0n ? bytes : 1n;
    const about = Number(wanted) * ROUNDING;
    let from = low;
    while (from <= high) {
      const slot = tree.gapFrom(from, about);
      const before = slot === NONE ? tree.highest() : tree.before(slot);
      const hole = before === NONE ? 0n : tree.end(before);
      const start = hole > from ? hole : from;
      const next = slot === NONE ? high + 1n : tree.start(slot);
      const end = next > high ? high + 1n : next;
      if (start > high) return undefined;
      const behind = slot === NONE ? end : tree.end(slot);
      const found = end - start >= wanted ? place(start, end - 1n) : undefined;
      if (found !== undefined) return found;
      from = behind;
    }
    return undefined;
  }

  /** Removes all areas. */
  clear(): void {
    this.tree.clear();
  }

  #value(slot: number): V | undefined {
    return slot === NONE ? undefined : this.tree.leaves.values[slot];
  }

  #slotIn(start: bigint, last: bigint): number {
    return this.#notPast(this.tree.from(start), last);
  }

  #notPast(slot: number, last: bigint): number {
    return slot !== NONE && this.tree.start(slot) <= last ? slot : NONE;
  }

  #refuseOverlap(start: bigint, last: bigint): never {
    const slot = this.#slotIn(start, last);
    const other = `${hex64(this.tree.start(slot))} to ${hex64(this.tree.end(slot) - 1n)}`;
    throw new KernelError(
      'EEXIST',
      this.#name,
      `${hex64(start)} to ${hex64(last)} overlaps the area from ${other}`,
      'unmap that first, or let an address be chosen',
    );
  }
}
