/** Reading the leaf that `RadixTree.find` answered: `at` is its answer, the tree knows the level. */

import { Prot } from '../domain.ts';
import { addressOf, POWER } from './addresses.ts';
import { leafHas } from './dirty.ts';
import { frameField } from './entry-format.ts';
import type { Leaf } from './io-page-table.ts';
import type { RadixTree } from './radix-tree.ts';
import { CHUNK_MASK, CHUNK_SHIFT } from './table-pool.ts';

/** Pages it maps. */
export function leafPages(tree: RadixTree, at: number): number {
  const chunk = tree.pool.chunks[at >>> CHUNK_SHIFT]!;
  const word = at & CHUNK_MASK;
  return POWER[tree.format.leafOrder(chunk[word]!, chunk[word + 1]!, tree.level)]!;
}

/** Frame of `page`. */
export function frameAt(tree: RadixTree, at: number, page: number): number {
  const chunk = tree.pool.chunks[at >>> CHUNK_SHIFT]!;
  const word = at & CHUNK_MASK;
  const low = chunk[word]!;
  const high = chunk[word + 1]!;
  const field = frameField(tree.format, low, high);
  const order = tree.format.leafOrder(low, high, tree.level);
  if (order === 0) return field;
  const pages = POWER[order]!;
  return field - (field % pages) + (page % pages);
}

/** The leaf of a page that is mapped. */
export function leafAt(tree: RadixTree, page: number): Leaf {
  const { pageShift, read, write, accessed, dirty, leafOrder } = tree.format;
  const at = tree.find(page);
  const chunk = tree.pool.chunks[at >>> CHUNK_SHIFT]!;
  const words = [chunk[at & CHUNK_MASK]!, chunk[(at & CHUNK_MASK) + 1]!] as const;
  const order = leafOrder(words[0], words[1], tree.level);
  const pages = POWER[order]!;
  const first = page - (page % pages);
  return {
    iova: addressOf(first, pageShift),
    paddr: addressOf(frameAt(tree, at, first), pageShift),
    size: addressOf(pages, pageShift),
    prot: (words[read.word] & read.mask ? Prot.Read : 0) | (words[write.word] & write.mask ? Prot.Write : 0),
    accessed: accessed !== undefined && leafHas(tree, at, order, accessed),
    dirty: leafHas(tree, at, order, dirty),
  };
}

/** First page after `page` that is not mapped, or `end`. */
export function endOfMapped(tree: RadixTree, page: number, end: number): number {
  let next = page;
  while (next < end) {
    const at = tree.find(next);
    if (at < 0) return next;
    const pages = leafPages(tree, at);
    next += pages - (next % pages);
  }
  return end;
}
