/** How an area tree keeps its shape: full nodes are split, emptying ones are joined with a neighbour. */

import { FAN } from './branches.ts';
import { LEAF, NONE } from './leaves.ts';
import { Way } from './way.ts';

/** Neighbours are joined when they fill this much of a node, so that the joined one is not split at once. */
const JOINED = 3 / 4;

export class Shape<V> extends Way<V> {
  /**
   * Splits a full leaf in which `index` is wanted: in halves, but at the ends of the address space so that areas
   * mapped one after the other leave full leaves behind. The way is void after that.
   */
  protected split(leaf: number, index: number): void {
    const { leaves } = this;
    const append = index === LEAF && leaves.next[leaf] === NONE;
    const prepend = index === 0 && leaves.previous[leaf] === NONE;
    this.near = NONE;
    if (this.height === 0) this.#growRoot(leaf);
    const right = leaves.alloc(leaf);
    leaves.move(leaf, append ? LEAF - 1 : prepend ? 1 : LEAF / 2, right);
    this.branches.widest[this.slotOn(1)] = leaves.widest(leaf);
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
    this.nodes[this.height] = root;
    this.indexes[this.height] = 0;
  }

  /** Adds a child after the one `descend` went to on a level. */
  #addChild(level: number, child: number, key: number, rest: number, widest: number, append: boolean): void {
    const { branches } = this;
    const full = this.nodes[level]!;
    let node = full;
    let index = this.indexes[level]! + 1;
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
    branches.widest[this.slotOn(level + 1)] = branches.widestOf(full);
    const first = right * FAN;
    const widestRight = branches.widestOf(right);
    this.#addChild(level + 1, right, branches.keys[first]!, branches.residues[first]!, widestRight, append);
  }

  /** When a leaf has few areas left, it goes if it has none, or is joined with a neighbour. Asked about at 15, 7, 3, 1. */
  protected relieve(leaf: number): void {
    const { leaves, branches } = this;
    const left = leaves.counts[leaf]!;
    if (left >= LEAF / 2 || (left & (left + 1)) !== 0 || this.height === 0) return;
    const node = this.nodes[1]!;
    const index = this.indexes[1]!;
    if (left === 0) {
      leaves.release(leaf);
      branches.close(node, index);
    } else if (!this.#joinLeaves(node, index) && !this.#joinLeaves(node, index - 1)) return;
    this.near = NONE;
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
    const node = this.nodes[level]!;
    if (level === this.height) {
      this.#lowerRoot();
      return;
    }
    const parent = this.nodes[level + 1]!;
    const index = this.indexes[level + 1]!;
    if (branches.counts[node] === 0) {
      branches.release(node);
      branches.close(parent, index);
      this.#relieveBranch(level + 1);
      return;
    }
    this.settle(level + 1, branches.widestOf(node));
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
}
