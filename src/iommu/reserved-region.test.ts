import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRegion, mergeRegions, RegionType, type ReservedRegion } from './reserved-region.ts';

const { Direct, DirectRelaxable, Reserved, Msi, SoftwareMsi } = RegionType;

describe('groups-core.md 6: reserved_regions', () => {
  test('a line is start, inclusive end and word', () => {
    const line = (type: RegionType) => formatRegion({ start: 0xfee0_0000n, last: 0xfeef_ffffn, type });
    expect(line(Msi)).toBe('0x00000000fee00000 0x00000000feefffff msi\n');
    expect(line(SoftwareMsi)).toBe('0x00000000fee00000 0x00000000feefffff msi\n');
    expect(line(Direct)).toContain(' direct\n');
    expect(line(DirectRelaxable)).toContain(' direct-relaxable\n');
    expect(line(Reserved)).toContain(' reserved\n');
  });

  test('the last address is printed whole', () => {
    expect(formatRegion({ start: 0n, last: 0xffff_ffff_ffff_ffffn, type: Reserved })).toBe(
      '0x0000000000000000 0xffffffffffffffff reserved\n',
    );
  });

  test('same type merges when it overlaps or touches, not across a gap of one', () => {
    const merge = (...ranges: [bigint, bigint][]) =>
      mergeRegions(ranges.map(([start, last]) => ({ start, last, type: Direct }))).map((r) => [
        r.start,
        r.last,
      ]);
    expect(merge([10n, 19n], [20n, 29n])).toEqual([[10n, 29n]]);
    expect(merge([10n, 19n], [21n, 29n])).toEqual([
      [10n, 19n],
      [21n, 29n],
    ]);
    expect(merge([10n, 40n], [12n, 13n])).toEqual([[10n, 40n]]);
  });

  test('the test for touching wraps: nothing joins a region that ends at the very top, unless both start at 0', () => {
    const top = { start: 0x1000n, last: 0xffff_ffff_ffff_ffffn, type: Direct };
    const inside = { start: 0x2000n, last: 0x2fffn, type: Direct };
    expect(mergeRegions([inside, top])).toEqual([top, inside]);
    expect(
      mergeRegions([
        { ...inside, start: 0n },
        { ...top, start: 0n },
      ]),
    ).toEqual([{ ...top, start: 0n }]);
  });

  test('different types never merge, and a lower type comes first at one start', () => {
    const regions: ReservedRegion[] = [
      { start: 0n, last: 9n, type: Msi },
      { start: 0n, last: 9n, type: Direct },
      { start: 5n, last: 20n, type: Direct },
    ];
    expect(mergeRegions(regions)).toEqual([
      { start: 0n, last: 20n, type: Direct },
      { start: 0n, last: 9n, type: Msi },
    ]);
  });

  test('covers the same addresses per type, sorted and apart, whatever the order given', () => {
    const region = fc
      .record({
        start: fc.nat(60),
        size: fc.integer({ min: 1, max: 15 }),
        type: fc.constantFrom(Direct, Reserved, Msi),
      })
      .map(({ start, size, type }) => ({ start: BigInt(start), last: BigInt(start + size - 1), type }));
    const addresses = (regions: readonly ReservedRegion[], type: RegionType) => {
      const set = new Set<bigint>();
      for (const r of regions) if (r.type === type) for (let a = r.start; a <= r.last; a++) set.add(a);
      return [...set].sort((a, b) => Number(a - b));
    };
    fc.assert(
      fc.property(fc.array(region, { maxLength: 12 }), (regions) => {
        const merged = mergeRegions(regions);
        expect(mergeRegions([...regions].reverse())).toEqual(merged);
        for (const type of [Direct, Reserved, Msi]) {
          expect(addresses(merged, type)).toEqual(addresses(regions, type));
          const own = merged.filter((r) => r.type === type);
          for (let i = 1; i < own.length; i++) expect(own[i]!.start).toBeGreaterThan(own[i - 1]!.last + 1n);
        }
        for (let i = 1; i < merged.length; i++) {
          const [a, b] = [merged[i - 1]!, merged[i]!];
          expect(a.start < b.start || (a.start === b.start && a.type < b.type)).toBe(true);
        }
      }),
    );
  });
});
