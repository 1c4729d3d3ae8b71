/**
 * The leaves of an area tree: each holds up to `LEAF` areas in ascending order, all of them in a few growing arrays,
 * so that a million areas are a handful of objects and nothing the garbage collector walks but the values.
 */

/** Areas of a leaf at most. Long enough to make the tree flat, short enough to shift and to search within cache lines. */
export const LEAF_BITS = 5;
export const LEAF = 1 << LEAF_BITS;
/** Leaves that are not worth saving. */
export const FEW = 64;
/** Instead of a leaf. */
export const NONE = -1;

export class Leaves<V> {
  /** First addresses, coarse part. The slots of leaf `n` begin at `n * LEAF`; so in all arrays by slot. */
  starts: Float64Array;
  /** First addresses after the areas, coarse part. */
  ends: Float64Array;
  /** Residue of the start, and of the end shifted by 16. Empty until an area needs one, which few address spaces see. */
  residues: Uint32Array;
  values: (V | undefined)[];
  /** Areas in each leaf; of a leaf in no use, 0. */
  counts: Uint8Array;
  /** Free slots before the first area of each leaf: what changes near that end moves only what is before it. */
  heads: Uint8Array;
  /** Leaves in order of address; `next` also chains those in no use. */
  next: Int32Array;
  previous: Int32Array;
  capacity: number;
  live = 0;
  /** Whether `residues` is kept. */
  fine = false;
  #free: number = NONE;
  /** Leaves from here on were never used. */
  #fresh = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.starts = new Float64Array(capacity * LEAF);
    this.ends = new Float64Array(capacity * LEAF);
    this.residues = new Uint32Array(0);
    this.values = blank(capacity * LEAF);
    this.counts = new Uint8Array(capacity);
    this.heads = new Uint8Array(capacity);
    this.next = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
  }

  /** Begins to keep residues: an area came whose start or end has one. */
  refine(): void {
    if (this.fine) return;
    this.residues = new Uint32Array(this.capacity * LEAF);
    this.fine = true;
  }

  /** Slot of the first area of a leaf. */
  first(leaf: number): number {
    return leaf * LEAF + this.heads[leaf]!;
  }

  startResidue(slot: number): number {
    return this.fine ? this.residues[slot]! & 0xffff : 0;
  }

  endResidue(slot: number): number {
    return this.fine ? this.residues[slot]! >>> 16 : 0;
  }

  /** An empty leaf, in the chain after `before`. */
  alloc(before: number): number {
    let leaf = this.#free;
    if (leaf !== NONE) this.#free = this.next[leaf]!;
    else {
      if (this.#fresh === this.capacity) this.#grow();
      leaf = this.#fresh++;
    }
    const after = before === NONE ? NONE : this.next[before]!;
    this.heads[leaf] = 0;
    this.previous[leaf] = before;
    this.next[leaf] = after;
    if (before !== NONE) this.next[before] = leaf;
    if (after !== NONE) this.previous[after] = leaf;
    this.live++;
    return leaf;
  }

  /** Takes an empty leaf out of the chain, to be used again. */
  release(leaf: number): void {
    const before = this.previous[leaf]!;
    const after = this.next[leaf]!;
    if (before !== NONE) this.next[before] = after;
    if (after !== NONE) this.previous[after] = before;
    this.next[leaf] = this.#free;
    this.#free = leaf;
    this.live--;
  }

  /** Number of areas of a leaf that begin at the address or below it. */
  upTo(leaf: number, address: number, residue: number): number {
    const starts = this.starts;
    const first = leaf * LEAF + this.heads[leaf]!;
    const end = first + this.counts[leaf]!;
    // One after the other: in so few, halving costs more in branches the processor guesses wrong.
    let slot = first;
    while (slot < end && starts[slot]! <= address) slot++;
    if (this.fine) {
      while (slot > first && starts[slot - 1] === address && this.startResidue(slot - 1) > residue) slot--;
    }
    return slot - first;
  }

  /** Makes room at `index` of a leaf that is not full; the caller fills the slot, which is returned. */
  open(leaf: number, index: number): number {
    const head = this.heads[leaf]!;
    const count = this.counts[leaf]!;
    const first = leaf * LEAF + head;
    this.counts[leaf] = count + 1;
    if (head > 0 && (index < count >> 1 || head + count === LEAF)) {
      this.heads[leaf] = head - 1;
      this.#down(first, first + index);
      return first + index - 1;
    }
    this.#up(first + index, first + count);
    return first + index;
  }

  /** Removes what is at `index`. */
  close(leaf: number, index: number): void {
    const count = this.counts[leaf]!;
    const first = this.first(leaf);
    this.counts[leaf] = count - 1;
    if (index < count >> 1) {
      this.heads[leaf]!++;
      this.#up(first, first + index);
      this.values[first] = undefined;
    } else {
      this.#down(first + index + 1, first + count);
      this.values[first + count - 1] = undefined;
    }
  }

  /** Moves the areas of `from` from `index` on to the end of `to`, which has room. */
  move(from: number, index: number, to: number): void {
    const first = this.first(from) + index;
    const count = this.counts[from]! - index;
    const kept = this.counts[to]!;
    if (this.heads[to]! > 0) {
      this.#copy(this.first(to), kept, to * LEAF);
      this.heads[to] = 0;
    }
    this.#copy(first, count, to * LEAF + kept);
    this.counts[to] = kept + count;
    this.counts[from] = index;
  }

  /** Takes an area of another tree's leaves over, behind the ones a leaf has. */
  append(leaf: number, from: Leaves<V>, slot: number): void {
    const to = leaf * LEAF + this.counts[leaf]!++;
    this.starts[to] = from.starts[slot]!;
    this.ends[to] = from.ends[slot]!;
    this.values[to] = from.values[slot];
    if (this.fine) this.residues[to] = from.residues[slot]!;
  }

  /** The slot before the one at `index`, in this leaf or the one before; NONE at the lowest area. */
  slotBefore(leaf: number, index: number): number {
    if (index > 0) return this.first(leaf) + index - 1;
    const before = this.previous[leaf]!;
    return before === NONE ? NONE : this.first(before) + this.counts[before]! - 1;
  }

  /** The slot at `index`, or the first of the next leaf; NONE behind the highest area. */
  slotFrom(leaf: number, index: number): number {
    if (index < this.counts[leaf]!) return this.first(leaf) + index;
    const after = this.next[leaf]!;
    return after === NONE ? NONE : this.first(after);
  }

  /**
   * Bytes free between two neighbours; from 0 on when there is none before. Exact up to 2^53, beyond rounded, always
   * the same way for the same two.
   */
  gap(before: number, slot: number): number {
    const bytes = this.starts[slot]! - (before === NONE ? 0 : this.ends[before]!);
    if (!this.fine) return bytes;
    return bytes + (this.startResidue(slot) - (before === NONE ? 0 : this.endResidue(before)));
  }

  /** The widest gap before any area of a leaf, the one before its first area included. */
  widest(leaf: number): number {
    const first = this.first(leaf);
    const last = first + this.counts[leaf]!;
    const { starts, ends, fine } = this;
    let widest = this.gap(this.slotBefore(leaf, 0), first);
    for (let slot = first + 1; slot < last; slot++) {
      const gap = fine ? this.gap(slot - 1, slot) : starts[slot]! - ends[slot - 1]!;
      if (gap > widest) widest = gap;
    }
    return widest;
  }

  /** Everything from `slot` to before `end` one slot further up. */
  #up(slot: number, end: number): void {
    const { starts, ends, values } = this;
    for (let to = end; to > slot; to--) {
      starts[to] = starts[to - 1]!;
      ends[to] = ends[to - 1]!;
      values[to] = values[to - 1];
    }
    if (this.fine) this.residues.copyWithin(slot + 1, slot, end);
  }

  #down(slot: number, end: number): void {
    const { starts, ends, values } = this;
    for (let from = slot; from < end; from++) {
      starts[from - 1] = starts[from]!;
      ends[from - 1] = ends[from]!;
      values[from - 1] = values[from];
    }
    if (this.fine) this.residues.copyWithin(slot - 1, slot, end);
  }

  /** To free slots, or to lower ones of the same leaf. So few are copied faster here than by a call of copyWithin. */
  #copy(first: number, count: number, target: number): void {
    const { starts, ends, values } = this;
    for (let n = 0; n < count; n++) {
      starts[target + n] = starts[first + n]!;
      ends[target + n] = ends[first + n]!;
      values[target + n] = values[first + n];
      values[first + n] = undefined;
    }
    if (this.fine) this.residues.copyWithin(target, first, first + count);
  }

  /** By half, so that little is unused and copying stays rare; at first faster. */
  #grow(): void {
    const old = this.capacity;
    const capacity = old < FEW ? old * 4 : old + (old >> 1);
    this.capacity = capacity;
    this.starts = wider(this.starts, new Float64Array(capacity * LEAF));
    this.ends = wider(this.ends, new Float64Array(capacity * LEAF));
    if (this.fine) this.residues = wider(this.residues, new Uint32Array(capacity * LEAF));
    this.counts = wider(this.counts, new Uint8Array(capacity));
    this.heads = wider(this.heads, new Uint8Array(capacity));
    this.next = wider(this.next, new Int32Array(capacity));
    this.previous = wider(this.previous, new Int32Array(capacity));
    const before = this.values;
    const values = blank<V>(capacity * LEAF);
    for (let slot = 0; slot < before.length; slot++) values[slot] = before[slot];
    this.values = values;
  }
}

/** Filled, so that V8 sees one kind of array whatever the values are. */
function blank<V>(length: number): (V | undefined)[] {
  return new Array<V | undefined>(length).fill(undefined);
}

export function wider<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
