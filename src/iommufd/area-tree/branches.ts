/**
 * The inner nodes of an area tree. A branch knows for each child the lowest address it may hold, and the widest gap
 * before any area under it: whole subtrees without room are passed over.
 */

import { wider } from './leaves.ts';

/** Children of a branch at most. */
export const FAN = 64;

export class Branches {
  /** Lower bounds, coarse part; of the first child never read, since everything lower goes there too. */
  keys: Float64Array;
  residues: Uint16Array;
  widest: Float64Array;
  /** Leaves or branches, by the level of this one. */
  children: Int32Array;
  counts: Uint8Array;
  #capacity: number;
  #free: number[] = [];
  #fresh = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.keys = new Float64Array(capacity * FAN);
    this.residues = new Uint16Array(capacity * FAN);
    this.widest = new Float64Array(capacity * FAN);
    this.children = new Int32Array(capacity * FAN);
    this.counts = new Uint8Array(capacity);
  }

  alloc(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#fresh === this.#capacity) this.#grow();
    return this.#fresh++;
  }

  release(node: number): void {
    this.counts[node] = 0;
    this.#free.push(node);
  }

  /** Index of the child whose range has the address. */
  childFor(node: number, address: number, residue: number): number {
    const keys = this.keys;
    const base = node * FAN;
    const count = this.counts[node]!;
    const end = base + count;
    const middle = base + (count >> 1);
    // Halved once, then one after the other: more halving costs more in branches the processor guesses wrong.
    let slot = keys[middle]! <= address ? middle : base;
    slot++;
    while (slot < end && keys[slot]! <= address) slot++;
    while (slot > base + 1 && keys[slot - 1] === address && this.residues[slot - 1]! > residue) slot--;
    return slot - 1 - base;
  }

  /** Makes room for a child at `index` of a branch that is not full; the caller fills the slot, which is returned. */
  open(node: number, index: number): number {
    const slot = node * FAN + index;
    for (let to = node * FAN + this.counts[node]!; to > slot; to--) this.#copy(to - 1, to);
    this.counts[node]!++;
    return slot;
  }

  close(node: number, index: number): void {
    const last = node * FAN + this.counts[node]! - 1;
    for (let slot = node * FAN + index; slot < last; slot++) this.#copy(slot + 1, slot);
    this.counts[node]!--;
  }

  /** Moves the children of `from` from `index` on to the end of `to`, which has room. */
  move(from: number, index: number, to: number): void {
    const end = from * FAN + this.counts[from]!;
    let target = to * FAN + this.counts[to]!;
    this.counts[to]! += this.counts[from]! - index;
    for (let slot = from * FAN + index; slot < end; slot++) this.#copy(slot, target++);
    this.counts[from] = index;
  }

  /** Adds a child behind the ones a branch has. */
  append(node: number, child: number, key: number, rest: number, widest: number): void {
    const slot = node * FAN + this.counts[node]!++;
    this.keys[slot] = key;
    this.residues[slot] = rest;
    this.widest[slot] = widest;
    this.children[slot] = child;
  }

  widestOf(node: number): number {
    const first = node * FAN;
    const last = first + this.counts[node]!;
    let widest = 0;
    for (let slot = first; slot < last; slot++) if (this.widest[slot]! > widest) widest = this.widest[slot]!;
    return widest;
  }

  /** The first child from `index` on with a gap of that many bytes before an area of it; -1 if there is none. */
  withGap(node: number, index: number, bytes: number): number {
    const base = node * FAN;
    for (let at = index; at < this.counts[node]!; at++) if (this.widest[base + at]! >= bytes) return at;
    return -1;
  }

  #copy(from: number, to: number): void {
    this.keys[to] = this.keys[from]!;
    this.residues[to] = this.residues[from]!;
    this.widest[to] = this.widest[from]!;
    this.children[to] = this.children[from]!;
  }

  #grow(): void {
    const capacity = this.#capacity + (this.#capacity >> 1) + 4;
    this.#capacity = capacity;
    this.keys = wider(this.keys, new Float64Array(capacity * FAN));
    this.residues = wider(this.residues, new Uint16Array(capacity * FAN));
    this.widest = wider(this.widest, new Float64Array(capacity * FAN));
    this.children = wider(this.children, new Int32Array(capacity * FAN));
    this.counts = wider(this.counts, new Uint8Array(capacity));
  }
}
