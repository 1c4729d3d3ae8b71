import { describe, expect, test } from 'vitest';
import { answerOf } from '../testing.ts';
import { VtdSecondLevel } from './vtd-second-level.ts';

const RW = 3;
const MiB = 1n << 20n;
const GiB = 1n << 30n;
const MEMORY = 0xa_bcde_4000_0000n;

describe('VT-d second level: entries as the specification has them', () => {
  test('bit 0 read, 1 write, 7 superpage; address in 12 to 51; tables can be read and written', () => {
    const table = new VtdSecondLevel();
    table.map(0x1000n, MEMORY + 0x5000n, 0x1000n, 1);
    table.map(2n * MiB, MEMORY, 2n * MiB, 2);
    table.map(GiB, MEMORY, GiB, RW);
    expect(table.walk(0x1000n).map(({ level, index, kind }) => [level, index, kind])).toEqual([
      [4, 0, 'table'],
      [3, 0, 'table'],
      [2, 0, 'table'],
      [1, 1, 'leaf'],
    ]);
    const [root, , second, leaf] = table.walk(0x1000n);
    expect(root!.entry).toBe(root!.address! | 3n);
    expect(second!.entry & 0xfffn).toBe(3n);
    expect(leaf!.entry).toBe(MEMORY + 0x5000n + 1n);
    expect(table.walk(2n * MiB).at(-1)).toMatchObject({ level: 2, entry: MEMORY | 0x82n, size: 2n * MiB });
    expect(table.walk(GiB).at(-1)).toMatchObject({
      level: 3,
      entry: MEMORY | 0x83n,
      size: GiB,
      bits: 'R W PS',
    });
    expect(table.tables).toBe(4);
  });

  test('accessed is bit 8 on every level, dirty bit 9 of the leaf; only while tracking is on', () => {
    const table = new VtdSecondLevel();
    table.map(0n, 0n, 0x1000n, RW);
    const low = () => table.walk(0n).map(({ entry }) => entry & 0xfffn);
    table.access(0n, true);
    expect(low()).toEqual([3n, 3n, 3n, 3n]);
    table.setDirtyTracking(true);
    table.access(0n, false);
    expect(low()).toEqual([0x103n, 0x103n, 0x103n, 0x103n]);
    table.access(0n, true);
    expect(low()).toEqual([0x103n, 0x103n, 0x103n, 0x303n]);
  });

  test('snooping is bit 11 of leaves made while it is forced', () => {
    const table = new VtdSecondLevel();
    table.map(0n, 0n, 0x1000n, RW);
    table.forceSnooping = true;
    table.map(0x1000n, 0n, 0x1000n, RW);
    expect([0n, 0x1000n].map((iova) => table.walk(iova).at(-1)!.entry)).toEqual([3n, 0x803n]);
  });

  test('3, 4 and 5 levels are 39, 48 and 57 bits; a unit may translate fewer', () => {
    const last = (options: object) => new VtdSecondLevel(options).lastAddress + 1n;
    expect([3, 4, 5].map((levels) => last({ levels }))).toEqual([1n << 39n, 1n << 48n, 1n << 57n]);
    expect(last({ levels: 4, width: 46 })).toBe(1n << 46n);
    const narrow = new VtdSecondLevel({ levels: 4, width: 46 });
    expect(answerOf(() => narrow.map(1n << 46n, 0n, 4096n, RW))).toBe('EFAULT');
    expect(answerOf(() => narrow.map((1n << 46n) - 4096n, 0n, 4096n, RW))).toBe('ok');
    expect(narrow.walk(1n << 46n).length).toBe(1);
  });

  test('unmapping part of a leaf: from its start it goes whole, from inside nothing does', () => {
    const table = new VtdSecondLevel();
    table.map(0n, 0n, 4n * MiB, RW);
    expect(table.unmap(4096n, 4096n)).toBe(0n);
    expect(table.unmap(2n * MiB, 4096n)).toBe(2n * MiB);
    expect(table.unmap(0n, 3n * MiB)).toBe(2n * MiB);
    expect(table.tables).toBe(0);
  });

  test('the dump shows every table and run of leaves', () => {
    const table = new VtdSecondLevel({ levels: 3 });
    table.map(2n * MiB - 0x2000n, 16n * GiB + 2n * MiB - 0x2000n, 0x2000n + 4n * MiB, RW);
    expect(table.dump()).toEqual([
      'VT-d second level, 3 levels, tables: 3',
      '  [0] 0x0 -> table 0x2000 R W',
      '    [0] 0x0 -> table 0x3000 R W',
      '      [510] 0x1fe000-0x1fffff -> 0x4001fe000 2 x 4 KiB R W',
      '    [1] 0x200000-0x5fffff -> 0x400200000 2 x 2 MiB R W PS',
    ]);
  });
});
