/** Which leaf comes next when a range is mapped (`iommu_pgsize`). Pages and frames are in units of the smallest page. */

import { POWER } from './addresses.ts';

export class LeafSizes {
  static readonly #made = new Map<string, LeafSizes>();
  /** Ascending; the first is 0. */
  readonly #orders: readonly number[];

  /** @param pageSizes bit n set: leaves of 2^n bytes, the smallest of them 2^pageShift */
  static of(pageSizes: bigint, pageShift: number): LeafSizes {
    const key = `${pageSizes}/${pageShift}`;
    const sizes = LeafSizes.#made.get(key) ?? new LeafSizes(pageSizes, pageShift);
    LeafSizes.#made.set(key, sizes);
    return sizes;
  }

  /** Pages of the second size: fewer are mapped with the smallest leaves. Infinite where there is no second. */
  readonly second: number;

  private constructor(pageSizes: bigint, pageShift: number) {
    const orders: number[] = [];
    for (let bit = pageShift; bit < 64; bit++) {
      if ((pageSizes >> BigInt(bit)) & 1n) orders.push(bit - pageShift);
    }
    this.#orders = orders;
    this.second = orders.length > 1 ? POWER[orders[1]!]! : Number.POSITIVE_INFINITY;
  }

  /** Position of the largest size that length and alignment of both allow. */
  pick(page: number, frame: number, count: number): number {
    const orders = this.#orders;
    let at = orders.length - 1;
    while (at > 0) {
      const pages = POWER[orders[at]!]!;
      if (pages <= count && page % pages === 0 && frame % pages === 0) break;
      at--;
    }
    return at;
  }

  order(at: number): number {
    return this.#orders[at]!;
  }

  /** Pages to map with size `at` before a larger one fits, or until less than one is left. */
  run(at: number, page: number, frame: number, count: number): number {
    const next = this.#orders[at + 1];
    if (next !== undefined) {
      const larger = POWER[next]!;
      const offset = larger - (page % larger);
      if (page % larger === frame % larger && offset + larger <= count) return offset;
    }
    return count - (count % POWER[this.#orders[at]!]!);
  }
}
