/**
 * The way from the root of an area tree to a leaf, and what is kept along it: the widest gap under each child. Adding
 * an area narrows one gap and removing one widens one, so that most changes touch no branch at all.
 */

import { Branches, FAN } from './branches.ts';
import { Leaves, NONE } from './leaves.ts';

/** Levels of branches there may be: far more than fit in memory, as a branch is split only when it is full. */
const LEVELS = 16;

export class Way<V> {
  leaves: Leaves<V> = new Leaves<V>(1);
  branches = new Branches(0);
  /** A branch, or at height 0 the only leaf. */
  root: number = this.leaves.alloc(NONE);
  /** Levels of branches. Those above the leaves are level 1. */
  height = 0;
  /** The way `descend` went last: by level the branch, and the index of the child in it. */
  protected readonly nodes = new Int32Array(LEVELS);
  protected readonly indexes = new Int32Array(LEVELS);
  /** Where it led; NONE when that way is no more. */
  protected near: number = NONE;

  /**
   * The leaf where an area with that start is or would be. Remembers the way there; who asks next often asks near by,
   * and then the way is not gone again.
   */
  protected descend(first: number, rest: number): number {
    const { branches, leaves } = this;
    const near = this.near;
    if (near !== NONE && !leaves.fine) {
      const low = leaves.first(near);
      const high = low + leaves.counts[near]! - 1;
      if (leaves.starts[low]! <= first && (first < leaves.ends[high]! || leaves.next[near] === NONE))
        return near;
    }
    let node = this.root;
    for (let level = this.height; level > 0; level--) {
      const index = branches.childFor(node, first, rest);
      this.nodes[level] = node;
      this.indexes[level] = index;
      node = branches.children[node * FAN + index]!;
    }
    this.near = node;
    return node;
  }

  /** Where the branch on a level keeps the child `descend` went to. */
  protected slotOn(level: number): number {
    return this.nodes[level]! * FAN + this.indexes[level]!;
  }

  /** What the branch says of the leaf `descend` led to. */
  protected widest(): number {
    return this.branches.widest[this.slotOn(1)]!;
  }

  /** A gap in the leaf has become this wide. */
  protected widen(gap: number): void {
    const { widest } = this.branches;
    for (let level = 1; level <= this.height; level++) {
      const slot = this.slotOn(level);
      if (widest[slot]! >= gap) return;
      widest[slot] = gap;
    }
  }

  /** The widest gap of the leaf may have become narrower. */
  protected narrow(leaf: number): void {
    if (this.height > 0) this.settle(1, this.leaves.widest(leaf));
  }

  /** The child on this level has this widest gap now. */
  protected settle(from: number, gap: number): void {
    const { branches } = this;
    const { widest } = branches;
    let now = gap;
    let slot = this.slotOn(from);
    for (let level = from; level <= this.height; level++) {
      const before = widest[slot]!;
      if (before === now) return;
      widest[slot] = now;
      if (level === this.height) return;
      slot = this.slotOn(level + 1);
      // What narrowed was not the widest under the branch.
      if (widest[slot]! > before && widest[slot]! >= now) return;
      now = branches.widestOf(this.nodes[level]!);
    }
  }

  /** Slot of the highest area. */
  highest(): number {
    let node = this.root;
    for (let level = this.height; level > 0; level--) {
      node = this.branches.children[node * FAN + this.branches.counts[node]! - 1]!;
    }
    return this.leaves.slotBefore(node, this.leaves.counts[node]!);
  }
}
