import { describe, expect, test } from 'vitest';
import { MOCK_HUGE_PAGE_SIZE, MOCK_PAGE_SIZE, MockTable2K } from './mock-table-2k.ts';

const RW = 3;

describe('the selftest mock: pages of 2 KiB', () => {
  test('an entry has the page number below bit 53, dirty at 54, huge at 55', () => {
    const table = new MockTable2K({ huge: true });
    table.map(MOCK_PAGE_SIZE, 0xffff_ffff_ffff_f800n, MOCK_PAGE_SIZE, RW);
    table.map(MOCK_HUGE_PAGE_SIZE, MOCK_HUGE_PAGE_SIZE, MOCK_HUGE_PAGE_SIZE, RW);
    table.setDirtyTracking(true);
    table.access(MOCK_PAGE_SIZE, true);
    const entry = (iova: bigint) => table.walk(iova).at(-1)!.entry;
    expect(entry(MOCK_PAGE_SIZE) & ((1n << 56n) - 1n)).toBe((1n << 54n) | ((1n << 53n) - 1n));
    expect(entry(MOCK_HUGE_PAGE_SIZE + MOCK_PAGE_SIZE) & ((1n << 56n) - 1n)).toBe((1n << 55n) | 513n);
  });

  test('part of a huge page can be unmapped; the rest is small pages, dirty where they were', () => {
    const table = new MockTable2K({ huge: true });
    table.map(0n, MOCK_HUGE_PAGE_SIZE, 2n * MOCK_HUGE_PAGE_SIZE, RW);
    table.setDirtyTracking(true);
    table.access(10n * MOCK_PAGE_SIZE, true);
    expect(table.unmap(4n * MOCK_PAGE_SIZE, 2n * MOCK_PAGE_SIZE)).toBe(2n * MOCK_PAGE_SIZE);
    const found: bigint[][] = [];
    table.readAndClearDirty(0n, table.lastAddress, true, (iova, size) => found.push([iova, size]));
    expect(found).toEqual([[10n * MOCK_PAGE_SIZE, MOCK_PAGE_SIZE]]);
    const sizes = [...table.leaves(0n, table.lastAddress)].map(({ size }) => size);
    expect(sizes).toEqual([...Array(510).fill(MOCK_PAGE_SIZE), MOCK_HUGE_PAGE_SIZE]);
    expect(table.unmap(6n * MOCK_PAGE_SIZE, MOCK_HUGE_PAGE_SIZE)).toBe(MOCK_HUGE_PAGE_SIZE);
    expect(table.unmap(0n, MOCK_PAGE_SIZE * 100n)).toBe(4n * MOCK_PAGE_SIZE);
    expect(table.translate(MOCK_HUGE_PAGE_SIZE + 6n * MOCK_PAGE_SIZE)).toBe(
      2n * MOCK_HUGE_PAGE_SIZE + 6n * MOCK_PAGE_SIZE,
    );
  });

  test('levels come as addresses need them', () => {
    const table = new MockTable2K();
    table.map(0n, 0n, MOCK_PAGE_SIZE, RW);
    expect([table.levels, table.tables]).toEqual([1, 1]);
    table.map((1n << 31n) - MOCK_PAGE_SIZE, 0n, MOCK_PAGE_SIZE, RW);
    expect([table.levels, table.tables]).toEqual([3, 5]);
  });
});
