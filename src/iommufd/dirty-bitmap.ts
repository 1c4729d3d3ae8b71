/**
 * A bitmap of dirty pages in user memory (`struct iova_bitmap`). Bit n stands for `iova + n * pageSize`; bits that are
 * set already stay, so that several page tables, or several rounds, can be collected in one bitmap.
 */

import { KernelError } from '../kernel/errors.ts';
import { PAGE_SIZE } from './limits.ts';
import type { UserMemory } from './user-memory.ts';

const PAGE_MASK = BigInt(PAGE_SIZE - 1);

export interface DirtyBitmapInit {
  memory: UserMemory;
  /** Address of bit 0; need not be aligned. */
  data: bigint;
  /** I/O address that bit 0 stands for, and how many bytes of addresses the bitmap covers. */
  iova: bigint;
  length: bigint;
  /** Bytes of addresses per bit; of a number that is no power of two its lowest bit counts. */
  pageSize: bigint;
}

export class DirtyBitmap {
  readonly iova: bigint;
  readonly #last: bigint;
  readonly #memory: UserMemory;
  readonly #data: bigint;
  readonly #shift: bigint;
  /** The page of the bitmap that is being filled, and the part of it that belongs to the bitmap. */
  readonly #bytes = new Uint8Array(PAGE_SIZE);
  #page: bigint | undefined;
  #from = 0;
  #to = 0;

  /** `iova_bitmap_alloc`. */
  constructor(init: DirtyBitmapInit) {
    this.iova = init.iova;
    this.#last = init.iova + init.length - 1n;
    this.#memory = init.memory;
    this.#data = init.data;
    this.#shift = BigInt((init.pageSize & -init.pageSize).toString(2).length - 1);
  }

  /**
   * `iova_bitmap_set`: addresses `iova … iova+length-1` are dirty. What the bitmap does not cover is left out, and so
   * is what follows a page of it that cannot be written: the kernel reports neither. Where a large leaf reaches past
   * the range, 6.12 sets bits past the end of the bitmap, up to the end of its page; that is not followed.
   */
  set(iova: bigint, length: bigint): void {
    const first = iova > this.iova ? iova : this.iova;
    const end = iova + length - 1n;
    const last = end < this.#last ? end : this.#last;
    if (first > last) return;
    const lastBit = (last - this.iova) >> this.#shift;
    for (let bit = (first - this.iova) >> this.#shift; bit <= lastBit; ) {
      const address = this.#data + (bit >> 3n);
      if (!this.#turnTo(address & ~PAGE_MASK)) return;
      const at = Number(address & PAGE_MASK) * 8 + Number(bit & 7n);
      const left = PAGE_SIZE * 8 - at;
      const rest = lastBit - bit + 1n;
      const count = rest < BigInt(left) ? Number(rest) : left;
      setBits(this.#bytes, at, count);
      bit += BigInt(count);
    }
  }

  /** `iova_bitmap_free`: whatever is set is in user memory afterwards. */
  free(): void {
    this.#store();
    this.#page = undefined;
  }

  /** `iova_bitmap_advance_to`. False: the page is not there. */
  #turnTo(page: bigint): boolean {
    if (this.#page === page) return true;
    this.free();
    const end = this.#data + ((this.#last - this.iova) >> (this.#shift + 3n));
    this.#from = page < this.#data ? Number(this.#data - page) : 0;
    this.#to = page + PAGE_MASK < end ? PAGE_SIZE : Number(end - page) + 1;
    try {
      this.#memory.read(page + BigInt(this.#from), this.#part);
      // Whether it can be written has to be known before bits are taken from the page table.
      this.#memory.write(page + BigInt(this.#from), this.#part);
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
    this.#page = page;
    return true;
  }

  #store(): void {
    if (this.#page !== undefined) this.#memory.write(this.#page + BigInt(this.#from), this.#part);
  }

  get #part(): Uint8Array {
    return this.#bytes.subarray(this.#from, this.#to);
  }
}

/** `bitmap_set`: `count` bits from bit `at` on, lowest first in each byte. */
function setBits(bytes: Uint8Array, at: number, count: number): void {
  const end = at + count;
  const first = at >> 3;
  const last = (end - 1) >> 3;
  const head = (0xff << (at & 7)) & 0xff;
  const tail = 0xff >> (7 - ((end - 1) & 7));
  if (first === last) {
    bytes[first]! |= head & tail;
    return;
  }
  bytes[first]! |= head;
  bytes.fill(0xff, first + 1, last);
  bytes[last]! |= tail;
}
