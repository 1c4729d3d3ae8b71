/** The ranges automatic placement keeps to, where a list was given (`iopt_allowed`). */

import { KernelError } from '../kernel/errors.ts';
import { firstEndingAtOrAfter, firstMeeting, type IovaRange, joined, rangeWords } from './iova-range.ts';

export class AllowedIovas {
  readonly #ranges: IovaRange[] = [];
  #spans: readonly IovaRange[] | undefined;

  /** 0: no list was given, everything is allowed. */
  get size(): number {
    return this.#ranges.length;
  }

  /**
   * One entry of `iommufd_ioas_load_iovas`.
   *
   * @throws KernelError EINVAL the range has no second byte (the kernel wants start < last), or meets an earlier one
   */
  add(range: IovaRange): void {
    const { start, last } = range;
    if (start >= last) {
      throw new KernelError(
        'EINVAL',
        `range ${rangeWords(start, last)}`,
        'its last address is not above its start',
      );
    }
    const at = firstEndingAtOrAfter(this.#ranges, start);
    const next = this.#ranges[at];
    if (next !== undefined && next.start <= last) {
      throw new KernelError(
        'EINVAL',
        `range ${rangeWords(start, last)}`,
        `overlaps ${rangeWords(next.start, next.last)} of the same list`,
      );
    }
    this.#ranges.splice(at, 0, { start, last });
    this.#spans = undefined;
  }

  /** Ascending, ranges that touch made one. */
  get spans(): readonly IovaRange[] {
    this.#spans ??= joined(this.#ranges);
    return this.#spans;
  }

  /** `iopt_allowed_iter_first`. */
  meeting(start: bigint, last: bigint): IovaRange | undefined {
    return firstMeeting(this.#ranges, start, last);
  }

  /** The list as given, ascending. */
  [Symbol.iterator](): Iterator<IovaRange> {
    return this.#ranges[Symbol.iterator]();
  }
}
