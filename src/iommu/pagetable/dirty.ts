/**
 * Which pages devices wrote to.
 *
 * A table is marked when the dirty bit of one of its entries is set, and so are all above it. What is not marked is
 * not looked at: 64 GiB of which little was written cost little to read, where hardware leaves no such trace and
 * drivers read every entry.
 */

import { ENTRIES, type EntryBit, LEVEL_BITS, spanOf } from './entry-format.ts';
import type { RadixTree } from './radix-tree.ts';
import { CHUNK_MASK, CHUNK_SHIFT, TABLE_SHIFT } from './table-pool.ts';

/** Sets the dirty bit of the entry at `entry`, which maps `page`. */
export function setDirty(tree: RadixTree, entry: number, page: number): void {
  const { pool, format } = tree;
  const chunk = pool.chunks[entry >>> CHUNK_SHIFT]!;
  const word = (entry & CHUNK_MASK) + format.dirty.word;
  chunk[word] = chunk[word]! | format.dirty.mask;
  if (pool.marked[entry >>> TABLE_SHIFT] === 0) onWay(tree, page, (table) => (pool.marked[table] = 1));
}

/** Sets the accessed bit of every entry on the way to `page`. */
export function setAccessed(tree: RadixTree, page: number): void {
  const { accessed } = tree.format;
  if (accessed === undefined) return;
  onWay(tree, page, (_table, chunk, word) => {
    chunk[word + accessed.word] = chunk[word + accessed.word]! | accessed.mask;
  });
}

/** Whether any entry of the leaf that `find` answered has the bit; hardware sets that of the entry it came by. */
export function leafHas(tree: RadixTree, entry: number, order: number, { word, mask }: EntryBit): boolean {
  const replicas = 1 << (order - tree.level * LEVEL_BITS);
  const chunk = tree.pool.chunks[entry >>> CHUNK_SHIFT]!;
  const index = (entry >>> 1) & (ENTRIES - 1);
  const first = (entry & CHUNK_MASK) - 2 * (index & (replicas - 1));
  for (let at = first + word; at < first + 2 * replicas; at += 2) if (chunk[at]! & mask) return true;
  return false;
}

/** Reports runs of dirty pages within `first … last`, ascending. */
export function readAndClearDirty(
  tree: RadixTree,
  first: number,
  last: number,
  clear: boolean,
  report: (page: number, count: number) => void,
): void {
  const reader = new DirtyReader(tree, first, last, clear, report);
  if (tree.root !== 0) reader.read(tree.root, tree.levels - 1, 0);
  reader.flush();
}

class DirtyReader {
  readonly #tree: RadixTree;
  readonly #first: number;
  readonly #last: number;
  readonly #clear: boolean;
  readonly #report: (page: number, count: number) => void;
  /** The run that is not reported yet, since it may go on. */
  #page = 0;
  #end = 0;

  constructor(
    tree: RadixTree,
    first: number,
    last: number,
    clear: boolean,
    report: (page: number, count: number) => void,
  ) {
    this.#tree = tree;
    this.#first = first;
    this.#last = last;
    this.#clear = clear;
    this.#report = report;
  }

  /** @param base first page that the table is for */
  read(table: number, level: number, base: number): void {
    const { pool, format } = this.#tree;
    if (pool.marked[table] === 0) return;
    const span = spanOf(level);
    const at = table << TABLE_SHIFT;
    const chunk = pool.chunks[at >>> CHUNK_SHIFT]!;
    const start = at & CHUNK_MASK;
    // A leaf of several entries is looked at whole, wherever in it the range begins or ends.
    let from = 0;
    let to = ENTRIES - 1;
    if (this.#first > base) {
      from = Math.floor((this.#first - base) / span);
      from &= -this.#replicas(chunk, start + 2 * from, level);
    }
    if (this.#last < base + span * ENTRIES - 1) {
      to = Math.floor((this.#last - base) / span);
      to |= this.#replicas(chunk, start + 2 * to, level) - 1;
    }
    const { word, mask } = format.dirty;
    for (let index = from; index <= to; index++) {
      const entry = start + 2 * index;
      if (
        level > 0 &&
        (chunk[entry]! | chunk[entry + 1]!) !== 0 &&
        this.#tree.isTable(chunk[entry]!, level)
      ) {
        this.read(chunk[entry]! >>> format.framePosition, level - 1, base + index * span);
      } else if ((chunk[entry + word]! & mask) !== 0) {
        const replicas = this.#replicas(chunk, entry, level);
        const head = index & -replicas;
        if (this.#clear) clearBits(chunk, start + 2 * head + word, replicas, mask);
        this.#add(base + head * span, replicas * span);
        index = head + replicas - 1;
      }
    }
    if (this.#clear && this.#first <= base && this.#last >= base + span * ENTRIES - 1) pool.marked[table] = 0;
  }

  /** Entries of the leaf that one entry belongs to. */
  #replicas(chunk: Uint32Array, entry: number, level: number): number {
    const low = chunk[entry]!;
    const high = chunk[entry + 1]!;
    if ((low | high) === 0 || this.#tree.isTable(low, level)) return 1;
    return 1 << (this.#tree.format.leafOrder(low, high, level) - level * LEVEL_BITS);
  }

  flush(): void {
    if (this.#end > this.#page) this.#report(this.#page, this.#end - this.#page);
  }

  #add(page: number, count: number): void {
    const from = Math.max(page, this.#first);
    const end = Math.min(page + count, this.#last + 1);
    if (from !== this.#end) {
      this.flush();
      this.#page = from;
    }
    this.#end = end;
  }
}

function clearBits(chunk: Uint32Array, word: number, entries: number, mask: number): void {
  for (let at = word; at < word + 2 * entries; at += 2) chunk[at] = chunk[at]! & ~mask;
}

function onWay(
  tree: RadixTree,
  page: number,
  visit: (table: number, chunk: Uint32Array, word: number) => void,
): void {
  let table = tree.root;
  for (let level = tree.levels - 1; level >= 0; level--) {
    const at = (table << TABLE_SHIFT) | (tree.index(page, level) << 1);
    const chunk = tree.pool.chunks[at >>> CHUNK_SHIFT]!;
    const word = at & CHUNK_MASK;
    visit(table, chunk, word);
    if (!tree.isTable(chunk[word]!, level)) return;
    table = chunk[word]! >>> tree.format.framePosition;
  }
}
