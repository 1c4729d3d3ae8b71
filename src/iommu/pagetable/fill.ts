/** Writing leaves. */

import type { FrameRuns } from '../frame-runs.ts';
import { POWER } from './addresses.ts';
import { ENTRIES, LEVEL_BITS, spanOf } from './entry-format.ts';
import type { LeafSizes } from './leaf-sizes.ts';
import type { RadixTree } from './radix-tree.ts';
import { CHUNK_MASK, CHUNK_SHIFT, TABLE_SHIFT } from './table-pool.ts';

/** One `map` under way: how far it has come, and what every entry of it has besides its address and size. */
export interface Filling {
  /** Pages before this one, from where the mapping began, are mapped. */
  page: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Maps `count` pages from `filling.page` on.
 *
 * @throws KernelError EEXIST, or `onAllocate`'s refusal; `filling.page` then tells what is to be undone
 */
export function fill(
  tree: RadixTree,
  filling: Filling,
  frame: number,
  count: number,
  sizes: LeafSizes,
): void {
  let from = frame;
  let left = count;
  while (left > 0) {
    const size = left === 1 ? 0 : sizes.pick(filling.page, from, left);
    const run = left === 1 ? 1 : sizes.run(size, filling.page, from, left);
    fillRun(tree, filling, from, run, sizes.order(size));
    from += run;
    left -= run;
  }
}

/**
 * Maps runs of frames, from run `from` on, that are too short for anything but the smallest leaves, as far as the bottom
 * table at `filling.page` has room and there is nothing to refuse. This is what scattered memory costs.
 *
 * @param left pages there are to map
 * @param perFrame pages in a frame of `runs`
 * @param frames how many pages of memory entries can name
 * @returns runs that were mapped, maybe none
 * @throws KernelError EEXIST a larger leaf is in the way; `onAllocate`'s refusal
 */
export function fillShortRuns(
  tree: RadixTree,
  filling: Filling,
  runs: FrameRuns,
  from: number,
  left: number,
  perFrame: number,
  frames: number,
  sizes: LeafSizes,
): number {
  const { pool, format } = tree;
  const index = tree.index(filling.page, 0);
  const room = Math.min(ENTRIES - index, left);
  // More than this is not a short run, or goes on in the next table.
  const longest = Math.min(room, sizes.second - 1);
  const first = runs.count(from) * perFrame;
  if (first > longest || runs.first(from) * perFrame + first > frames) return 0;
  if (filling.page >= tree.capacity) tree.grow(filling.page, 0);
  const table = tree.tableFor(filling.page, 0);
  const chunk = pool.chunks[(table << TABLE_SHIFT) >>> CHUNK_SHIFT]!;
  const start = ((table << TABLE_SHIFT) & CHUNK_MASK) + 2 * index;
  const free = pool.used[table] === 0 ? room : firstUsed(chunk, start, room);
  const { framePosition } = format;
  const { low, high } = filling;
  const carry = POWER[32 - framePosition]!;
  const end = start + 2 * free;
  let word = start;
  let at = from;
  for (; at < runs.length && word < end; at++) {
    // Integers here, and no call for a single page: this loop is what scattered memory costs.
    const count = runs.count(at) * perFrame;
    const frame = runs.first(at) * perFrame;
    if (count > longest || frame + count > frames) break;
    const length = count | 0;
    if (word + 2 * length > end) break;
    if (length === 1) {
      const upper = Math.floor(frame / carry);
      chunk[word] = ((frame - upper * carry) << framePosition) | low;
      chunk[word + 1] = high | upper;
    } else {
      writeRun(chunk, word, length, frame, 1, low, high, framePosition);
    }
    word += 2 * length;
  }
  const mapped = (word - start) >>> 1;
  pool.used[table] = pool.used[table]! + mapped;
  filling.page += mapped;
  return at - from;
}

/** Entries before the first that is not empty, `most` if all are. */
function firstUsed(chunk: Uint32Array, word: number, most: number): number {
  let entries = 0;
  while (entries < most && (chunk[word + 2 * entries]! | chunk[word + 2 * entries + 1]!) === 0) entries++;
  return entries;
}

/** Leaves of one size. */
function fillRun(tree: RadixTree, filling: Filling, frame: number, count: number, order: number): void {
  const { pool, format } = tree;
  const level = format.ownFrames ? 0 : (order / LEVEL_BITS) | 0;
  const span = spanOf(level);
  const replicas = 1 << (order - level * LEVEL_BITS);
  const low = filling.low | format.leafLow[order]!;
  const high = filling.high | format.leafHigh[order]!;
  const last = filling.page + count - 1;
  if (last >= tree.capacity || tree.levels <= level) tree.grow(last, level);
  let from = frame;
  let left = count / span;
  while (left > 0) {
    const table = tree.tableFor(filling.page, level);
    const index = tree.index(filling.page, level);
    const entries = Math.min(ENTRIES - index, left);
    const at = (table << TABLE_SHIFT) | (index << 1);
    const chunk = pool.chunks[at >>> CHUNK_SHIFT]!;
    const word = at & CHUNK_MASK;
    if (pool.used[table] !== 0 && firstUsed(chunk, word, entries) < entries) throw tree.taken(filling.page);
    if (replicas === 1 || format.ownFrames) {
      writeRun(chunk, word, entries, from, span, low, high, format.framePosition);
    } else {
      // The ones below a zero tell the size, in the part of the address that is the same for the whole leaf.
      for (let done = 0; done < entries; done += replicas) {
        const field = from + done * span + (POWER[order - 1]! - 1);
        writeReplicas(chunk, word + 2 * done, replicas, field, low, high, format.framePosition);
      }
    }
    pool.used[table] = pool.used[table]! + entries;
    left -= entries;
    from += entries * span;
    filling.page += entries * span;
  }
}

/** Entries whose frames are `step` apart. The upper word changes rarely, so the inner loop only adds to the lower one. */
function writeRun(
  chunk: Uint32Array,
  word: number,
  entries: number,
  frame: number,
  step: number,
  low: number,
  high: number,
  position: number,
): void {
  const carry = POWER[32 - position]!;
  const stride = (step * POWER[position]!) | 0;
  let at = word;
  let from = frame;
  let left = entries;
  while (left > 0) {
    const upper = Math.floor(from / carry);
    const lower = from - upper * carry;
    const run = Math.min(left, Math.ceil((carry - lower) / step));
    const end = at + 2 * run;
    const second = high | upper;
    let first = (lower << position) | low;
    for (; at < end; at += 2) {
      chunk[at] = first;
      chunk[at + 1] = second;
      first = (first + stride) | 0;
    }
    from += run * step;
    left -= run;
  }
}

function writeReplicas(
  chunk: Uint32Array,
  word: number,
  count: number,
  field: number,
  low: number,
  high: number,
  position: number,
): void {
  const carry = POWER[32 - position]!;
  const upper = Math.floor(field / carry);
  const first = ((field - upper * carry) << position) | low;
  for (let at = word; at < word + 2 * count; at += 2) {
    chunk[at] = first;
    chunk[at + 1] = upper | high;
  }
}
