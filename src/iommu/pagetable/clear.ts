/** Removing leaves. */

import { POWER } from './addresses.ts';
import { ENTRIES, LEVEL_BITS, spanOf } from './entry-format.ts';
import type { RadixTree } from './radix-tree.ts';
import { CHUNK_MASK, CHUNK_SHIFT, TABLE_SHIFT } from './table-pool.ts';

/**
 * Unmaps up to `count` pages from `page` on, up to the first hole. Tables that become empty are given back.
 *
 * @returns pages unmapped, more than `count` where the last leaf was larger
 */
export function clear(tree: RadixTree, page: number, count: number): number {
  let at = page;
  let done = 0;
  while (done < count) {
    const entry = tree.find(at);
    if (entry < 0) break;
    const cleared = clearInTable(tree, entry, tree.level, at, count - done);
    if (cleared.pages === 0) break;
    if (tree.pool.used[entry >>> TABLE_SHIFT] === 0) tree.prune(at);
    at = cleared.next;
    done += cleared.pages;
  }
  return done;
}

/** Leaves from `entry` to the end of its table, the first hole, the first deeper table, or until `count` is reached. */
function clearInTable(
  tree: RadixTree,
  entry: number,
  level: number,
  page: number,
  count: number,
): { pages: number; next: number } {
  const { pool, format } = tree;
  const table = entry >>> TABLE_SHIFT;
  const chunk = pool.chunks[entry >>> CHUNK_SHIFT]!;
  const start = (table << TABLE_SHIFT) & CHUNK_MASK;
  const span = spanOf(level);
  let index = ((entry & CHUNK_MASK) - start) >>> 1;
  let next = page;
  let done = 0;
  let cleared = 0;
  if (level === 0 && index === 0 && count >= ENTRIES && pool.used[table] === ENTRIES) {
    // All of it goes, whatever sizes the leaves have; it is wiped before it is used again.
    pool.used[table] = 0;
    return { pages: ENTRIES, next: page + ENTRIES };
  }
  while (index < ENTRIES && done < count) {
    const low = chunk[start + 2 * index]!;
    const high = chunk[start + 2 * index + 1]!;
    if ((low | high) === 0 || tree.isTable(low, level)) break;
    const order = format.leafOrder(low, high, level);
    const pages = POWER[order]!;
    const replicas = 1 << (order - level * LEVEL_BITS);
    const first = index & -replicas;
    const begins = next - (next % pages);
    if (format.partial === 'split' && (begins !== next || pages > count - done)) {
      const gone = Math.min(first + replicas - index, (count - done) / span);
      makeSmall(tree, chunk, start + 2 * first, replicas);
      chunk.fill(0, start + 2 * index, start + 2 * (index + gone));
      cleared += gone;
      index += gone;
      done += gone * span;
      next += gone * span;
      continue;
    }
    if (format.partial === 'from-start' && begins !== next) break;
    if (replicas === 1) {
      chunk[start + 2 * index] = 0;
      chunk[start + 2 * index + 1] = 0;
    } else {
      chunk.fill(0, start + 2 * first, start + 2 * (first + replicas));
    }
    cleared += replicas;
    index = first + replicas;
    done += pages;
    next = begins + pages;
  }
  pool.used[table] = pool.used[table]! - cleared;
  return { pages: done, next };
}

/** The entries of a leaf that name their own frames become leaves themselves, keeping their dirty bits. */
function makeSmall({ format }: RadixTree, chunk: Uint32Array, word: number, entries: number): void {
  const order = Math.log2(entries);
  const low = ~(format.leafLow[order]! & ~format.leafLow[0]!);
  const high = ~(format.leafHigh[order]! & ~format.leafHigh[0]!);
  for (let at = word; at < word + 2 * entries; at += 2) {
    chunk[at] = chunk[at]! & low;
    chunk[at + 1] = chunk[at + 1]! & high;
  }
}
