/**
 * Runs of page frames, in order: what the pages of one piece of memory are (`struct pfn_batch`).
 *
 * Frames that continue each other are one run, so memory that is contiguous costs one entry whatever its size, and
 * a page table is told of it in one piece.
 */

const FIRST_CAPACITY = 4;

export class FrameRuns {
  /** First frame and number of frames, alternating. */
  #data = new Float64Array(2 * FIRST_CAPACITY);
  #length = 0;
  #pages = 0;

  /** Number of runs. */
  get length(): number {
    return this.#length;
  }

  /** Frames of all runs together (`total_pfns`). */
  get pages(): number {
    return this.#pages;
  }

  /** First frame of run `at`; 0 past the last run. */
  first(at: number): number {
    return this.#data[2 * at] ?? 0;
  }

  /** Frames in run `at`; 0 past the last run. */
  count(at: number): number {
    return this.#data[2 * at + 1] ?? 0;
  }

  /** `batch_add_pfn`: joins the run before it where the frames continue. `count` is 1 or more. */
  push(first: number, count: number): void {
    const end = 2 * this.#length;
    const data = this.#data;
    this.#pages += count;
    if (end > 0 && data[end - 2]! + data[end - 1]! === first) {
      data[end - 1] = data[end - 1]! + count;
      return;
    }
    if (end === data.length) this.#grow(end + 2);
    this.#data[end] = first;
    this.#data[end + 1] = count;
    this.#length++;
  }

  /** All runs of `other`, behind these. */
  append(other: FrameRuns): void {
    if (other.#length === 0) return;
    this.push(other.first(0), other.count(0));
    if (other.#length === 1) return;
    const rest = other.#data.subarray(2, 2 * other.#length);
    const end = 2 * this.#length;
    if (end + rest.length > this.#data.length) this.#grow(end + rest.length);
    this.#data.set(rest, end);
    this.#length += other.#length - 1;
    this.#pages += other.#pages - other.count(0);
  }

  /** Every frame by itself, in order; for what is short. */
  *frames(): Generator<number> {
    for (let at = 0; at < this.#length; at++) {
      const first = this.first(at);
      for (let n = 0; n < this.count(at); n++) yield first + n;
    }
  }

  #grow(needed: number): void {
    const data = new Float64Array(Math.max(needed, 2 * this.#data.length));
    data.set(this.#data);
    this.#data = data;
  }
}
