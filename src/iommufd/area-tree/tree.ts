/**
 * Areas in order of address: a B+ tree whose nodes are numbers into growing arrays (leaves.ts, branches.ts). An area
 * is named by its slot in the leaves until the next change.
 */

import { coarse, coarseAfter, join, residue, residueAfter, take } from './address.ts';
import { Branches, FAN } from './branches.ts';
import { FEW, LEAF, LEAF_BITS, Leaves, NONE } from './leaves.ts';
import { pack } from './pack.ts';
import { Shape } from './shape.ts';

/** Slots there may be for each area; beyond, the tree is packed anew. Keeps an area below 100 bytes. */
const SPARSE = 4;

export class AreaTree<V> extends Shape<V> {
  size = 0;
  /** Counted up by every change: what was a slot may be another's now. */
  changes = 0;

  /** Slot of the area that covers the address. */
  at(address: bigint): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const { leaves } = this;
    const leaf = this.descend(first, rest);
    const slot = leaves.slotBefore(leaf, leaves.upTo(leaf, first, rest));
    return slot !== NONE && this.#endsAbove(slot, first, rest) ? slot : NONE;
  }

  /** Slot of the lowest area that ends at the address or above. */
  from(address: bigint): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const { leaves } = this;
    const leaf = this.descend(first, rest);
    const index = leaves.upTo(leaf, first, rest);
    const before = leaves.slotBefore(leaf, index);
    return before !== NONE && this.#endsAbove(before, first, rest) ? before : leaves.slotFrom(leaf, index);
  }

  /** Slot of the highest area that ends below the address. */
  below(address: bigint): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const leaf = this.descend(first, rest);
    const slot = this.leaves.slotBefore(leaf, this.leaves.upTo(leaf, first, rest));
    return slot !== NONE && this.#endsAbove(slot, first, rest) ? this.before(slot) : slot;
  }

  before(slot: number): number {
    const leaf = slot >> LEAF_BITS;
    return this.leaves.slotBefore(leaf, slot - this.leaves.first(leaf));
  }

  after(slot: number): number {
    const leaf = slot >> LEAF_BITS;
    return this.leaves.slotFrom(leaf, slot - this.leaves.first(leaf) + 1);
  }

  start(slot: number): bigint {
    return join(this.leaves.starts[slot]!, this.leaves.startResidue(slot));
  }

  /** The first address after an area: up to 2^64. */
  end(slot: number): bigint {
    return join(this.leaves.ends[slot]!, this.leaves.endResidue(slot));
  }

  /** @returns false, and nothing is changed: another area overlaps */
  insert(start: bigint, last: bigint, value: V): boolean {
    take(last);
    const end = coarseAfter();
    const endRest = residueAfter();
    take(start);
    const first = coarse();
    const rest = residue();
    const { leaves } = this;
    const leaf = this.descend(first, rest);
    const index = leaves.upTo(leaf, first, rest);
    const before = leaves.slotBefore(leaf, index);
    if (before !== NONE && this.#endsAbove(before, first, rest)) return false;
    const after = leaves.slotFrom(leaf, index);
    if (after !== NONE && this.#startsBelow(after, end, endRest)) return false;
    if (rest !== 0 || endRest !== 0) leaves.refine();
    this.#add(leaf, index, first, rest, end, endRest, value);
    return true;
  }

  remove(start: bigint): V | undefined {
    take(start);
    const first = coarse();
    const rest = residue();
    const { leaves } = this;
    const leaf = this.descend(first, rest);
    const index = leaves.upTo(leaf, first, rest) - 1;
    const slot = leaves.first(leaf) + index;
    if (index < 0 || leaves.starts[slot] !== first || leaves.startResidue(slot) !== rest) return undefined;
    const value = leaves.values[slot];
    if (this.size === 1) {
      this.#empty(leaf);
      return value;
    }
    this.size--;
    this.changes++;
    if (index + 1 < leaves.counts[leaf]!) this.#closeInside(leaf, index, slot);
    else this.#closeLast(leaf, index);
    if (this.size * SPARSE < leaves.capacity * LEAF && leaves.capacity > FEW) this.#pack();
    return value;
  }

  clear(): void {
    this.leaves = new Leaves<V>(1);
    this.branches = new Branches(0);
    this.root = this.leaves.alloc(NONE);
    this.near = NONE;
    this.height = 0;
    this.size = 0;
    this.changes++;
  }

  /**
   * Slot of the lowest area above the address with a gap before it of `bytes` bytes or about; NONE if there is none.
   * The gap may begin below the address.
   */
  gapFrom(address: bigint, bytes: number): number {
    const { leaves, branches } = this;
    if (this.height > 0 && branches.withGap(this.root, 0, bytes) === NONE) return NONE;
    take(address);
    const first = coarse();
    const rest = residue();
    let leaf = this.descend(first, rest);
    let index = leaves.upTo(leaf, first, rest);
    for (;;) {
      for (const count = leaves.counts[leaf]!; index < count; index++) {
        const slot = leaves.first(leaf) + index;
        if (leaves.gap(leaves.slotBefore(leaf, index), slot) >= bytes) return slot;
      }
      let level = 1;
      let child = NONE;
      for (; level <= this.height; level++) {
        child = branches.withGap(this.nodes[level]!, this.indexes[level]! + 1, bytes);
        if (child !== NONE) break;
      }
      if (child === NONE) return NONE;
      let node = this.nodes[level]!;
      this.indexes[level] = child;
      while (--level > 0) {
        node = branches.children[node * FAN + child]!;
        child = branches.withGap(node, 0, bytes);
        this.nodes[level] = node;
        this.indexes[level] = child;
      }
      leaf = branches.children[node * FAN + child]!;
      index = 0;
      this.near = leaf;
    }
  }

  #endsAbove(slot: number, first: number, rest: number): boolean {
    const end = this.leaves.ends[slot]!;
    return end > first || (end === first && this.leaves.endResidue(slot) > rest);
  }

  #startsBelow(slot: number, end: number, rest: number): boolean {
    const start = this.leaves.starts[slot]!;
    return start < end || (start === end && this.leaves.startResidue(slot) < rest);
  }

  /** Puts an area where `descend` led. */
  #add(
    leaf: number,
    index: number,
    first: number,
    rest: number,
    end: number,
    endRest: number,
    value: V,
  ): void {
    const { leaves } = this;
    if (leaves.counts[leaf] === LEAF) {
      this.split(leaf, index);
      const half = this.descend(first, rest);
      this.#add(half, leaves.upTo(half, first, rest), first, rest, end, endRest, value);
      return;
    }
    const before = leaves.slotBefore(leaf, index);
    const after = leaves.slotFrom(leaf, index);
    const narrowed = after === NONE ? 0 : leaves.gap(before, after);
    const inside = index < leaves.counts[leaf]!;
    const slot = leaves.open(leaf, index);
    leaves.starts[slot] = first;
    leaves.ends[slot] = end;
    if (leaves.fine) leaves.residues[slot] = rest | (endRest << 16);
    leaves.values[slot] = value;
    this.size++;
    this.changes++;
    if (this.height === 0) return;
    if (inside) {
      if (this.widest() <= narrowed) this.narrow(leaf);
      return;
    }
    this.widen(leaves.gap(before, slot));
    if (after === NONE) return;
    const next = this.descend(leaves.starts[after]!, leaves.startResidue(after));
    if (this.widest() <= narrowed) this.narrow(next);
  }

  /** Removes an area that another follows in its leaf. */
  #closeInside(leaf: number, index: number, slot: number): void {
    const { leaves } = this;
    const gap = leaves.gap(leaves.slotBefore(leaf, index), slot + 1);
    leaves.close(leaf, index);
    this.widen(gap);
    this.relieve(leaf);
  }

  /** Removes the last area of a leaf: the gap before the next leaf widens. */
  #closeLast(leaf: number, index: number): void {
    const { leaves } = this;
    const after = leaves.slotFrom(leaf, index + 1);
    const gap = after === NONE ? 0 : leaves.gap(leaves.slotBefore(leaf, index), after);
    const first = after === NONE ? 0 : leaves.starts[after]!;
    const rest = after === NONE ? 0 : leaves.startResidue(after);
    leaves.close(leaf, index);
    if (index > 0) this.narrow(leaf);
    this.relieve(leaf);
    if (after === NONE) return;
    this.descend(first, rest);
    this.widen(gap);
  }

  /** Removes the last area. */
  #empty(leaf: number): void {
    this.leaves.close(leaf, 0);
    for (let level = this.height; level > 0; level--) this.branches.release(this.nodes[level]!);
    this.root = leaf;
    this.near = NONE;
    this.height = 0;
    this.size = 0;
    this.changes++;
  }

  #pack(): void {
    let lowest = this.root;
    for (let level = this.height; level > 0; level--) lowest = this.branches.children[lowest * FAN]!;
    const packed = pack(this.leaves, lowest, this.size);
    this.leaves = packed.leaves;
    this.branches = packed.branches;
    this.root = packed.root;
    this.height = packed.height;
    this.near = NONE;
  }
}
