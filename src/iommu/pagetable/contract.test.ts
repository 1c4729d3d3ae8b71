/** What every format answers alike. */

import { describe, expect, test } from 'vitest';
import { KernelError } from '../../kernel/errors.ts';
import { FrameRuns } from '../frame-runs.ts';
import { answerOf } from '../testing.ts';
import type { IoPageTable } from './io-page-table.ts';
import { FORMATS } from './testing.ts';

const RW = 3;
const MiB = 1n << 20n;
const GiB = 1n << 30n;
/** Larger than any leaf that the tests look at. */
const MEMORY = 1n << 42n;

function dirtyIn(table: IoPageTable, start: bigint, last: bigint, clear: boolean): bigint[][] {
  const found: bigint[][] = [];
  table.readAndClearDirty(start, last, clear, (iova, size) => found.push([iova, size]));
  return found;
}

describe.each(FORMATS)('$name', ({ make, page, orders, partial, needsProt, lastMemory }) => {
  const large = page << BigInt(orders.includes(9) ? 9 : 0);

  test('an empty table has no tables, leads nowhere and is one hole', () => {
    const table = make();
    expect(table.tables).toBe(0);
    expect(table.translate(0n)).toBeUndefined();
    expect(table.access(0n, false)).toBe('not-mapped');
    expect(table.walk(0n)).toEqual([]);
    expect([...table.leaves(0n, table.lastAddress)]).toEqual([]);
    expect(table.holes(5n, 7n)).toEqual([{ start: 5n, last: 7n }]);
    expect(table.unmap(0n, 16n * page)).toBe(0n);
    expect(table.dump()).toHaveLength(1);
    table.free();
    expect(table.tables).toBe(0);
  });

  test('every byte of a page leads to its byte of memory', () => {
    const table = make();
    table.map(4n * page, MEMORY, 2n * page, RW);
    expect(table.translate(4n * page)).toBe(MEMORY);
    expect(table.translate(6n * page - 1n)).toBe(MEMORY + 2n * page - 1n);
    expect(table.translate(6n * page)).toBeUndefined();
    expect(table.translate(4n * page - 1n)).toBeUndefined();
  });

  test('a range is mapped with the largest leaves that alignment and length allow', () => {
    const table = make();
    const start = 3n * large - page;
    table.map(start, MEMORY + start, 2n * large + 2n * page, RW);
    const sizes = [...table.leaves(0n, GiB)].map(({ size }) => size);
    expect(sizes).toEqual(partial === 'exact' ? [2n * large + 2n * page] : [page, large, large, page]);
    expect(table.holes(0n, 8n * large - 1n)).toEqual([
      { start: 0n, last: start - 1n },
      { start: 5n * large + page, last: 8n * large - 1n },
    ]);
  });

  test('memory that is not aligned as the I/O address is gets small leaves', () => {
    const table = make();
    table.map(0n, MEMORY + page, large, RW);
    const sizes = [...table.leaves(0n, GiB)].map(({ size }) => size);
    expect(sizes.filter((size) => size !== page)).toEqual(partial === 'exact' && large > page ? [large] : []);
    expect(table.translate(large - 1n)).toBe(MEMORY + page + large - 1n);
  });

  test('EEXIST: what is mapped is mapped, and nothing of the new range is', () => {
    const table = make();
    table.map(large * 2n, MEMORY, page, RW);
    const before = table.dump();
    expect(answerOf(() => table.map(0n, 0n, 4n * large, RW))).toBe('EEXIST');
    expect(answerOf(() => table.map(large, MEMORY, large + page, RW))).toBe('EEXIST');
    expect(answerOf(() => table.map(large * 2n, MEMORY, page, RW))).toBe('EEXIST');
    expect(table.dump()).toEqual(before);
    table.map(0n, 0n, large, RW);
    expect(answerOf(() => table.map(large - page, 0n, page, RW))).toBe('EEXIST');
  });

  test('EINVAL: not a multiple of the smallest page, or more memory address than an entry holds', () => {
    const table = make();
    expect(answerOf(() => table.map(1n, 0n, page, RW))).toBe('EINVAL');
    expect(answerOf(() => table.map(0n, page / 2n, page, RW))).toBe('EINVAL');
    expect(answerOf(() => table.map(0n, 0n, page + 1n, RW))).toBe('EINVAL');
    expect(answerOf(() => table.map(0n, lastMemory + 1n - page, page, RW))).toBe('ok');
    expect(table.translate(page - 1n)).toBe(lastMemory);
    if (lastMemory < 0xffff_ffff_ffff_ffffn) {
      expect(answerOf(() => table.map(large, lastMemory + 1n, page, RW))).toBe('EINVAL');
      expect(answerOf(() => table.map(large, lastMemory + 1n - page, 2n * page, RW))).toBe('EINVAL');
    }
  });

  test('the last page of the range can be mapped, the one after it cannot (EFAULT)', () => {
    const table = make();
    const last = table.lastAddress;
    table.map(last + 1n - page, MEMORY, page, RW);
    expect(table.translate(last)).toBe(MEMORY + page - 1n);
    expect(table.access(last, true)).toEqual({ paddr: MEMORY + page - 1n, last });
    expect(table.holes(last - page, last)).toEqual([{ start: last - page, last: last - page }]);
    expect([...table.leaves(last, last)].map(({ iova }) => iova)).toEqual([last + 1n - page]);
    if (last < 0xffff_ffff_ffff_ffffn) {
      expect(answerOf(() => table.map(last + 1n, 0n, page, RW))).toBe('EFAULT');
      expect(answerOf(() => table.map(last + 1n - 2n * page, 0n, 3n * page, RW))).toBe('EFAULT');
      expect(table.translate(last + 1n)).toBeUndefined();
    }
    expect(table.unmap(last + 1n - page, page)).toBe(page);
    expect(table.tables).toBe(0);
  });

  test('permissions are those of the mapping', () => {
    const table = make();
    table.map(0n, MEMORY, page, 1);
    table.map(page, MEMORY, page, 2);
    expect(table.access(0n, false)).toEqual({ paddr: MEMORY, last: page - 1n });
    expect(table.access(1n, true)).toBe('not-writable');
    expect(table.access(page, false)).toBe('not-readable');
    expect(table.access(page + 1n, true)).toEqual({ paddr: MEMORY + 1n, last: 2n * page - 1n });
    expect([...table.leaves(0n, GiB)].map(({ prot }) => prot)).toEqual([1, 2]);
    expect(answerOf(() => table.map(4n * page, 0n, page, 0))).toBe(needsProt ? 'EINVAL' : 'ok');
  });

  test('unmap goes up to the first hole and says how far', () => {
    const table = make();
    table.map(0n, MEMORY, 2n * page, RW);
    table.map(3n * page, MEMORY, page, RW);
    expect(table.unmap(0n, 4n * page)).toBe(2n * page);
    expect(table.unmap(0n, page)).toBe(0n);
    expect(table.translate(3n * page)).toBe(MEMORY);
  });

  test('tables come with the first mapping and go with the last', () => {
    const table = make();
    table.map(0n, MEMORY, page, RW);
    const one = table.tables;
    table.map(page, MEMORY, page, RW);
    expect(table.tables).toBe(one);
    table.map(64n * GiB, MEMORY, 3n * page, RW);
    table.unmap(0n, 2n * page);
    table.unmap(64n * GiB, 3n * page);
    expect(table.tables).toBe(0);
    table.map(0n, MEMORY, page, RW);
    table.free();
    expect([table.tables, table.translate(0n)]).toEqual([0, undefined]);
    table.map(0n, MEMORY, page, RW);
    expect(table.translate(0n)).toBe(MEMORY);
  });

  test('runs of frames are mapped in order, from within the first one on', () => {
    const table = make();
    const runs = new FrameRuns();
    runs.push(1000, 3);
    runs.push(5, 1);
    const skip = page < 4096n ? Number(page) : 0;
    const size = 4n * 4096n - BigInt(skip);
    table.mapRuns(GiB, runs, skip, size, RW, false);
    expect(table.translate(GiB)).toBe(1000n * 4096n + BigInt(skip));
    expect(table.translate(GiB + size - 4096n)).toBe(5n * 4096n);
    expect(table.translate(GiB + size)).toBeUndefined();
    const before = table.dump();
    expect(answerOf(() => table.mapRuns(GiB - 8192n, runs, 0, 16384n, RW, false))).toBe('EEXIST');
    expect(answerOf(() => table.mapRuns(0n, runs, 1, 16384n, RW, false))).toBe('EINVAL');
    expect(answerOf(() => table.mapRuns(1n, runs, 0, 16384n, RW, false))).toBe('EINVAL');
    expect(table.dump()).toEqual(before);
  });

  test('runs reach the top of the range, and no further than memory that entries can name', () => {
    const table = make();
    const runs = new FrameRuns();
    runs.push(1000, 1);
    runs.push(5, 1);
    const top = table.lastAddress + 1n;
    table.mapRuns(top - 8192n, runs, 0, 8192n, RW, false);
    expect([table.translate(top - 8192n), table.translate(top - 4096n)]).toEqual([4096000n, 20480n]);
    expect(table.walk(top - 8192n).at(-1)?.address).toBe(4096000n);
    if (lastMemory === 0xffff_ffff_ffff_ffffn) return;
    const before = table.dump();
    const beyond = Number((lastMemory + 1n) / 4096n);
    for (const frames of [[beyond], [7, beyond]]) {
      const bad = new FrameRuns();
      for (const frame of frames) bad.push(frame, 1);
      const size = BigInt(frames.length) * 4096n;
      expect(answerOf(() => table.mapRuns(0n, bad, 0, size, RW, false))).toBe('EINVAL');
    }
    expect(table.dump()).toEqual(before);
  });

  test('small runs are mapped with no leaf larger than PAGE_SIZE, so that each page can go by itself', () => {
    const table = make();
    const runs = new FrameRuns();
    runs.push(1024, 1024);
    table.mapRuns(0n, runs, 0, 4n * MiB, RW, true);
    if (partial !== 'exact') expect([...table.leaves(0n, GiB)].every(({ size }) => size === page)).toBe(true);
    expect(table.unmap(4096n, 4096n)).toBe(4096n);
    expect(table.holes(0n, 4n * MiB - 1n)).toEqual([{ start: 4096n, last: 8191n }]);
  });

  test('a refused allocation, whichever, leaves everything as it was', () => {
    for (const first of [[], [GiB], [64n * GiB, 65n * GiB]]) {
      for (let n = 1; ; n++) {
        const table = make();
        for (const iova of first) table.map(iova, MEMORY, page, RW);
        const before = [table.dump(), table.tables, table.format];
        let left = n;
        table.onAllocate = () => {
          if (--left === 0) throw new KernelError('ENOMEM', 'test', 'made to fail');
        };
        // No large leaves, into two tables of every level that the address allows.
        const answer = answerOf(() => table.map(32n * GiB - 2n * page, MEMORY + page, 4n * page, RW));
        if (answer === 'ok') break;
        expect(answer).toBe('ENOMEM');
        expect([table.dump(), table.tables, table.format]).toEqual(before);
      }
    }
  });

  describe('dirty tracking', () => {
    test('a write makes the leaf dirty, a read does not; reading may clear', () => {
      const table = make();
      table.map(0n, MEMORY, 8n * page, RW);
      table.setDirtyTracking(true);
      table.access(page, false);
      table.access(3n * page + 1n, true);
      const whole = dirtyIn(table, 0n, 8n * page - 1n, false);
      // AMD maps the eight as one.
      expect(whole).toEqual([orders.includes(3) ? [0n, 8n * page] : [3n * page, page]]);
      expect(dirtyIn(table, 0n, 8n * page - 1n, true)).toEqual(whole);
      expect(dirtyIn(table, 0n, 8n * page - 1n, true)).toEqual([]);
      expect(table.access(3n * page, true)).not.toBeTypeOf('string');
      expect(dirtyIn(table, 0n, GiB, true)).toEqual(whole);
    });

    test('off: nothing is recorded; what was recorded stays', () => {
      const table = make();
      table.map(0n, MEMORY, page, RW);
      table.map(page, 0n, page, RW);
      table.access(0n, true);
      expect(dirtyIn(table, 0n, GiB, false)).toEqual([]);
      table.setDirtyTracking(true);
      table.access(0n, true);
      table.setDirtyTracking(false);
      table.access(page, true);
      expect(dirtyIn(table, 0n, GiB, true)).toEqual([[0n, page]]);
    });

    test('what is reported lies in the range, leaves that follow each other in one', () => {
      const table = make();
      table.setDirtyTracking(true);
      table.map(0n, MEMORY + page, 600n * page, RW);
      for (let n = 500n; n < 520n; n++) table.access(n * page, true);
      expect(dirtyIn(table, 0n, table.lastAddress, false)).toEqual([[500n * page, 20n * page]]);
      expect(dirtyIn(table, 510n * page, 512n * page - 1n, true)).toEqual([[510n * page, 2n * page]]);
      expect(dirtyIn(table, 0n, GiB, true)).toEqual([
        [500n * page, 10n * page],
        [512n * page, 8n * page],
      ]);
    });

    test('a table that is used again tells of new writes only', () => {
      const table = make();
      table.setDirtyTracking(true);
      const far = 4096n * page;
      table.map(0n, MEMORY, page, RW);
      table.map(far, MEMORY, page, RW);
      table.access(far, true);
      table.unmap(far, page);
      expect(dirtyIn(table, 0n, table.lastAddress, true)).toEqual([]);
      table.map(2n * far, MEMORY, page, RW);
      expect(dirtyIn(table, 0n, table.lastAddress, true)).toEqual([]);
      table.access(2n * far, true);
      expect(dirtyIn(table, 0n, table.lastAddress, true)).toEqual([[2n * far, page]]);
    });

    test('what is written stays known when levels are added', () => {
      const table = make();
      table.setDirtyTracking(true);
      table.map(0n, MEMORY, page, RW);
      table.access(0n, true);
      table.map(table.lastAddress + 1n - page, 0n, page, RW);
      expect(dirtyIn(table, 0n, table.lastAddress, true)).toEqual([[0n, page]]);
    });

    test('a leaf written to anywhere is dirty in every part that is asked for', () => {
      const table = make();
      table.setDirtyTracking(true);
      table.map(16n * large, MEMORY, 16n * page, RW);
      for (const written of [0n, 15n]) {
        table.access(16n * large + written * page, true);
        const leaf = [...table.leaves(0n, GiB)].find(({ dirty }) => dirty)!;
        const middle = 16n * large + 7n * page;
        const inside = partial !== 'exact' && leaf.size >= 16n * page;
        expect(dirtyIn(table, middle, middle + page - 1n, false)).toEqual(inside ? [[middle, page]] : []);
        expect(dirtyIn(table, 0n, GiB, true)).toHaveLength(1);
      }
    });

    test('unmapped and mapped again is clean', () => {
      const table = make();
      table.setDirtyTracking(true);
      table.map(0n, MEMORY, page, RW);
      table.access(0n, true);
      table.unmap(0n, page);
      table.map(0n, MEMORY, page, RW);
      expect(dirtyIn(table, 0n, GiB, false)).toEqual([]);
    });
  });

  test('the walk ends in the leaf that translates, or where nothing follows', () => {
    const table = make();
    table.map(GiB, MEMORY, large, 1);
    const steps = table.walk(GiB + page - 1n);
    const leaf = steps.at(-1)!;
    expect(leaf.kind).toBe('leaf');
    expect(leaf.address).toBe(MEMORY);
    expect(leaf.size).toBe(large);
    expect(leaf.bits.split(' ')).toContain('R');
    expect(leaf.bits.split(' ')).not.toContain('W');
    expect(steps.slice(0, -1).every(({ kind }) => kind === 'table')).toBe(true);
    for (const [i, step] of steps.slice(0, -1).entries()) expect(step.address).toBe(steps[i + 1]!.table);
    expect(table.walk(GiB + large).at(-1)?.kind).toBe(partial === 'exact' ? undefined : 'nothing');
  });

  test('the dump has a line for each run of leaves', () => {
    const table = make();
    table.map(0n, MEMORY + page, 3n * page, RW);
    table.map(8n * page, MEMORY + page, page, 1);
    const leaves = table.dump().filter((line) => / -> 0x4/.test(line));
    expect(leaves).toHaveLength(2);
    expect(leaves[0]).toContain(
      `0x0-0x${(3n * page - 1n).toString(16)} -> 0x${(MEMORY + page).toString(16)}`,
    );
  });
});
