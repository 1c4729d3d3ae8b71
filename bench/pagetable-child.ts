/** One page-table format measured in a process of its own; prints what `Measured` says. */

import { FrameRuns } from '../src/iommu/frame-runs.ts';
import { AmdV1 } from '../src/iommu/pagetable/amd-v1.ts';
import { MockTable2K } from '../src/iommu/pagetable/mock-table-2k.ts';
import type { RadixTable } from '../src/iommu/pagetable/radix-table.ts';
import { VtdSecondLevel } from '../src/iommu/pagetable/vtd-second-level.ts';
import type { Measured } from './pagetable.ts';
import { median } from './stats.ts';

const RW = 3;
const GiB = 1n << 30n;
const MEMORY = 64n * GiB;
/** Rounds that run code V8 has not compiled for good yet. */
const WARM_UP = 12;
const FORMATS: Record<string, { make(): RadixTable; page: bigint }> = {
  vtd: { make: () => new VtdSecondLevel(), page: 4096n },
  amd: { make: () => new AmdV1(), page: 4096n },
  mock: { make: () => new MockTable2K({ huge: true }), page: 2048n },
};

const [, , name = 'vtd', pagesText = '1000000', roundsText = '3'] = process.argv;
const { make, page } = FORMATS[name]!;
const pages = Number(pagesText);
const rounds = Number(roundsText);
const bytes = BigInt(pages) * page;
/** What must not be optimised away. */
let sink = 0;

/** Median nanoseconds that `work` takes for each of `count`. What `prepare` does is not counted. */
function each<T>(count: number, prepare: () => T, work: (prepared: T) => void, warmUp = WARM_UP): number {
  const times: number[] = [];
  for (let round = 0; round < rounds + warmUp; round++) {
    const prepared = prepare();
    const start = performance.now();
    work(prepared);
    if (round >= warmUp) times.push(performance.now() - start);
  }
  return (median(times) * 1e6) / count;
}

/** Memory is one page off, so that nothing larger than the smallest page fits. */
function smallLeaves(size: bigint): RadixTable {
  const table = make();
  table.map(0n, MEMORY + page, size, RW);
  return table;
}

/** Frames of which none follows the one before. */
function scatteredRuns(): FrameRuns {
  const runs = new FrameRuns();
  for (let n = 0; n < Number(bytes / 4096n); n++) runs.push(1 + 2 * n, 1);
  return runs;
}

function shuffled(count: number): Float64Array {
  const order = Float64Array.from({ length: count }, (_, n) => n);
  let state = 1;
  for (let n = count - 1; n > 0; n--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (n + 1);
    const moved = order[n]!;
    order[n] = order[other]!;
    order[other] = moved;
  }
  return order;
}

/** Memory that is there already: the page table's is new, which costs it time. */
const words = new Uint32Array(2 * pages);

function writeWords(): void {
  for (let at = 0, low = 3; at < words.length; at += 2) {
    words[at] = low;
    words[at + 1] = 16;
    low = (low + 4096) | 0;
  }
}

/** The same for frames of which each is read from the runs. */
function writeScattered(): void {
  const perFrame = Number(4096n / page);
  for (let n = 0, at = 0; n < runs.length; n++) {
    const frame = runs.first(n);
    const end = at + 2 * runs.count(n) * perFrame;
    for (; at < end; at += 2) {
      words[at] = (frame << 12) | 3;
      words[at + 1] = 16;
    }
  }
}

const nothing = () => undefined;
const inOrder = Float64Array.from({ length: pages }, (_, n) => n);
const atRandom = shuffled(pages);
const addresses = Array.from({ length: pages }, (_, n) => BigInt(n) * page);
const populated = smallLeaves(bytes);
const runs = scatteredRuns();

function readWords(order: Float64Array): void {
  for (let n = 0; n < order.length; n++) sink += words[2 * order[n]!]!;
}

function walkPages(order: Float64Array): void {
  for (let n = 0; n < order.length; n++) sink += populated.frameOf(order[n]!);
}

const measured: Measured = {
  tableBytes: (populated.tables * 4096) / pages,
  limit: {
    write: each(pages, nothing, writeWords),
    writeScattered: each(pages, nothing, writeScattered),
    readInOrder: each(pages, nothing, () => readWords(inOrder)),
    readAtRandom: each(pages, nothing, () => readWords(atRandom)),
  },
  populate: {
    once: each(pages, make, (table) => table.map(0n, MEMORY + page, bytes, RW)),
    scattered: each(pages, make, (table) => table.mapRuns(0n, runs, 0, bytes, RW, false)),
    single: each(pages, make, (table) => {
      for (const iova of addresses) table.map(iova, MEMORY, page, RW);
    }),
  },
  unmap: each(
    pages,
    () => smallLeaves(bytes),
    (table) => {
      sink += Number(table.unmap(0n, bytes));
    },
  ),
  walk: {
    inOrder: each(pages, nothing, () => walkPages(inOrder)),
    atRandom: each(pages, nothing, () => walkPages(atRandom)),
    translate: each(pages, nothing, () => {
      for (const iova of addresses) sink += populated.translate(iova) === undefined ? 1 : 0;
    }),
  },
  huge: hugeLeaves(),
  dirty: dirtyRead(),
};
process.stdout.write(JSON.stringify(measured));
if (Number.isNaN(sink)) throw new Error('nothing was measured');

/** 512 GiB in leaves of one size. */
function hugeLeaves(): Measured['huge'] {
  const size = 512n * GiB;
  const sizes = name === 'mock' ? [1n << 20n] : [1n << 21n, 1n << 30n];
  return sizes.map((leaf) => {
    const count = Number(size / leaf);
    // One leaf off: the next larger size does not fit.
    const ns = each(count, make, (table) => table.map(0n, 1024n * GiB + leaf, size, RW));
    return { leaf: Number(leaf), ns };
  });
}

/** 64 GiB in the smallest pages; a reader that counts the pages reported. */
function dirtyRead(): Measured['dirty'] {
  const size = 64n * GiB;
  const table = smallLeaves(size);
  table.setDirtyTracking(true);
  const read = (clear: boolean) =>
    table.readAndClearDirty(0n, size - 1n, clear, (_iova, length) => {
      sink += Number(length);
    });
  const write = (step: bigint) => {
    for (let iova = 0n; iova < size; iova += step) table.access(iova, true);
  };
  const milliseconds = (prepare: () => void) => each(1, prepare, () => read(true), 1) / 1e6;
  return {
    pages: Number(size / page),
    cleanMs: milliseconds(nothing),
    fewMs: milliseconds(() => write(GiB)),
    someMs: milliseconds(() => write(page * 1000n)),
    allMs: milliseconds(() => write(page)),
  };
}
