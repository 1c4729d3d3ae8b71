import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AllowedIovas } from './allowed-iovas.ts';
import type { Area } from './area.ts';
import { AreaMap } from './area-map.ts';
import { codeOf } from './calls/testing.ts';
import { allocIova, checkIova, type PlacementRules } from './iova-placement.ts';
import type { IovaRange } from './iova-range.ts';
import { ULONG_MAX } from './limits.ts';
import { ReservedIovas } from './reserved-iovas.ts';

const PAGE = 4096n;
const MIB2 = 1n << 21n;

function rules(init: {
  areas?: IovaRange[];
  reserved?: IovaRange[];
  allowed?: IovaRange[];
  iovaAlignment?: bigint;
  transparentHugePages?: boolean;
}): PlacementRules {
  const areas = new AreaMap<Area>();
  const reserved = new ReservedIovas();
  const allowed = new AllowedIovas();
  for (const { start, last } of init.areas ?? []) areas.set(start, last, { iova: start, last } as Area);
  for (const { start, last } of init.reserved ?? []) reserved.add(null, start, last);
  for (const range of init.allowed ?? []) allowed.add(range);
  const { iovaAlignment = 1n, transparentHugePages = true } = init;
  return { name: 'IOAS 1', areas, reserved, allowed, iovaAlignment, transparentHugePages };
}

describe('alignment of automatic placement', () => {
  it.each<[string, bigint, bigint, bigint]>([
    ['the length rounded up', 0n, 3n * PAGE, 4n * PAGE],
    ['the length of one byte', 0n, 1n, 1n],
    ['what the address of the memory has', 0x7000_0000_2000n, 64n * PAGE, 2n * PAGE],
    ['at most a huge page', 0n, 1n << 40n, MIB2],
    ['a huge page for memory that lies on one', 0x7000_0020_0000n, MIB2 + 1n, MIB2],
  ])('is %s', (_, userAddress, length, alignment) => {
    // With everything below one unit taken, the answer is the first multiple of the alignment behind.
    const before = { start: 0n, last: PAGE };
    const expected = ((PAGE + 1n + alignment - 1n) / alignment) * alignment;
    expect(allocIova(rules({ areas: [before] }), userAddress, length)).toBe(expected);
  });

  it('is at most a page without transparent huge pages', () => {
    expect(allocIova(rules({ transparentHugePages: false }), 0n, MIB2)).toBe(PAGE);
  });

  it('keeps the offset in the page', () => {
    expect(allocIova(rules({}), 0x7000_0000_0123n, 10n)).toBe(PAGE + 0x123n);
  });

  it('or-s the offset in: behind an odd neighbour it is not kept, as in the kernel', () => {
    const odd = { start: 0n, last: 0x17ffn };
    expect(allocIova(rules({ areas: [odd] }), 0x7000_0000_0400n, 0x400n)).toBe(0x1c00n);
  });
});

describe('automatic placement', () => {
  it('is never at 0, and begins a page above', () => {
    expect(allocIova(rules({}), 0n, PAGE)).toBe(PAGE);
    expect(allocIova(rules({ allowed: [{ start: 0n, last: 2n * PAGE - 1n }] }), 0n, PAGE)).toBe(PAGE);
  });

  it('ends a page below 2^64', () => {
    const all = { start: 0n, last: ULONG_MAX - 3n * PAGE };
    expect(allocIova(rules({ reserved: [all] }), PAGE, 2n * PAGE)).toBe(ULONG_MAX - 3n * PAGE + 1n);
    expect(codeOf(() => allocIova(rules({ reserved: [all] }), PAGE, 2n * PAGE + 1n))).toBe('ENOSPC');
  });

  it('leaves alone what would be aligned past 2^64', () => {
    const top = ULONG_MAX - MIB2 + 1n;
    const from = (start: bigint) => rules({ allowed: [{ start, last: ULONG_MAX }] });
    expect(allocIova(from(top), 0n, MIB2 - PAGE)).toBe(top);
    expect(codeOf(() => allocIova(from(top + 1n), 0n, MIB2 - 3n * PAGE))).toBe('ENOSPC');
  });

  it('does not use a hole of a single byte', () => {
    const taken = [
      { start: 0n, last: 2n * PAGE - 1n },
      { start: 2n * PAGE + 1n, last: 3n * PAGE },
    ];
    expect(allocIova(rules({ areas: taken }), 0n, 1n)).toBe(3n * PAGE + 1n);
  });

  it('takes allowed ranges that touch for one', () => {
    const allowed = [
      { start: 4n * PAGE, last: 5n * PAGE - 1n },
      { start: 5n * PAGE, last: 6n * PAGE - 1n },
    ];
    expect(allocIova(rules({ allowed }), 4n * PAGE, 2n * PAGE)).toBe(4n * PAGE);
  });

  it('is refused for half of the address space: EOVERFLOW', () => {
    expect(codeOf(() => allocIova(rules({}), 0n, ULONG_MAX / 2n))).toBe('EOVERFLOW');
    expect(allocIova(rules({}), 0n, ULONG_MAX / 2n - 1n)).toBe(MIB2);
    expect(codeOf(() => allocIova(rules({}), 0n, 0n))).toBe('EOVERFLOW');
  });

  it('finds the place behind a hundred thousand areas side by side without walking them', () => {
    const table = rules({});
    let offered = 0;
    const { areas } = table;
    const lowestHole = areas.lowestHole.bind(areas);
    areas.lowestHole = (low, high, bytes, place) =>
      lowestHole(low, high, bytes, (start, last) => {
        offered++;
        return place(start, last);
      });
    for (let n = 0; n < 100_000; n++) {
      const iova = allocIova(table, 0n, PAGE);
      areas.set(iova, iova + PAGE - 1n, { iova, last: iova + PAGE - 1n } as Area);
    }
    expect(areas.at(100_000n * PAGE)).toBeDefined();
    expect(offered).toBe(100_000);
  });
});

const BYTES = 96;
const BASE = PAGE - 16n;

/** One bit a byte, and the rules said once more, slowly: the first byte of each hole, moved up until it fits. */
function slowly(
  taken: boolean[],
  allowed: boolean[] | undefined,
  userAddress: bigint,
  length: number,
): bigint {
  let alignment = Number(MIB2);
  while (userAddress % BigInt(alignment) !== 0n) alignment /= 2;
  let rounded = 1;
  while (rounded < length) rounded *= 2;
  alignment = Math.min(alignment, rounded);
  const offset = Number(userAddress % PAGE);
  const isFree = (at: number) => at >= 16 && at < BYTES && !taken[at] && (allowed?.[at] ?? true);
  const first = (start: number, last: number): number | undefined => {
    let at = start + Number(BASE);
    while (at % alignment !== 0) at++;
    at = (at | offset) - Number(BASE);
    return at < last && last - at >= length - 1 ? at : undefined;
  };
  const isAllowed = (at: number) => at >= 16 && at < BYTES && (allowed?.[at] ?? true);
  for (let begin = 0; begin < BYTES; begin++) {
    if (!isAllowed(begin) || isAllowed(begin - 1)) continue;
    let end = begin;
    while (isAllowed(end + 1)) end++;
    const from = first(begin, end);
    if (from === undefined) continue;
    for (let start = from; start <= end; start++) {
      if (!isFree(start) || (start > from && isFree(start - 1))) continue;
      let last = start;
      while (last < end && isFree(last + 1)) last++;
      const found = first(start, last);
      if (found !== undefined) return BigInt(found) + BASE;
    }
  }
  return -1n;
}

const ranges = fc
  .uniqueArray(fc.nat(BYTES - 1), { minLength: 0, maxLength: 12 })
  .map((edges) => edges.sort((a, b) => a - b))
  .map((edges) =>
    Array.from({ length: edges.length >> 1 }, (_, n) => ({ from: edges[2 * n]!, to: edges[2 * n + 1]! })),
  );

function bytesOf(list: { from: number; to: number }[]): boolean[] {
  return Array.from({ length: BYTES }, (_, at) => list.some(({ from, to }) => from <= at && at <= to));
}

function rangesOf(list: { from: number; to: number }[]): IovaRange[] {
  return list.map(({ from, to }) => ({ start: BASE + BigInt(from), last: BASE + BigInt(to) }));
}

describe('against one bit a byte', () => {
  it('automatic placement finds the same address', () => {
    fc.assert(
      fc.property(
        ranges,
        ranges,
        ranges,
        fc.integer({ min: 1, max: 40 }),
        fc.bigInt({ min: 0n, max: 64n }),
        (areas, reserved, allowed, length, low) => {
          // Everything behind the window is taken.
          const behind = { start: BASE + BigInt(BYTES), last: ULONG_MAX };
          const table = rules({
            areas: rangesOf(areas),
            reserved: [...rangesOf(reserved), behind],
            allowed: rangesOf(allowed),
          });
          const taken = bytesOf([...areas, ...reserved]);
          const userAddress = 0x7000_0000_0000n + low;
          const expected = slowly(
            taken,
            allowed.length > 0 ? bytesOf(allowed) : undefined,
            userAddress,
            length,
          );
          let found = -1n;
          const code = codeOf(() => {
            found = allocIova(table, userAddress, BigInt(length));
          });
          expect(found).toBe(expected);
          expect(code).toBe(expected < 0n ? 'ENOSPC' : undefined);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('a fixed address is good exactly where every byte is free', () => {
    fc.assert(
      fc.property(
        ranges,
        ranges,
        fc.nat(BYTES - 1),
        fc.integer({ min: 1, max: 40 }),
        (areas, reserved, at, length) => {
          const table = rules({ areas: rangesOf(areas), reserved: rangesOf(reserved) });
          const meets = (list: { from: number; to: number }[]) =>
            bytesOf(list)
              .slice(at, at + length)
              .includes(true);
          const expected = meets(reserved) ? 'EINVAL' : meets(areas) ? 'EEXIST' : undefined;
          expect(codeOf(() => checkIova(table, BASE + BigInt(at), BigInt(length)))).toBe(expected);
        },
      ),
    );
  });
});
