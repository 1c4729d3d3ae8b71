/** Ranges of I/O addresses, both ends inclusive so that 2^64-1 can be one. */

import { hex64 } from '../iommu/reserved-region.ts';
import { KernelError } from '../kernel/errors.ts';
import { ULONG_MAX } from './limits.ts';

/** `struct iommu_iova_range`. */
export interface IovaRange {
  readonly start: bigint;
  /** Inclusive. */
  readonly last: bigint;
}

/**
 * Last address of `length` bytes from `start` on (`check_add_overflow` of start and length - 1).
 *
 * @throws KernelError EOVERFLOW the range ends past 2^64-1
 */
export function lastOf(label: string, start: bigint, length: bigint): bigint {
  const last = start + length - 1n;
  if (last > ULONG_MAX) {
    throw new KernelError('EOVERFLOW', label, `${length} bytes from ${hex64(start)} on end past 2^64-1`);
  }
  return last;
}

/** As messages have it: `0x… to 0x…`. */
export function rangeWords(start: bigint, last: bigint): string {
  return `${hex64(start)} to ${hex64(last)}`;
}

/** Whether `value` is a multiple of `alignment`, a power of two. */
export function isAligned(value: bigint, alignment: bigint): boolean {
  return (value & (alignment - 1n)) === 0n;
}

/** Index of the first of `ranges` (ascending, none overlapping) that ends at `address` or after it. */
export function firstEndingAtOrAfter(ranges: readonly IovaRange[], address: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.last < address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first of `ranges` (ascending, none overlapping) that shares an address with `start … last`. */
export function firstMeeting<R extends IovaRange>(
  ranges: readonly R[],
  start: bigint,
  last: bigint,
): R | undefined {
  const found = ranges[firstEndingAtOrAfter(ranges, start)];
  return found !== undefined && found.start <= last ? found : undefined;
}

/** `ranges` (ascending by start) with those that overlap or touch made one. */
export function joined(ranges: Iterable<IovaRange>): IovaRange[] {
  const spans: IovaRange[] = [];
  for (const { start, last } of ranges) {
    const before = spans[spans.length - 1];
    if (before === undefined || start > before.last + 1n) spans.push({ start, last });
    else if (last > before.last) spans[spans.length - 1] = { start: before.start, last };
  }
  return spans;
}

/** What `spans` (ascending, none overlapping) leave free of `start … last`. */
export function holesBetween(spans: readonly IovaRange[], start: bigint, last: bigint): IovaRange[] {
  const holes: IovaRange[] = [];
  let from = start;
  for (let at = firstEndingAtOrAfter(spans, start); at < spans.length; at++) {
    const span = spans[at]!;
    if (span.start > last) break;
    if (span.start > from) holes.push({ start: from, last: span.start - 1n });
    from = span.last + 1n;
  }
  if (from <= last) holes.push({ start: from, last });
  return holes;
}
