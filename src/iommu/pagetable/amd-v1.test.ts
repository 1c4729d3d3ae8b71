import { describe, expect, test } from 'vitest';
import { AMD_V1_PAGE_SIZES, AmdV1 } from './amd-v1.ts';

const RW = 3;
const KiB = 1n << 10n;
const MiB = 1n << 20n;
const GiB = 1n << 30n;
const TiB = 1n << 40n;
const IR_IW_FC = 7n << 60n;

describe('AMD v1: entries as the specification and the driver have them', () => {
  test('PR bit 0, next level 9 to 11, FC 60, IR 61, IW 62', () => {
    const table = new AmdV1();
    table.map(0x1000n, 0x5000n, 0x1000n, 1);
    const [root, second, leaf] = table.walk(0x1000n);
    expect(root!.entry).toBe(root!.address! | (3n << 61n) | (2n << 9n) | 1n);
    expect(second!.entry).toBe(second!.address! | (3n << 61n) | (1n << 9n) | 1n);
    expect(leaf!.entry).toBe(0x5000n | (3n << 60n) | 1n);
    table.map(0x2000n, 0x7000n, 0x1000n, 2);
    expect(table.walk(0x2000n).at(-1)!.entry).toBe(0x7000n | (5n << 60n) | 1n);
  });

  test('leaves of a level have next level 0', () => {
    const table = new AmdV1();
    table.map(2n * MiB, 2n * MiB, 2n * MiB, RW);
    table.map(GiB, GiB, GiB, RW);
    expect(table.walk(2n * MiB).at(-1)).toMatchObject({ level: 2, entry: (2n * MiB) | IR_IW_FC | 1n });
    expect(table.walk(GiB).at(-1)).toMatchObject({ level: 3, entry: GiB | IR_IW_FC | 1n, size: GiB });
  });

  test('other powers of two have next level 7, the size in the address, and an entry for each part', () => {
    const table = new AmdV1();
    const sizes = [8n * KiB, 16n * KiB, MiB, 4n * MiB, 512n * MiB, 2n * GiB, 256n * GiB, TiB, 2n * TiB];
    for (const size of sizes) {
      const iova = 4n * size;
      table.map(iova, 8n * size, size, RW);
      for (const inside of [iova, iova + size / 2n, iova + size - 4n * KiB]) {
        const step = table.walk(inside).at(-1)!;
        // Address bits below half the size are ones, the one that is half the size is zero.
        expect(step.entry & ((1n << 60n) - 1n)).toBe((8n * size) | ((size / 2n - 1n) & ~0xfffn) | 0xe01n);
        expect([step.size, step.address]).toEqual([size, 8n * size]);
        expect(table.translate(inside + 1n)).toBe(inside + 4n * size + 1n);
      }
      table.free();
    }
  });

  test('512 GiB is no leaf: two of 256 GiB', () => {
    expect(AMD_V1_PAGE_SIZES & (512n * GiB)).toBe(0n);
    const table = new AmdV1();
    table.map(0n, 0n, 512n * GiB, RW);
    expect([...table.leaves(0n, TiB)].map(({ size }) => size)).toEqual([256n * GiB, 256n * GiB]);
    table.map(2n * 1024n * TiB, 2n * 1024n * TiB, 1024n * TiB, RW);
    expect([...table.leaves(TiB, table.lastAddress)].map(({ size }) => size)).toEqual([1024n * TiB]);
  });

  test('three levels at first; more as addresses, or sizes, need them; never fewer again', () => {
    const table = new AmdV1();
    table.map(0n, 0n, 0x1000n, RW);
    expect([table.levels, table.tables]).toEqual([3, 3]);
    table.map(512n * GiB, 0n, 0x1000n, RW);
    expect([table.levels, table.tables]).toEqual([4, 7]);
    expect(table.walk(0n).map(({ level, entry }) => [level, (entry >> 9n) & 7n])).toEqual([
      [4, 3n],
      [3, 2n],
      [2, 1n],
      [1, 0n],
    ]);
    table.map(0xffff_ffff_ffff_f000n, 0x1000n, 0x1000n, RW);
    expect(table.levels).toBe(6);
    expect(table.walk(0xffff_ffff_ffff_f000n)[0]!.index).toBe(0x7f);
    expect(table.translate(0n)).toBe(0n);
    table.free();
    expect(table.levels).toBe(6);
    const large = new AmdV1();
    large.map(0n, 0n, TiB, RW);
    expect(large.levels).toBe(4);
  });

  test('hardware sets the dirty bit of the entry it came by; the leaf is dirty whole', () => {
    const table = new AmdV1();
    table.map(0n, 0n, 64n * KiB, RW);
    table.setDirtyTracking(true);
    table.access(20n * KiB, true);
    const bits = (iova: bigint) => table.walk(iova).at(-1)!.entry & 0x60n;
    expect([bits(0n), bits(20n * KiB), bits(24n * KiB)]).toEqual([0n, 0x60n, 0n]);
    expect([...table.leaves(0n, 0n)][0]).toMatchObject({ size: 64n * KiB, accessed: true, dirty: true });
    const found: bigint[][] = [];
    table.readAndClearDirty(0n, GiB, true, (iova, size) => found.push([iova, size]));
    expect(found).toEqual([[0n, 64n * KiB]]);
    expect(bits(20n * KiB)).toBe(0x20n);
  });

  test('unmapping part of a leaf removes and counts it whole, wherever the range begins', () => {
    const table = new AmdV1();
    table.map(64n * KiB, 0x10_0000n, 64n * KiB, RW);
    expect(table.unmap(72n * KiB, 4n * KiB)).toBe(64n * KiB);
    expect(table.tables).toBe(0);
    table.map(0n, 0n, 2n * MiB, RW);
    expect(table.unmap(MiB, 4n * KiB)).toBe(2n * MiB);
    expect(table.tables).toBe(0);
  });
});
