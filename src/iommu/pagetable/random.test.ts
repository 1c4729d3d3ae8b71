import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelError } from '../../kernel/errors.ts';
import { FrameRuns } from '../frame-runs.ts';
import { answerOf } from '../testing.ts';
import type { IoPageTable, Leaf } from './io-page-table.ts';
import { RadixTable } from './radix-table.ts';
import { FORMATS, type FormatCase, PlainTable } from './testing.ts';

/** Pages that operations begin in: two tables of 512 entries. They may reach as far beyond. */
const WINDOW = 1024;

/** Often at or near what alignment makes special. */
const place = fc
  .tuple(fc.constantFrom(1, 1, 8, 64, 512), fc.nat(WINDOW - 1))
  .map(([grain, n]) => Math.floor(n / grain) * grain);
const length = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(64, 512, 520, 1024));
const range = fc.record({ page: place, count: length });

const step = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('map'), range, place, fc.integer({ min: 1, max: 3 })) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('runs'), range, fc.array(length, { maxLength: 4 }), fc.nat(7)),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant('starve'), range, place, fc.integer({ min: 1, max: 5 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('unmap'), range) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('access'), place, fc.boolean()) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('track'), fc.boolean()) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('dirty'), range, fc.boolean()) },
) as fc.Arbitrary<Step>;

type Range = { page: number; count: number };
type Step =
  | readonly ['map', Range, frame: number, prot: number]
  | readonly ['runs', Range, lengths: number[], gap: number]
  | readonly ['starve', Range, frame: number, at: number]
  | readonly ['unmap', Range]
  | readonly ['access', page: number, write: boolean]
  | readonly ['track', on: boolean]
  | readonly ['dirty', Range, clear: boolean];

/** One page table beside its model; pages are counted from the start of the window. */
class Pair {
  readonly table: IoPageTable;
  readonly model: PlainTable;
  readonly #format: FormatCase;
  readonly #unit: bigint;
  readonly #base: bigint;
  readonly #memory: bigint;
  #mostLevels = 0;

  constructor(format: FormatCase, unit: number, base: bigint) {
    this.#format = format;
    this.table = format.make();
    this.model = new PlainTable(format, unit);
    this.#unit = format.page * BigInt(unit);
    this.#base = base;
    this.#memory = this.#unit * 512n * 512n;
  }

  iova(page: number): bigint {
    return this.#base + BigInt(page) * this.#unit;
  }

  paddr(frame: number): bigint {
    return this.#memory + BigInt(frame) * this.#unit;
  }

  bytes(count: number): bigint {
    return BigInt(count) * this.#unit;
  }

  do(step: Step): void {
    const { table, model } = this;
    switch (step[0]) {
      case 'map': {
        const [, { page, count }, frame, prot] = step;
        const before = table.dump();
        const taken = model.isTaken(page, count);
        const answer = answerOf(() => table.map(this.iova(page), this.paddr(frame), this.bytes(count), prot));
        expect(answer).toBe(taken ? 'EEXIST' : 'ok');
        if (taken) expect(table.dump()).toEqual(before);
        else model.map(page, frame, count, prot);
        break;
      }
      case 'runs':
        this.#mapRuns(step[1].page, step[2], step[3]);
        break;
      case 'starve': {
        const [, { page, count }, frame, at] = step;
        const before = [table.dump(), table.tables];
        const taken = model.isTaken(page, count);
        let left = at;
        table.onAllocate = () => {
          if (--left === 0) throw new KernelError('ENOMEM', 'test', 'made to fail');
        };
        const answer = answerOf(() => table.map(this.iova(page), this.paddr(frame), this.bytes(count), 3));
        table.onAllocate = undefined;
        expect(answer === 'ENOMEM' || answer === (taken ? 'EEXIST' : 'ok')).toBe(true);
        if (answer === 'ok') model.map(page, frame, count, 3);
        else expect([table.dump(), table.tables]).toEqual(before);
        break;
      }
      case 'unmap': {
        const [, { page, count }] = step;
        expect(table.unmap(this.iova(page), this.bytes(count))).toBe(this.bytes(model.unmap(page, count)));
        break;
      }
      case 'access': {
        const [, page, write] = step;
        const answer = table.access(this.iova(page) + 5n, write);
        const expected = model.access(page, write);
        if (typeof expected === 'string') expect(answer).toBe(expected);
        else {
          const last = this.iova(expected.start) + this.bytes(expected.count) - 1n;
          expect(answer).toEqual({ paddr: this.paddr(expected.frame) + 5n, last });
        }
        break;
      }
      case 'track':
        table.setDirtyTracking(step[1]);
        model.tracking = step[1];
        break;
      case 'dirty': {
        const [, { page, count }, clear] = step;
        const pages: number[] = [];
        table.readAndClearDirty(this.iova(page), this.iova(page + count) - 1n, clear, (iova, size) => {
          const from = Number((iova - this.#base) / this.#unit);
          for (let i = 0; i < Number(size / this.#unit); i++) pages.push(from + i);
        });
        expect(pages).toEqual(model.readDirty(page, page + count - 1, clear));
      }
    }
    if (model.cells.size === 0) expect(table.tables).toBe(0);
  }

  /** Everything there is to ask agrees. */
  check(): void {
    const { table, model } = this;
    const unmapped: number[] = [];
    const wrong: number[] = [];
    for (let page = 0; page < 2 * WINDOW; page++) {
      const cell = model.cells.get(page);
      if (cell === undefined) unmapped.push(page);
      const expected = cell && this.paddr(cell.frame) + this.#unit - 1n;
      if (table.translate(this.iova(page) + this.#unit - 1n) !== expected) wrong.push(page);
    }
    expect(wrong).toEqual([]);
    const holes = table.holes(this.iova(0), this.iova(2 * WINDOW) - 1n);
    expect(holes.flatMap(({ start, last }) => this.#pages(start, last))).toEqual(unmapped);
    this.#checkLeaves();
    if (table instanceof RadixTable) expect(table.tables).toBe(this.#tablesExpected(table.levels));
  }

  #checkLeaves(): void {
    const { model } = this;
    const seen = new Set<number>();
    const wrong: Leaf[] = [];
    for (const leaf of this.table.leaves(0n, this.table.lastAddress)) {
      const pages = this.#pages(leaf.iova, leaf.iova + leaf.size - 1n);
      const cell = model.cells.get(pages[0]!)!;
      const { hasAccessed, partial } = this.#format;
      const right =
        (partial === 'exact' || (cell.start === pages[0] && cell.count === pages.length)) &&
        leaf.paddr === this.paddr(cell.frame) &&
        leaf.prot === cell.prot &&
        leaf.dirty === pages.some((page) => model.leafIs(page, 'dirty')) &&
        leaf.accessed === (hasAccessed && pages.some((page) => model.leafIs(page, 'accessed')));
      if (!right) wrong.push(leaf);
      for (const page of pages) seen.add(page);
    }
    expect(wrong).toEqual([]);
    expect(seen.size).toBe(model.cells.size);
  }

  /** A table for each 512 entries that something below is mapped by. */
  #tablesExpected(levels: number): number {
    expect(levels).toBeGreaterThanOrEqual(this.#mostLevels);
    this.#mostLevels = levels;
    const tables = new Set<string>();
    const { page } = this.#format;
    for (const [at, { start, count }] of this.model.cells) {
      if (at !== start) continue;
      const first = this.iova(start) / page;
      let level = 0;
      while (512n ** BigInt(level + 1) <= this.bytes(count) / page) level++;
      if (this.#format.partial === 'split') level = 0;
      for (; level < levels; level++) {
        // A mock leaf is entries of the bottom level, and may be more than one table of them.
        const step = 512n ** BigInt(level + 1);
        const last = first + this.bytes(count) / page - 1n;
        for (let n = first / step; n <= last / step; n++) tables.add(`${level}:${n}`);
      }
    }
    return tables.size;
  }

  #mapRuns(page: number, lengths: number[], gap: number): void {
    const count = lengths.reduce((sum, n) => sum + n, 0);
    if (count === 0 || page + count > 2 * WINDOW) return;
    const runs = new FrameRuns();
    const frames = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, n) => sum + n + gap, gap));
    const perUnit = Number(this.#unit) / 4096;
    if (perUnit < 1) return;
    for (const [i, n] of lengths.entries()) {
      runs.push(Number(this.paddr(frames[i]!) / 4096n), n * perUnit);
    }
    const before = this.table.dump();
    const taken = this.model.isTaken(page, count);
    const map = () => this.table.mapRuns(this.iova(page), runs, 0, this.bytes(count), 3, false);
    expect(answerOf(map)).toBe(taken ? 'EEXIST' : 'ok');
    if (taken) {
      expect(this.table.dump()).toEqual(before);
      return;
    }
    let at = page;
    for (const { first, pages } of joined(frames, lengths)) {
      this.model.map(at, first, pages, 3);
      at += pages;
    }
  }

  #pages(start: bigint, last: bigint): number[] {
    const first = Number((start - this.#base) / this.#unit);
    return Array.from({ length: Number((last - start + 1n) / this.#unit) }, (_, i) => first + i);
  }
}

/** Frames that continue each other are one run. */
function joined(frames: number[], lengths: number[]): { first: number; pages: number }[] {
  const runs: { first: number; pages: number }[] = [];
  for (const [i, first] of frames.entries()) {
    const before = runs.at(-1);
    if (before !== undefined && before.first + before.pages === first) before.pages += lengths[i]!;
    else runs.push({ first, pages: lengths[i]! });
  }
  return runs;
}

describe.each(FORMATS)('$name', (format) => {
  const span = (unit: number) => BigInt(2 * WINDOW * unit) * format.page;
  const top = format.make().lastAddress + 1n;
  const cases = [
    { where: 'from 0 on', unit: 1, base: 0n },
    { where: 'across 2^38', unit: 1, base: (1n << 38n) - span(1) / 2n },
    { where: 'to the top of the range', unit: 1, base: top - span(1) },
    // Operations in units of a leaf of the second level, so that leaves of the third are met.
    { where: 'from 0 on, of large pages', unit: 512, base: 0n },
    { where: 'to the top of the range, of large pages', unit: 512, base: top - span(512) },
  ].filter(({ unit }) => unit === 1 || format.orders.includes(9));

  test.each(cases)('behaves as a map of pages, $where', ({ unit, base }) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const pair = new Pair(format, unit, base);
        pair.do(['track', true]);
        for (const each of steps) pair.do(each);
        pair.check();
        pair.table.free();
        expect([pair.table.tables, [...pair.table.leaves(0n, top - 1n)]]).toEqual([0, []]);
      }),
      { numRuns: 40 },
    );
  });
});
