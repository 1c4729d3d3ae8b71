/** Slices of page sets, in order: what a mapping is made of (`struct iopt_pages_list`). */

import type { PageSet } from './page-set.ts';

/** `length` bytes of a page set, from byte `startByte` on. */
export interface PageSlice {
  readonly pages: PageSet;
  readonly startByte: bigint;
  readonly length: bigint;
}

/** Keeps every page set it names until disposed (`iopt_free_pages_list`). */
export class PageList implements Disposable {
  readonly #slices: PageSlice[] = [];

  get slices(): readonly PageSlice[] {
    return this.#slices;
  }

  /** Adds a slice; the list has a reference of its own. */
  push(slice: PageSlice): void {
    slice.pages.get();
    this.#slices.push(slice);
  }

  [Symbol.dispose](): void {
    for (const { pages } of this.#slices.splice(0)) pages.put();
  }
}
