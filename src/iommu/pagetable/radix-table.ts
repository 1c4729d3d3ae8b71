/** A page table of real tables: addresses and refusals on top of the tree. */

import { KernelError } from '../../kernel/errors.ts';
import { Prot } from '../domain.ts';
import type { FrameRuns } from '../frame-runs.ts';
import { addressOf, hex, isAligned, POWER, pageOf } from './addresses.ts';
import { clear } from './clear.ts';
import { dumpTables, walkTables } from './describe.ts';
import { readAndClearDirty, setAccessed, setDirty } from './dirty.ts';
import type { EntryFormat } from './entry-format.ts';
import { type Filling, fill, fillShortRuns } from './fill.ts';
import type { IoPageTable, Leaf, PageAccess, WalkStep } from './io-page-table.ts';
import { endOfMapped, frameAt, leafAt, leafPages } from './leaf.ts';
import { LeafSizes } from './leaf-sizes.ts';
import { RadixTree } from './radix-tree.ts';
import { CHUNK_MASK, CHUNK_SHIFT, TablePool } from './table-pool.ts';

/** Of a page frame, `PAGE_SHIFT`. */
const FRAME_SHIFT = 12;
/** Sizes no larger than a page frame. */
const SMALL_SIZES = 0x1fffn;

export interface RadixTableOptions {
  /** Where tables come from; a pool of its own unless told. */
  pool?: TablePool;
  onAllocate?: () => void;
}

export class RadixTable implements IoPageTable {
  readonly pageSizes: bigint;
  readonly #format: EntryFormat;
  readonly #tree: RadixTree;
  readonly #sizes: LeafSizes;
  /** None larger than a page frame. */
  readonly #smallSizes: LeafSizes;
  readonly #pages: number;
  readonly #frames: number;
  #dirtyTracking = false;

  constructor(format: EntryFormat, pageSizes: bigint, options: RadixTableOptions) {
    this.#format = format;
    this.pageSizes = pageSizes;
    this.#tree = new RadixTree(format, options.pool ?? new TablePool());
    this.#tree.onAllocate = options.onAllocate;
    this.#sizes = LeafSizes.of(pageSizes, format.pageShift);
    this.#smallSizes = LeafSizes.of(pageSizes & SMALL_SIZES, format.pageShift);
    this.#pages = POWER[format.inputWidth - format.pageShift]!;
    this.#frames = POWER[format.outputWidth - format.pageShift]!;
  }

  get format(): string {
    const levels = this.#tree.levels;
    return `${this.#format.name}, ${levels} ${levels === 1 ? 'level' : 'levels'}`;
  }

  /** Levels of tables there are now. */
  get levels(): number {
    return this.#tree.levels;
  }

  get lastAddress(): bigint {
    return (1n << BigInt(this.#format.inputWidth)) - 1n;
  }

  get tables(): number {
    return this.#tree.tables;
  }

  get onAllocate(): (() => void) | undefined {
    return this.#tree.onAllocate;
  }

  set onAllocate(hook: (() => void) | undefined) {
    this.#tree.onAllocate = hook;
  }

  map(iova: bigint, paddr: bigint, size: bigint, prot: number): void {
    const { pageShift } = this.#format;
    if (!isAligned(iova, pageShift) || !isAligned(paddr, pageShift) || !isAligned(size, pageShift)) {
      throw this.#misaligned(iova);
    }
    const page = pageOf(iova, pageShift);
    const frame = pageOf(paddr, pageShift);
    const count = pageOf(size, pageShift);
    this.#assertFits(page, count);
    this.#assertFrames(frame, count);
    const filling = this.#begin(page, prot);
    const { levels } = this.#tree;
    try {
      fill(this.#tree, filling, frame, count, this.#sizes);
    } catch (error) {
      this.#undo(page, filling, levels);
      throw error;
    }
  }

  mapRuns(iova: bigint, runs: FrameRuns, skip: number, size: bigint, prot: number, small: boolean): void {
    const { pageShift } = this.#format;
    const perFrame = POWER[FRAME_SHIFT - pageShift]!;
    const pageBytes = POWER[pageShift]!;
    if (!isAligned(iova, pageShift) || !isAligned(size, pageShift) || skip % pageBytes !== 0) {
      throw this.#misaligned(iova);
    }
    const page = pageOf(iova, pageShift);
    let left = pageOf(size, pageShift);
    this.#assertFits(page, left);
    const filling = this.#begin(page, prot);
    const sizes = small ? this.#smallSizes : this.#sizes;
    const { levels } = this.#tree;
    let ahead = skip / pageBytes;
    try {
      for (let at = 0; at < runs.length && left > 0; at++) {
        if (ahead === 0) {
          const before = filling.page;
          at += fillShortRuns(this.#tree, filling, runs, at, left, perFrame, this.#frames, sizes);
          left -= filling.page - before;
          if (at === runs.length || left === 0) break;
        }
        const frame = runs.first(at) * perFrame + ahead;
        const count = Math.min(runs.count(at) * perFrame - ahead, left);
        this.#assertFrames(frame, count);
        fill(this.#tree, filling, frame, count, sizes);
        left -= count;
        ahead = 0;
      }
    } catch (error) {
      this.#undo(page, filling, levels);
      throw error;
    }
  }

  unmap(iova: bigint, size: bigint): bigint {
    const { pageShift } = this.#format;
    const count = pageOf(size, pageShift);
    return addressOf(clear(this.#tree, pageOf(iova, pageShift), count), pageShift);
  }

  translate(iova: bigint): bigint | undefined {
    const { pageShift } = this.#format;
    const page = pageOf(iova, pageShift);
    const frame = this.frameOf(page);
    if (frame < 0) return undefined;
    return addressOf(frame, pageShift) + BigInt.asUintN(pageShift, iova);
  }

  /** Frame that a page leads to, both in units of the smallest page; -1 where nothing is mapped. */
  frameOf(page: number): number {
    const at = this.#tree.find(page);
    return at < 0 ? -1 : frameAt(this.#tree, at, page);
  }

  access(iova: bigint, write: boolean): PageAccess {
    const { pageShift, read, write: writable } = this.#format;
    const page = pageOf(iova, pageShift);
    const tree = this.#tree;
    const at = tree.find(page);
    if (at < 0) return 'not-mapped';
    const chunk = tree.pool.chunks[at >>> CHUNK_SHIFT]!;
    const word = at & CHUNK_MASK;
    const needed = write ? writable : read;
    if ((chunk[word + needed.word]! & needed.mask) === 0) return write ? 'not-writable' : 'not-readable';
    const pages = leafPages(tree, at);
    const paddr = addressOf(frameAt(tree, at, page), pageShift) + BigInt.asUintN(pageShift, iova);
    const last = addressOf(page - (page % pages) + pages, pageShift) - 1n;
    if (this.#dirtyTracking) {
      setAccessed(tree, page);
      if (write) setDirty(tree, at, page);
    }
    return { paddr, last };
  }

  walk(iova: bigint): WalkStep[] {
    return walkTables(this.#tree, pageOf(iova, this.#format.pageShift));
  }

  *leaves(start: bigint, last: bigint): Generator<Leaf> {
    const { pageShift } = this.#format;
    const end = pageOf(last, pageShift);
    const tree = this.#tree;
    let page = tree.seek(pageOf(start, pageShift));
    while (page >= 0 && page <= end) {
      const leaf = leafAt(tree, page);
      yield leaf;
      page = tree.seek(pageOf(leaf.iova, pageShift) + pageOf(leaf.size, pageShift));
    }
  }

  holes(start: bigint, last: bigint): { start: bigint; last: bigint }[] {
    const { pageShift } = this.#format;
    const tree = this.#tree;
    const holes: { start: bigint; last: bigint }[] = [];
    const end = pageOf(last, pageShift) + 1;
    let from = start;
    let page = pageOf(start, pageShift);
    while (page < end) {
      const mapped = tree.seek(page);
      if (mapped < 0 || mapped >= end) {
        holes.push({ start: from, last });
        break;
      }
      if (mapped > page) holes.push({ start: from, last: addressOf(mapped, pageShift) - 1n });
      page = endOfMapped(tree, mapped, end);
      from = addressOf(page, pageShift);
    }
    return holes;
  }

  setDirtyTracking(on: boolean): void {
    this.#dirtyTracking = on;
  }

  readAndClearDirty(
    start: bigint,
    last: bigint,
    clearing: boolean,
    report: (iova: bigint, size: bigint) => void,
  ): void {
    const { pageShift } = this.#format;
    const [first, end] = [pageOf(start, pageShift), pageOf(last, pageShift)];
    readAndClearDirty(this.#tree, first, end, clearing, (page, count) => {
      report(addressOf(page, pageShift), addressOf(count, pageShift));
    });
  }

  dump(): string[] {
    return [`${this.format}, tables: ${this.tables}`, ...dumpTables(this.#tree)];
  }

  free(): void {
    const tree = this.#tree;
    if (tree.root === 0) return;
    tree.drop(tree.root, tree.levels - 1);
    tree.root = 0;
  }

  /** Bits that entries made from now on have besides those of `prot`. */
  protected get extraLow(): number {
    return 0;
  }

  #begin(page: number, prot: number): Filling {
    const { read, write, needsProt, leafLow, leafHigh } = this.#format;
    if (needsProt && (prot & (Prot.Read | Prot.Write)) === 0) {
      throw new KernelError('EINVAL', 'a mapping', 'is neither readable nor writable');
    }
    const bits = [leafLow[0]! | this.extraLow, leafHigh[0]!];
    if (prot & Prot.Read) bits[read.word]! |= read.mask;
    if (prot & Prot.Write) bits[write.word]! |= write.mask;
    return { page, low: bits[0]!, high: bits[1]! };
  }

  #undo(page: number, filling: Filling, levels: number): void {
    const tree = this.#tree;
    if (filling.page > page) clear(tree, page, filling.page - page);
    tree.prune(filling.page);
    tree.shrink(levels);
  }

  #assertFits(page: number, count: number): void {
    const { name, inputWidth, pageShift } = this.#format;
    if (page + count <= this.#pages) return;
    throw new KernelError(
      'EFAULT',
      `I/O address ${hex(addressOf(page + count, pageShift) - 1n)}`,
      `is past the ${inputWidth} bits that the ${name} table translates`,
    );
  }

  #assertFrames(frame: number, count: number): void {
    const { name, outputWidth, pageShift } = this.#format;
    if (frame + count <= this.#frames) return;
    throw new KernelError(
      'EINVAL',
      `memory address ${hex(addressOf(frame + count, pageShift) - 1n)}`,
      `is past the ${outputWidth} bits an entry of the ${name} table holds`,
    );
  }

  #misaligned(iova: bigint): KernelError {
    const bytes = POWER[this.#format.pageShift];
    return new KernelError('EINVAL', `the mapping at ${hex(iova)}`, `is not in multiples of ${bytes} bytes`);
  }
}
