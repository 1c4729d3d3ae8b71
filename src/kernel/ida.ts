/** Numbers handed out lowest first and taken back: group ids, address space ids and the like. */

import { KernelError } from './errors.ts';

const INT_MAX = 0x7fff_ffff;
const WORD_BITS = 32;
const FULL_WORD = 0xffff_ffff;

/** An `ida`. Ids are dense from 0, so one bit each is all that is kept. */
export class Ida {
  readonly name: string;
  readonly max: number;
  #words = new Uint32Array(4);
  /** No free id lies in a word before this one. */
  #firstOpenWord = 0;
  #size = 0;

  /** @param max highest id ever given out, INT_MAX as in `ida_alloc` unless told */
  constructor(name: string, max = INT_MAX) {
    this.name = name;
    this.max = max;
  }

  /** How many ids are out. */
  get size(): number {
    return this.#size;
  }

  /**
   * The lowest id that is free (`ida_alloc`, `ida_alloc_max`).
   * @throws KernelError ENOSPC when every id up to `max` is out
   */
  alloc(): number {
    let index = this.#firstOpenWord;
    while (this.#words[index] === FULL_WORD) index++;
    this.#firstOpenWord = index;
    if (index >= this.#words.length) this.#grow();

    const word = this.#words[index]!;
    const id = index * WORD_BITS + lowestClearBit(word);
    if (id > this.max) {
      throw new KernelError('ENOSPC', this.name, `all ids up to ${this.max} are in use`);
    }
    this.#words[index] = word | bitOf(id);
    this.#size++;
    return id;
  }

  /**
   * Take an id back (`ida_free`).
   * @throws KernelError EINVAL when it is not out; the kernel warns and carries on
   */
  free(id: number): void {
    if (!this.has(id)) throw new KernelError('EINVAL', this.name, `id ${id} is freed but was not allocated`);
    const index = Math.floor(id / WORD_BITS);
    this.#words[index]! &= ~bitOf(id);
    this.#firstOpenWord = Math.min(this.#firstOpenWord, index);
    this.#size--;
  }

  /** Whether an id is out (`ida_exists`). */
  has(id: number): boolean {
    if (!Number.isSafeInteger(id) || id < 0) return false;
    return ((this.#words[Math.floor(id / WORD_BITS)] ?? 0) & bitOf(id)) !== 0;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#words.length * 2);
    larger.set(this.#words);
    this.#words = larger;
  }
}

function bitOf(id: number): number {
  return 1 << (id % WORD_BITS);
}

function lowestClearBit(word: number): number {
  const clear = ~word;
  return WORD_BITS - 1 - Math.clz32(clear & -clear);
}
