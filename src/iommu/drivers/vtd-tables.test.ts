import { describe, expect, test } from 'vitest';
import { secondLevelFor } from './vtd-tables.ts';

/** A capability register: bits of SAGAW, of MGAW, and of SLLPS. */
const cap = (sagaw: bigint, bits: bigint, sizes: bigint) =>
  (sagaw << 8n) | ((bits - 1n) << 16n) | (sizes << 34n);
const K4 = 0x1000n;
const M2 = 0x20_0000n;
const G1 = 0x4000_0000n;

describe('second-level tables from the capability register', () => {
  test('as many levels as SAGAW allows, up to five', () => {
    const levels = [0b10n, 0b110n, 0b1100n, 0b1_1110n].map((sagaw) => secondLevelFor([cap(sagaw, 64n, 3n)]));
    expect(levels.map(({ levels, width }) => [levels, width])).toEqual([
      [3, 39],
      [4, 48],
      [5, 57],
      [5, 57],
    ]);
  });

  test('MGAW may be less than the levels translate', () => {
    expect(secondLevelFor([cap(0b100n, 46n, 3n)]).width).toBe(46);
  });

  test('SLLPS bit 0 is 2 MiB, bit 1 is 1 GiB and taken to bring 2 MiB along', () => {
    const sizes = [0n, 1n, 2n, 3n].map((bits) => secondLevelFor([cap(0b100n, 48n, bits)]).pageSizes);
    expect(sizes).toEqual([K4, K4 | M2, K4 | M2 | G1, K4 | M2 | G1]);
  });

  test('several units: what they have in common; not recorded: four levels and every size', () => {
    const usual = { levels: 4, width: 48, pageSizes: K4 | M2 | G1 };
    expect([secondLevelFor([]), secondLevelFor([undefined])]).toEqual([usual, usual]);
    const units = [cap(0b1000n, 57n, 3n), undefined, cap(0b10n, 39n, 1n)];
    expect(secondLevelFor(units)).toEqual({ levels: 3, width: 39, pageSizes: K4 | M2 });
  });
});
