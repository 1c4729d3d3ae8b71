/**
 * The tree of tables: finding entries, adding tables on the way, and giving empty ones back. What entries mean is told
 * by the format.
 *
 * There are no empty tables: a tree without a leaf has no root either. Where an entry stands is one number, table and
 * index together: `chunks[at >>> CHUNK_SHIFT][at & CHUNK_MASK]` is its lower word, the upper one follows.
 */

import { KernelError } from '../../kernel/errors.ts';
import { addressOf, hex } from './addresses.ts';
import { ENTRIES, type EntryFormat, LEVEL_BITS, spanOf } from './entry-format.ts';
import { CHUNK_MASK, CHUNK_SHIFT, TABLE_SHIFT, type TablePool } from './table-pool.ts';

const INDEX_MASK = ENTRIES - 1;
/** Page numbers are split here, in two parts of 27 bits that integer instructions can take apart. */
const LOW_LEVELS = 3;
const LOW_PAGES = 2 ** (LEVEL_BITS * LOW_LEVELS);

export class RadixTree {
  readonly format: EntryFormat;
  readonly pool: TablePool;
  onAllocate: (() => void) | undefined;
  /** Number of the root table, 0 for none. */
  root = 0;
  levels: number;
  tables = 0;
  /** Level of the entry that `find` or `seek` answered. */
  level = 0;
  /** The bottom table found last, and which pages it is for: what hardware's paging-structure cache is good for. */
  #lastSpan = -1;
  #lastTable = 0;

  constructor(format: EntryFormat, pool: TablePool) {
    this.format = format;
    this.pool = pool;
    this.levels = format.firstLevels;
  }

  /** Pages that the levels there are can tell apart. */
  get capacity(): number {
    return spanOf(this.levels);
  }

  /** Index of the entry for `page` in tables of `level`. */
  index(page: number, level: number): number {
    const high = Math.floor(page / LOW_PAGES);
    return level < LOW_LEVELS
      ? ((page - high * LOW_PAGES) >>> (LEVEL_BITS * level)) & INDEX_MASK
      : (high >>> (LEVEL_BITS * (level - LOW_LEVELS))) & INDEX_MASK;
  }

  /** Whether an entry that is not empty leads to a table. */
  isTable(low: number, level: number): boolean {
    return level > 0 && ((low ^ this.format.tableLow[level]!) & this.format.tableMask) === 0;
  }

  /** Where the leaf entry of `page` stands, -1 where nothing is mapped. */
  find(page: number): number {
    const span = Math.floor(page / ENTRIES);
    let at: number;
    if (span === this.#lastSpan) {
      this.level = 0;
      at = (this.#lastTable << TABLE_SHIFT) | ((page - span * ENTRIES) << 1);
    } else {
      at = this.#descend(page, span);
      if (at < 0) return at;
    }
    const chunk = this.pool.chunks[at >>> CHUNK_SHIFT]!;
    const word = at & CHUNK_MASK;
    return (chunk[word]! | chunk[word + 1]!) === 0 ? -1 : at;
  }

  /**
   * First page, from `page` on, that is mapped; -1 where there is none. `find` is for where it is.
   */
  seek(page: number): number {
    let from = page;
    while (this.root !== 0 && from < this.capacity) {
      let table = this.root;
      let level = this.levels - 1;
      for (;;) {
        const first = this.index(from, level);
        const found = this.#firstUsed(table, first);
        if (found !== first) from = (Math.floor(from / spanOf(level + 1)) * ENTRIES + found) * spanOf(level);
        if (found === ENTRIES) break;
        const at = (table << TABLE_SHIFT) | (found << 1);
        const low = this.pool.chunks[at >>> CHUNK_SHIFT]![at & CHUNK_MASK]!;
        if (!this.isTable(low, level)) {
          this.level = level;
          return from;
        }
        table = low >>> this.format.framePosition;
        level--;
      }
    }
    return -1;
  }

  /**
   * The table of `level` that has the entry of `page`; tables on the way there are added.
   *
   * @throws KernelError EEXIST a larger leaf is in the way; `onAllocate`'s refusal, empty tables then stay for `prune`
   */
  tableFor(page: number, level: number): number {
    const span = Math.floor(page / ENTRIES);
    if (level === 0 && span === this.#lastSpan) return this.#lastTable;
    if (this.root === 0) this.root = this.#allocate();
    let table = this.root;
    const { framePosition, tableLow, tableHigh } = this.format;
    for (let above = this.levels - 1; above > level; above--) {
      const at = (table << TABLE_SHIFT) | (this.index(page, above) << 1);
      const chunk = this.pool.chunks[at >>> CHUNK_SHIFT]!;
      const word = at & CHUNK_MASK;
      const low = chunk[word]!;
      if ((low | chunk[word + 1]!) === 0) {
        const added = this.#allocate();
        chunk[word] = (added << framePosition) | tableLow[above]!;
        chunk[word + 1] = tableHigh;
        this.pool.used[table]!++;
        table = added;
      } else if (this.isTable(low, above)) {
        table = low >>> framePosition;
      } else {
        throw this.taken(page);
      }
    }
    if (level === 0) this.#remember(span, table);
    return table;
  }

  taken(page: number): KernelError {
    const address = hex(addressOf(page, this.format.pageShift));
    return new KernelError('EEXIST', `I/O address ${address}`, 'part of the range is mapped already');
  }

  /**
   * `increase_address_space`: levels are added on top until `page` fits, and a leaf of `level`.
   *
   * @throws KernelError `onAllocate`'s refusal; `shrink` undoes what was added
   */
  grow(page: number, level: number): void {
    const { framePosition, tableLow, tableHigh } = this.format;
    while (page >= this.capacity || this.levels <= level) {
      if (this.root !== 0) {
        const top = this.#allocate();
        const at = top << TABLE_SHIFT;
        const chunk = this.pool.chunks[at >>> CHUNK_SHIFT]!;
        chunk[at & CHUNK_MASK] = (this.root << framePosition) | tableLow[this.levels]!;
        chunk[(at & CHUNK_MASK) + 1] = tableHigh;
        this.pool.used[top] = 1;
        this.pool.marked[top] = this.pool.marked[this.root]!;
        this.root = top;
      }
      this.levels++;
    }
  }

  /** Takes levels off again that nothing below their first entry uses. */
  shrink(levels: number): void {
    while (this.levels > levels) {
      if (this.root !== 0) {
        const at = this.root << TABLE_SHIFT;
        const below = this.pool.chunks[at >>> CHUNK_SHIFT]![at & CHUNK_MASK]! >>> this.format.framePosition;
        this.#release(this.root);
        this.root = below;
      }
      this.levels--;
    }
  }

  /** Gives back the tables on the way to `page` that are empty, from the last one up. */
  prune(page: number): void {
    if (this.root === 0 || page >= this.capacity) return;
    this.#pruneBelow(this.root, this.levels - 1, page);
    if (this.pool.used[this.root] === 0) {
      this.#release(this.root);
      this.root = 0;
    }
  }

  /** Gives back a table and all below it. */
  drop(table: number, level: number): void {
    if (level > 0) {
      const start = table << TABLE_SHIFT;
      for (let at = start; at < start + 2 * ENTRIES; at += 2) {
        const chunk = this.pool.chunks[at >>> CHUNK_SHIFT]!;
        const low = chunk[at & CHUNK_MASK]!;
        if ((low | chunk[(at & CHUNK_MASK) + 1]!) !== 0 && this.isTable(low, level)) {
          this.drop(low >>> this.format.framePosition, level - 1);
        }
      }
    }
    this.#release(table);
  }

  #descend(page: number, span: number): number {
    let table = this.root;
    if (table === 0 || page >= this.capacity) return -1;
    const { chunks } = this.pool;
    const { framePosition, tableMask, tableLow } = this.format;
    const high = Math.floor(page / LOW_PAGES);
    const low = page - high * LOW_PAGES;
    for (let level = this.levels - 1; level > 0; level--) {
      const index =
        level < LOW_LEVELS ? low >>> (LEVEL_BITS * level) : high >>> (LEVEL_BITS * (level - LOW_LEVELS));
      const at = (table << TABLE_SHIFT) | ((index & INDEX_MASK) << 1);
      const chunk = chunks[at >>> CHUNK_SHIFT]!;
      const word = at & CHUNK_MASK;
      const entry = chunk[word]!;
      if ((entry | chunk[word + 1]!) === 0) {
        this.level = level;
        return -1;
      }
      if (((entry ^ tableLow[level]!) & tableMask) !== 0) {
        this.level = level;
        return at;
      }
      table = entry >>> framePosition;
    }
    this.level = 0;
    this.#remember(span, table);
    return (table << TABLE_SHIFT) | ((low & INDEX_MASK) << 1);
  }

  #firstUsed(table: number, from: number): number {
    const at = table << TABLE_SHIFT;
    const chunk = this.pool.chunks[at >>> CHUNK_SHIFT]!;
    const start = at & CHUNK_MASK;
    let index = from;
    while (index < ENTRIES && (chunk[start + 2 * index]! | chunk[start + 2 * index + 1]!) === 0) index++;
    return index;
  }

  #pruneBelow(table: number, level: number, page: number): void {
    if (level === 0) return;
    const at = (table << TABLE_SHIFT) | (this.index(page, level) << 1);
    const chunk = this.pool.chunks[at >>> CHUNK_SHIFT]!;
    const word = at & CHUNK_MASK;
    const low = chunk[word]!;
    if ((low | chunk[word + 1]!) === 0 || !this.isTable(low, level)) return;
    const below = low >>> this.format.framePosition;
    this.#pruneBelow(below, level - 1, page);
    if (this.pool.used[below] !== 0) return;
    this.#release(below);
    chunk[word] = 0;
    chunk[word + 1] = 0;
    this.pool.used[table]!--;
  }

  #remember(span: number, table: number): void {
    this.#lastSpan = span;
    this.#lastTable = table;
  }

  #allocate(): number {
    this.onAllocate?.();
    const table = this.pool.allocate();
    this.tables++;
    return table;
  }

  #release(table: number): void {
    this.#lastSpan = -1;
    this.tables--;
    this.pool.release(table);
  }
}
