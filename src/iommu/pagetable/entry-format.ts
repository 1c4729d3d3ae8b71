/**
 * What the 64 bits of an entry mean, as far as formats differ. An entry is two 32-bit words, `low` and `high`; an
 * empty one is all zero. Levels count from 0, the tables whose entries map the smallest pages.
 *
 * Pages and frames are counted in the smallest page of the format, frames being pages of memory. The order of a leaf
 * is the power of two of pages it maps.
 */

import { POWER } from './addresses.ts';

/** Every level decides 9 bits of an address. */
export const LEVEL_BITS = 9;
export const ENTRIES = 1 << LEVEL_BITS;

/** A bit of an entry; `word` is 0 for `low`. */
export interface EntryBit {
  readonly word: 0 | 1;
  readonly mask: number;
}

export interface EntryFormat {
  readonly name: string;
  /** Smallest page: 2^pageShift bytes. */
  readonly pageShift: number;
  /** Levels of a new table; more are added as addresses need them, as far as `inputWidth` goes. */
  readonly firstLevels: number;
  /** Bits of an I/O address, and of a memory address. */
  readonly inputWidth: number;
  readonly outputWidth: number;

  /** Position of the frame number in an entry, and the part of `high` that belongs to it. */
  readonly framePosition: number;
  readonly frameHighMask: number;
  /** By level: bits besides the frame number of an entry that leads to a table. */
  readonly tableLow: readonly number[];
  readonly tableHigh: number;
  /** What of `low` tells an entry that leads to a table (it equals `tableLow` there) from a leaf. */
  readonly tableMask: number;
  /** By order: bits that tell leaves of this size. */
  readonly leafLow: readonly number[];
  readonly leafHigh: readonly number[];
  /**
   * Whether large leaves are entries of the bottom level too, each naming its own frame. Else they are of the level that
   * is nearest; where it takes several entries, all are the same, with the size among the bits of the address.
   */
  readonly ownFrames: boolean;
  /** Order of the leaf that an entry belongs to. */
  leafOrder(low: number, high: number, level: number): number;

  readonly read: EntryBit;
  readonly write: EntryBit;
  readonly dirty: EntryBit;
  readonly accessed?: EntryBit;
  /** Whether an entry needs `read` or `write` to count as present. */
  readonly needsProt: boolean;
  /** Names of bits for people, in the order they are shown. */
  readonly names: readonly (EntryBit & { readonly name: string })[];

  /**
   * What unmapping does to a leaf that the range covers only in part. `whole`: it goes whole, and counts whole.
   * `from-start`: so, but a range that starts inside it unmaps nothing. `split`: the rest stays as small pages.
   */
  readonly partial: 'whole' | 'from-start' | 'split';
}

/** `[0]` for order 0 and so on; orders not told have no bits. */
export function byOrder(bits: (order: number) => number): number[] {
  return Array.from({ length: 64 }, (_, order) => bits(order));
}

/** Frame number in an entry, size bits of a leaf included. */
export function frameField(format: EntryFormat, low: number, high: number): number {
  return (low >>> format.framePosition) + (high & format.frameHighMask) * POWER[32 - format.framePosition]!;
}

/** Pages that an entry at this level decides about. */
export function spanOf(level: number): number {
  return POWER[LEVEL_BITS * level]!;
}
