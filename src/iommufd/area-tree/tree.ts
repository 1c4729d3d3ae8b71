/**
 * Areas in order of address: a B+ tree whose nodes are numbers into growing arrays (leaves.ts, branches.ts). An area
 * is named by its slot in the leaves until the next change.
 *
 * With each subtree goes the widest gap before any of its areas. Adding an area narrows one gap and removing one
 * widens one, so that most changes touch no branch at all.
 */

import { coarse, coarseAfter, join, residue, residueAfter, take } from './address.ts';
import { Branches, FAN } from './branches.ts';
import { FEW, LEAF, LEAF_BITS, Leaves, NONE } from './leaves.ts';

/** Neighbours are joined when they fill this much of a node, so that the joined one is not split at once. */
const JOINED = 3 / 4;
/** Slots there may be for each area; beyond, the tree is packed anew. Keeps an area below 100 bytes. */
const SPARSE = 4;
/** Levels of branches; each takes sixteen times the areas of the one below. */
const LEVELS = 16;

export class AreaTree<V> {
  size = 0;
  /** Counted up by every change: what was a slot may be another's now. */
  changes = 0;
  leaves: Leaves<V> = new Leaves<V>(1);
  branches = new Branches(0);
  /** A branch, or at height 0 the only leaf. */
  root: number = this.leaves.alloc(NONE);
  /** Levels of branches. Those above the leaves are level 1. */
  height = 0;
  /** The way the last `#descend` went: by level the branch, and the index of the child in it. */
  readonly #nodes = new Int32Array(LEVELS);
  readonly #indexes = new Int32Array(LEVELS);
  /** Where it led; NONE when that way is no more. */
  #near: number = NONE;

  /** Slot of the area that covers the address. */
  at(address: bigint): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const { leaves } = this;
    const leaf = this.#descend(first, rest);
    const slot = leaves.slotBefore(leaf, leaves.upTo(leaf, first, rest));
    return slot !== NONE && this.#endsAbove(slot, first, rest) ? slot : NONE;
  }

  /** Slot of the lowest area that ends at the address or above. */
  from(address: bigint): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const { leaves } = this;
    const leaf = this.#descend(first, rest);
    const index = leaves.upTo(leaf, first, rest);
    const before = leaves.slotBefore(leaf, index);
    return before !== NONE && this.#endsAbove(before, first, rest) ? before : leaves.slotFrom(leaf, index);
  }

  /** Slot of the highest area that ends below the address. */
  below(address: bigint): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const leaf = this.#descend(first, rest);
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

  /** Slot of the highest area. */
  highest(): number {
    let node = this.root;
    for (let level = this.height; level > 0; level--) {
      node = this.branches.children[node * FAN + this.branches.counts[node]! - 1]!;
    }
    return this.leaves.slotBefore(node, this.leaves.counts[node]!);
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
    const leaf = this.#descend(first, rest);
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
    const leaf = this.#descend(first, rest);
    const index = leaves.upTo(leaf, first, rest) - 1;
    const slot = leaves.first(leaf) + index;
    if (index < 0 || leaves.starts[slot] !== first || leaves.startResidue(slot) !== rest) return undefined;
    const value = leaves.values[slot];
    if (this.size === 1) {
      this.#empty(leaf);
      return value;
    }
    const after = leaves.slotFrom(leaf, index + 1);
    const gap = after === NONE ? 0 : leaves.gap(leaves.slotBefore(leaf, index), after);
    const afterStart = after === NONE ? 0 : leaves.starts[after]!;
    const afterRest = after === NONE ? 0 : leaves.startResidue(after);
    leaves.close(leaf, index);
    this.size--;
    this.changes++;
    if (index < leaves.counts[leaf]!) this.#widen(gap);
    else if (leaves.counts[leaf]! > 0) this.#narrow(leaf);
    const left = leaves.counts[leaf]!;
    if (left < LEAF / 2 && (left & (left + 1)) === 0) this.#relieve(leaf);
    if (index >= leaves.counts[leaf]! && after !== NONE) {
      this.#descend(afterStart, afterRest);
      this.#widen(gap);
    }
    if (this.size * SPARSE < leaves.capacity * LEAF && leaves.capacity > FEW) this.#pack();
    return value;
  }

  clear(): void {
    this.#reset(1);
  }

  /**
   * Slot of the lowest area above the address with a gap before it of `bytes` bytes or about; NONE if there is none.
   * The gap may begin below the address.
   */
  gapFrom(address: bigint, bytes: number): number {
    take(address);
    const first = coarse();
    const rest = residue();
    const { leaves, branches } = this;
    let leaf = this.#descend(first, rest);
    let index = leaves.upTo(leaf, first, rest);
    for (;;) {
      for (const count = leaves.counts[leaf]!; index < count; index++) {
        const slot = leaves.first(leaf) + index;
        if (leaves.gap(leaves.slotBefore(leaf, index), slot) >= bytes) return slot;
      }
      let level = 1;
      let child = NONE;
      for (; level <= this.height; level++) {
        child = branches.withGap(this.#nodes[level]!, this.#indexes[level]! + 1, bytes);
        if (child !== NONE) break;
      }
      if (child === NONE) return NONE;
      let node = this.#nodes[level]!;
      this.#indexes[level] = child;
      while (--level > 0) {
        node = branches.children[node * FAN + child]!;
        child = branches.withGap(node, 0, bytes);
        this.#nodes[level] = node;
        this.#indexes[level] = child;
      }
      leaf = branches.children[node * FAN + child]!;
      index = 0;
      this.#near = leaf;
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

  /**
   * The leaf where an area with that start is or would be. Remembers the way there; who asks next often asks near by,
   * and then the way is not gone again.
   */
  #descend(first: number, rest: number): number {
    const { branches, leaves } = this;
    const near = this.#near;
    if (near !== NONE && !leaves.fine) {
      const low = leaves.first(near);
      const high = low + leaves.counts[near]! - 1;
      if (leaves.starts[low]! <= first && (first < leaves.ends[high]! || leaves.next[near] === NONE))
        return near;
    }
    let node = this.root;
    for (let level = this.height; level > 0; level--) {
      const index = branches.childFor(node, first, rest);
      this.#nodes[level] = node;
      this.#indexes[level] = index;
      node = branches.children[node * FAN + index]!;
    }
    this.#near = node;
    return node;
  }

  /** Puts an area where `#descend` led. */
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
      this.#split(leaf, index);
      const half = this.#descend(first, rest);
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
      if (this.#widest() <= narrowed) this.#narrow(leaf);
      return;
    }
    this.#widen(leaves.gap(before, slot));
    if (after === NONE) return;
    const next = this.#descend(leaves.starts[after]!, leaves.startResidue(after));
    if (this.#widest() <= narrowed) this.#narrow(next);
  }

  /** What the branch says of the leaf `#descend` led to. */
  #widest(): number {
    return this.branches.widest[this.#slotOn(1)]!;
  }

  /** A gap in the leaf has become this wide. */
  #widen(gap: number): void {
    const { widest } = this.branches;
    for (let level = 1; level <= this.height; level++) {
      const slot = this.#slotOn(level);
      if (widest[slot]! >= gap) return;
      widest[slot] = gap;
    }
  }

  /** The widest gap of the leaf may have become narrower. */
  #narrow(leaf: number): void {
    if (this.height > 0) this.#settle(1, this.leaves.widest(leaf));
  }

  /** The child on this level has this widest gap now. */
  #settle(from: number, gap: number): void {
    const { branches } = this;
    const { widest } = branches;
    let now = gap;
    let slot = this.#slotOn(from);
    for (let level = from; level <= this.height; level++) {
      const before = widest[slot]!;
      if (before === now) return;
      widest[slot] = now;
      if (level === this.height) return;
      slot = this.#slotOn(level + 1);
      // What narrowed was not the widest under the branch.
      if (widest[slot]! > before && widest[slot]! >= now) return;
      now = branches.widestOf(this.#nodes[level]!);
    }
  }

  /** Where the branch on a level keeps the child `#descend` went to. */
  #slotOn(level: number): number {
    return this.#nodes[level]! * FAN + this.#indexes[level]!;
  }

  /**
   * Splits a full leaf in which `index` is wanted: in halves, but at the ends of the address space so that areas
   * mapped one after the other leave full leaves behind. The way is void after that.
   */
  #split(leaf: number, index: number): void {
    const { leaves } = this;
    const append = index === LEAF && leaves.next[leaf] === NONE;
    const prepend = index === 0 && leaves.previous[leaf] === NONE;
    this.#near = NONE;
    if (this.height === 0) this.#growRoot(leaf);
    const right = leaves.alloc(leaf);
    leaves.move(leaf, append ? LEAF - 1 : prepend ? 1 : LEAF / 2, right);
    this.branches.widest[this.#slotOn(1)] = leaves.widest(leaf);
    const first = leaves.first(right);
    this.#addChild(1, right, leaves.starts[first]!, leaves.startResidue(first), leaves.widest(right), append);
  }

  /** A branch above the root, so that the root can have neighbours. What gaps there are is for the caller to say. */
  #growRoot(child: number): void {
    const { branches } = this;
    const root = branches.alloc();
    branches.counts[root] = 1;
    branches.children[root * FAN] = child;
    this.root = root;
    this.height++;
    this.#nodes[this.height] = root;
    this.#indexes[this.height] = 0;
  }

  /** Adds a child after the one `#descend` went to on a level. */
  #addChild(level: number, child: number, key: number, rest: number, widest: number, append: boolean): void {
    const { branches } = this;
    const full = this.#nodes[level]!;
    let node = full;
    let index = this.#indexes[level]! + 1;
    let right = NONE;
    if (branches.counts[full] === FAN) {
      if (level === this.height) this.#growRoot(full);
      right = branches.alloc();
      const half = append ? FAN - 1 : FAN / 2;
      branches.move(full, half, right);
      if (index > half) {
        node = right;
        index -= half;
      }
    }
    const slot = branches.open(node, index);
    branches.keys[slot] = key;
    branches.residues[slot] = rest;
    branches.children[slot] = child;
    branches.widest[slot] = widest;
    if (right === NONE) return;
    branches.widest[this.#slotOn(level + 1)] = branches.widestOf(full);
    const first = right * FAN;
    const widestRight = branches.widestOf(right);
    this.#addChild(level + 1, right, branches.keys[first]!, branches.residues[first]!, widestRight, append);
  }

  /** A leaf has few areas left: it goes if it has none, or is joined with a neighbour. */
  #relieve(leaf: number): void {
    if (this.height === 0) return;
    const { leaves, branches } = this;
    const node = this.#nodes[1]!;
    const index = this.#indexes[1]!;
    if (leaves.counts[leaf] === 0) {
      leaves.release(leaf);
      branches.close(node, index);
    } else if (!this.#joinLeaves(node, index) && !this.#joinLeaves(node, index - 1)) return;
    this.#near = NONE;
    this.#relieveBranch(1);
  }

  /** The leaf at `left` takes over its right neighbour, if that leaves some room. */
  #joinLeaves(node: number, left: number): boolean {
    const { leaves, branches } = this;
    if (left < 0 || left + 1 >= branches.counts[node]!) return false;
    const slot = node * FAN + left;
    const to = branches.children[slot]!;
    const from = branches.children[slot + 1]!;
    if (leaves.counts[to]! + leaves.counts[from]! > LEAF * JOINED) return false;
    leaves.move(from, 0, to);
    leaves.release(from);
    this.#joined(node, left);
    return true;
  }

  /** A branch lost a child. */
  #relieveBranch(level: number): void {
    const { branches } = this;
    const node = this.#nodes[level]!;
    if (level === this.height) {
      this.#lowerRoot();
      return;
    }
    const parent = this.#nodes[level + 1]!;
    const index = this.#indexes[level + 1]!;
    if (branches.counts[node] === 0) {
      branches.release(node);
      branches.close(parent, index);
      this.#relieveBranch(level + 1);
      return;
    }
    this.#settle(level + 1, branches.widestOf(node));
    if (branches.counts[node]! >= FAN / 2) return;
    if (this.#joinBranches(parent, index) || this.#joinBranches(parent, index - 1))
      this.#relieveBranch(level + 1);
  }

  #joinBranches(node: number, left: number): boolean {
    const { branches } = this;
    if (left < 0 || left + 1 >= branches.counts[node]!) return false;
    const slot = node * FAN + left;
    const to = branches.children[slot]!;
    const from = branches.children[slot + 1]!;
    if (branches.counts[to]! + branches.counts[from]! > FAN * JOINED) return false;
    branches.keys[from * FAN] = branches.keys[slot + 1]!;
    branches.residues[from * FAN] = branches.residues[slot + 1]!;
    branches.move(from, 0, to);
    branches.release(from);
    this.#joined(node, left);
    return true;
  }

  /** The child at `left` has taken over its right neighbour. */
  #joined(node: number, left: number): void {
    const { widest } = this.branches;
    const slot = node * FAN + left;
    widest[slot] = Math.max(widest[slot]!, widest[slot + 1]!);
    this.branches.close(node, left + 1);
  }

  #lowerRoot(): void {
    const { branches } = this;
    while (this.height > 0 && branches.counts[this.root] === 1) {
      const only = branches.children[this.root * FAN]!;
      branches.release(this.root);
      this.root = only;
      this.height--;
    }
  }

  /** Removes the last area. */
  #empty(leaf: number): void {
    this.leaves.close(leaf, 0);
    for (let level = this.height; level > 0; level--) this.branches.release(this.#nodes[level]!);
    this.root = leaf;
    this.#near = NONE;
    this.height = 0;
    this.size = 0;
    this.changes++;
  }

  /** Takes the room that is needed and little more: areas added in order fill their leaves. */
  #pack(): void {
    const old = this.leaves;
    let leaf = this.root;
    for (let level = this.height; level > 0; level--) leaf = this.branches.children[leaf * FAN]!;
    this.#reset(Math.ceil(this.size / (LEAF - 1)) + 1);
    if (old.fine) this.leaves.refine();
    for (; leaf !== NONE; leaf = old.next[leaf]!) {
      const end = old.first(leaf) + old.counts[leaf]!;
      for (let slot = old.first(leaf); slot < end; slot++) {
        const first = old.starts[slot]!;
        const rest = old.startResidue(slot);
        const end = old.ends[slot]!;
        const to = this.#descend(first, rest);
        this.#add(to, this.leaves.counts[to]!, first, rest, end, old.endResidue(slot), old.values[slot] as V);
      }
    }
  }

  #reset(capacity: number): void {
    this.leaves = new Leaves<V>(capacity);
    this.branches = new Branches(0);
    this.root = this.leaves.alloc(NONE);
    this.#near = NONE;
    this.height = 0;
    this.size = 0;
    this.changes++;
  }
}
