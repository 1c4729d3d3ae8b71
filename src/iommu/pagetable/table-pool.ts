/**
 * Memory for page tables: 4 KiB each, 512 entries of two 32-bit words (the lower one first).
 *
 * One pool serves any number of page tables, so that many small ones cost what they hold. A table is known by its
 * number, from 1 on; as an address it is number × 4096 in a space that holds nothing but tables.
 */

import { KernelError } from '../../kernel/errors.ts';

/** Words of a table are at `chunks[at >>> CHUNK_SHIFT]`, from `at & CHUNK_MASK` on, where `at` is `number << TABLE_SHIFT`. */
export const TABLE_SHIFT = 10;
const TABLE_WORDS = 1 << TABLE_SHIFT;
export const CHUNK_SHIFT = 15;
const CHUNK_WORDS = 1 << CHUNK_SHIFT;
export const CHUNK_MASK = CHUNK_WORDS - 1;
/** What numbers of 20 bits can tell apart: 4 GiB of tables. */
const MAX_TABLES = (1 << 20) - 1;

export class TablePool {
  readonly chunks: Uint32Array[] = [];
  /** By table: entries that are not empty. */
  used = new Uint16Array(CHUNK_WORDS >> TABLE_SHIFT);
  /** By table: 1 where it, or a table below it, may have entries with the dirty bit. */
  marked = new Uint8Array(CHUNK_WORDS >> TABLE_SHIFT);
  readonly #free: number[] = [];
  #next = 1;

  /** Tables in use. */
  get live(): number {
    return this.#next - 1 - this.#free.length;
  }

  /**
   * An empty table.
   *
   * @throws KernelError ENOMEM there are 2^20 - 1
   */
  allocate(): number {
    const reused = this.#free.pop();
    if (reused === undefined) return this.#extend();
    const at = reused << TABLE_SHIFT;
    this.chunks[at >>> CHUNK_SHIFT]!.fill(0, at & CHUNK_MASK, (at & CHUNK_MASK) + TABLE_WORDS);
    this.used[reused] = 0;
    this.marked[reused] = 0;
    return reused;
  }

  /** The table is used again before memory is taken for another; it may still have entries. */
  release(table: number): void {
    this.#free.push(table);
  }

  #extend(): number {
    const table = this.#next;
    if (table > MAX_TABLES) {
      throw new KernelError('ENOMEM', 'page tables', `all ${MAX_TABLES} tables are in use`);
    }
    const chunk = (table << TABLE_SHIFT) >>> CHUNK_SHIFT;
    while (this.chunks.length <= chunk) this.chunks.push(new Uint32Array(CHUNK_WORDS));
    if (table >= this.used.length) {
      const used = new Uint16Array(2 * this.used.length);
      used.set(this.used);
      this.used = used;
      const marked = new Uint8Array(2 * this.marked.length);
      marked.set(this.marked);
      this.marked = marked;
    }
    this.#next++;
    return table;
  }
}
