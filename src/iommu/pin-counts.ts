/**
 * How often each page of a range is pinned.
 *
 * Memory is mostly pinned in large pieces, so blocks of pages that are all pinned equally often share one number; a
 * block gets one number a page the first time part of it is pinned. A range of a terabyte that is pinned as a whole
 * costs 2 MiB, one that is not pinned nothing.
 */

const BLOCK_PAGES = 512;
const NOTHING = new Uint32Array(0);

export class PinCounts {
  readonly #pages: number;
  /** Per block: where its pages' counts are in `#detail`, as number of blocks from 1; 0 where `#whole` counts. */
  #place = NOTHING;
  #whole = NOTHING;
  #detail = NOTHING;
  #detailed = 0;
  #total = 0;

  constructor(pages: number) {
    this.#pages = pages;
  }

  /** Sum of all counts. */
  get total(): number {
    return this.#total;
  }

  at(page: number): number {
    if (this.#total === 0) return 0;
    const block = Math.floor(page / BLOCK_PAGES);
    const place = this.#place[block]!;
    return place === 0 ? this.#whole[block]! : this.#detail[place * BLOCK_PAGES + (page % BLOCK_PAGES)]!;
  }

  /** One more pin on `count` pages from `first` on. */
  add(first: number, count: number): void {
    if (this.#total === 0) {
      const blocks = Math.ceil(this.#pages / BLOCK_PAGES);
      this.#place = new Uint32Array(blocks);
      this.#whole = new Uint32Array(blocks);
    }
    this.#change(first, count, 1);
    this.#total += count;
  }

  /** One less; all of them are pinned. */
  remove(first: number, count: number): void {
    this.#change(first, count, -1);
    this.#total -= count;
    if (this.#total > 0) return;
    this.#place = NOTHING;
    this.#whole = NOTHING;
    this.#detail = NOTHING;
    this.#detailed = 0;
  }

  /** The first page of these that is not pinned. */
  firstUnpinned(first: number, count: number): number | undefined {
    if (count === 1) return this.at(first) === 0 ? first : undefined;
    const end = first + count;
    for (let page = first; page < end; ) {
      const block = Math.floor(page / BLOCK_PAGES);
      const stop = Math.min(end, (block + 1) * BLOCK_PAGES);
      if (this.#total > 0 && this.#place[block] === 0) {
        if (this.#whole[block] === 0) return page;
        page = stop;
      }
      for (; page < stop; page++) if (this.at(page) === 0) return page;
    }
    return undefined;
  }

  #change(first: number, count: number, by: number): void {
    const end = first + count;
    for (let page = first; page < end; ) {
      const block = Math.floor(page / BLOCK_PAGES);
      const start = block * BLOCK_PAGES;
      const stop = Math.min(end, start + BLOCK_PAGES);
      let place = this.#place[block]!;
      if (place === 0 && page === start && stop === Math.min(start + BLOCK_PAGES, this.#pages)) {
        this.#whole[block] = this.#whole[block]! + by;
        page = stop;
        continue;
      }
      if (place === 0) place = this.#addDetail(block);
      for (let at = place * BLOCK_PAGES - start + page; page < stop; page++, at++) {
        this.#detail[at] = this.#detail[at]! + by;
      }
    }
  }

  /** One number a page from now on. */
  #addDetail(block: number): number {
    const place = ++this.#detailed;
    const needed = (place + 1) * BLOCK_PAGES;
    if (needed > this.#detail.length) {
      const detail = new Uint32Array(Math.max(needed, 2 * this.#detail.length));
      detail.set(this.#detail);
      this.#detail = detail;
    }
    this.#detail.fill(this.#whole[block]!, place * BLOCK_PAGES, needed);
    this.#place[block] = place;
    return place;
  }
}
