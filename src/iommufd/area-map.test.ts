import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AreaMap } from './area-map.ts';
import { checkTree } from './area-tree/check.ts';
import { PAGE_BYTES, ULONG_MAX } from './limits.ts';

interface Area {
  start: bigint;
  last: bigint;
}

/** The same by looking at every area, one by one. */
class Model {
  areas: Area[] = [];

  set(area: Area): boolean {
    if (this.in(area.start, area.last).length > 0) return false;
    this.areas.push(area);
    this.areas.sort((a, b) => (a.start < b.start ? -1 : 1));
    return true;
  }

  delete(start: bigint): Area | undefined {
    const found = this.areas.find((area) => area.start === start);
    this.areas = this.areas.filter((area) => area !== found);
    return found;
  }

  in(start: bigint, last: bigint): Area[] {
    return this.areas.filter((area) => area.start <= last && area.last >= start);
  }

  holes(low: bigint, high: bigint, bytes: bigint): Area[] {
    const holes: Area[] = [];
    let from = 0n;
    for (const area of [...this.areas, { start: ULONG_MAX + 1n, last: 0n }]) {
      const start = from > low ? from : low;
      const last = area.start - 1n < high ? area.start - 1n : high;
      if (last - start + 1n >= bytes && last >= start) holes.push({ start, last });
      from = area.last + 1n;
    }
    return holes;
  }
}

function holesOf(map: AreaMap<Area>, low: bigint, high: bigint, bytes: bigint): Area[] {
  const holes: Area[] = [];
  map.lowestHole(low, high, bytes, (start, last) => {
    holes.push({ start, last });
    return undefined;
  });
  return holes;
}

function areasOf(map: AreaMap<Area>, start?: bigint, last?: bigint): Area[] {
  return [...map.entries(start, last)].map((entry) => {
    expect(entry.value).toEqual({ start: entry.start, last: entry.last });
    return entry.value;
  });
}

/** Few enough addresses that areas meet, where numbers change their nature: 0, 2^32, 2^53, the top. */
const crowded = fc
  .tuple(
    fc.constantFrom(0n, 2n ** 32n - 64n, 2n ** 53n - 4096n, 2n ** 63n, ULONG_MAX - 8191n),
    fc.bigInt(0n, 8191n),
  )
  .map(([base, offset]) => base + offset);
const address = fc.oneof(
  { weight: 3, arbitrary: crowded },
  { weight: 2, arbitrary: fc.bigInt(0n, 2n ** 52n - 1n).map((page) => page * PAGE_BYTES) },
  fc.bigInt(0n, ULONG_MAX),
);
const area = fc
  .tuple(
    address,
    fc.oneof(fc.bigInt(0n, 300n), fc.constantFrom(4095n, 8191n, 2n ** 54n), fc.bigInt(0n, ULONG_MAX)),
  )
  .map(([start, more]) => ({ start, last: start + more > ULONG_MAX ? ULONG_MAX : start + more }));

type Step =
  | { do: 'set'; area: Area }
  | { do: 'delete'; nth: number }
  | { do: 'miss'; start: bigint }
  | { do: 'look'; area: Area; bytes: bigint };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('set' as const), area }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), nth: fc.nat() }) },
  fc.record({ do: fc.constant('miss' as const), start: address }),
  fc.record({
    do: fc.constant('look' as const),
    area,
    bytes: fc.oneof(fc.bigInt(0n, 5000n), fc.bigInt(0n, ULONG_MAX)),
  }),
);

function take(map: AreaMap<Area>, model: Model, one: Step): void {
  if (one.do === 'set') {
    const { start, last } = one.area;
    if (model.set(one.area)) map.set(start, last, one.area);
    else expect(() => map.set(start, last, one.area)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  } else if (one.do === 'delete') {
    const start = model.areas[one.nth % Math.max(model.areas.length, 1)]?.start ?? 0n;
    expect(map.delete(start)).toBe(model.delete(start));
  } else if (one.do === 'miss') {
    expect(map.delete(one.start)).toBe(model.delete(one.start));
  } else {
    compare(map, model, one.area, one.bytes);
  }
}

function compare(map: AreaMap<Area>, model: Model, { start, last }: Area, bytes: bigint): void {
  const inside = model.in(start, last);
  expect(map.at(start)).toBe(model.in(start, start)[0]);
  expect(map.at(last)).toBe(model.in(last, last)[0]);
  expect(map.firstFrom(start)).toBe(model.in(start, ULONG_MAX)[0]);
  expect(map.firstIn(start, last)).toBe(inside[0]);
  expect(map.lastBefore(start)).toBe(model.areas.filter((one) => one.last < start).at(-1));
  expect(map.overlaps(start, last)).toBe(inside.length > 0);
  expect(areasOf(map, start, last)).toEqual(inside);
  expect(holesOf(map, start, last, bytes)).toEqual(model.holes(start, last, bytes > 0n ? bytes : 1n));
  expect(map.size).toBe(model.areas.length);
}

/** Numbers below 2^32 that look random and are the same every time. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

describe('areas of an address space', () => {
  it('do what looking at every area would do, over the whole 64-bit range', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
        const map = new AreaMap<Area>();
        const model = new Model();
        for (const one of steps) {
          take(map, model, one);
          checkTree(map.tree);
        }
        expect(areasOf(map)).toEqual(model.areas);
        compare(map, model, { start: 0n, last: ULONG_MAX }, 0n);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['pages', 4096n, 0n],
    ['single bytes', 1n, 0n],
    ['single bytes above 2^53', 1n, 2n ** 63n],
  ])('hold at every step while thousands of areas of %s come and go', (_, unit, base) => {
    const random = xorshift(7);
    const map = new AreaMap<Area>();
    const model = new Model();
    const places = 6000;
    // Mostly added, then both, then mostly removed, until it is nearly empty again.
    for (const [steps, adding] of [
      [4500, 0.9],
      [1500, 0.5],
      [7000, 0.05],
    ] as const) {
      for (let n = 0; n < steps; n++) {
        const start = base + BigInt(random() % places) * 4n * unit;
        const last = start + BigInt((random() % 6) + 1) * unit - 1n;
        const added = { start, last };
        if (random() / 2 ** 32 < adding) take(map, model, { do: 'set', area: added });
        else take(map, model, { do: 'delete', nth: random() });
        if (n % 10 === 0) checkTree(map.tree);
        if (n % 100 === 0) {
          compare(map, model, added, BigInt(random() % 40) * unit);
        }
      }
    }
    checkTree(map.tree);
    expect(areasOf(map)).toEqual(model.areas);
  });

  it.each(['ascending', 'descending', 'shuffled'])('hold with fifty thousand areas added %s', (order) => {
    const count = 50_000;
    const random = xorshift(11);
    const map = new AreaMap<number>();
    const numbers = Array.from({ length: count }, (_, n) => (order === 'descending' ? count - 1 - n : n));
    if (order === 'shuffled') {
      for (let n = count - 1; n > 0; n--) {
        const other = random() % (n + 1);
        [numbers[n], numbers[other]] = [numbers[other]!, numbers[n]!];
      }
    }
    const start = (n: number) => BigInt(n) * 2n * PAGE_BYTES;
    for (const n of numbers) map.set(start(n), start(n) + PAGE_BYTES - 1n, n);
    checkTree(map.tree);
    for (const n of numbers) expect(map.at(start(n) + 5n)).toBe(n);
    for (const n of numbers) if (n % 10 !== 0) map.delete(start(n));
    checkTree(map.tree);
    expect([...map].map((entry) => entry.value)).toEqual(
      Array.from({ length: count / 10 }, (_, n) => n * 10),
    );
    for (const n of numbers) if (n % 10 !== 0) map.set(start(n), start(n) + PAGE_BYTES - 1n, n);
    checkTree(map.tree);
    for (const n of numbers) expect(map.delete(start(n))).toBe(n);
    checkTree(map.tree);
    expect(map.size).toBe(0);
  });

  it('reach the last address there is, also as one area over everything', () => {
    const map = new AreaMap<string>();
    map.set(0n, ULONG_MAX, 'all');
    expect(map.at(ULONG_MAX)).toBe('all');
    expect(() => map.set(5n, 5n, 'one')).toThrow(/0x0000000000000005 to .* overlaps the area from 0x0/);
    expect(map.delete(0n)).toBe('all');
    map.set(ULONG_MAX, ULONG_MAX, 'byte');
    expect(map.at(ULONG_MAX - 1n)).toBeUndefined();
    expect(map.firstFrom(0n)).toBe('byte');
    expect([...map]).toEqual([{ start: ULONG_MAX, last: ULONG_MAX, value: 'byte' }]);
    expect(map.lowestHole(0n, ULONG_MAX, ULONG_MAX, (start, last) => [start, last])).toEqual([
      0n,
      ULONG_MAX - 1n,
    ]);
    expect(map.lowestHole(0n, ULONG_MAX, ULONG_MAX + 1n, () => true)).toBeUndefined();
  });

  it('refuse an area whose end is below its start', () => {
    expect(() => new AreaMap('IOAS 3').set(5n, 4n, 'x')).toThrow(/IOAS 3.*EINVAL/);
  });

  it('are walked rightly while they are removed, added and packed', () => {
    const map = new AreaMap<number>();
    for (let n = 0; n < 2000; n++) map.set(BigInt(n) * 16n, BigInt(n) * 16n + 7n, n);
    const seen: number[] = [];
    for (const entry of map.entries(160n, 16_000n)) {
      seen.push(entry.value);
      map.delete(entry.start);
      if (entry.value % 2 === 0) map.delete(entry.start + 16n);
      // Below where the walk is: not met.
      map.set(entry.start, entry.start, -1);
    }
    expect(seen).toEqual(Array.from({ length: 496 }, (_, n) => 10 + n * 2));
    checkTree(map.tree);
  });

  it('find the hole behind very many areas side by side, and the one that opens among them', () => {
    const map = new AreaMap<number>();
    const mapped = (count: number) => {
      for (let n = 0; n < count; n++) {
        const start = map.lowestHole(PAGE_BYTES, ULONG_MAX - PAGE_BYTES, PAGE_BYTES, (hole) => hole)!;
        map.set(start, start + PAGE_BYTES - 1n, n);
      }
    };
    mapped(20_000);
    expect(map.at(20_000n * PAGE_BYTES)).toBe(19_999);
    for (const page of [500n, 501n, 15_000n]) map.delete(page * PAGE_BYTES);
    mapped(4);
    expect([500n, 501n, 15_000n, 20_001n].map((page) => map.at(page * PAGE_BYTES))).toEqual([0, 1, 2, 3]);
    checkTree(map.tree);
  });

  it('may be changed by whoever is offered a hole', () => {
    const map = new AreaMap<number>();
    for (let n = 0; n < 100; n++) map.set(BigInt(n) * 16n, BigInt(n) * 16n + 7n, n);
    let offered = 0;
    map.lowestHole(0n, 1600n - 1n, 8n, (start, last) => {
      map.set(start, last, 1000 + offered++);
      return undefined;
    });
    expect(offered).toBe(100);
    expect(map.lowestHole(0n, 1600n - 1n, 1n, () => true)).toBeUndefined();
    checkTree(map.tree);
  });

  it('let go of values and of room when they are removed', () => {
    const map = new AreaMap<number>();
    for (let n = 0; n < 40_000; n++) map.set(BigInt(n), BigInt(n), n);
    for (let n = 0; n < 39_990; n++) map.delete(BigInt(n));
    expect(map.tree.leaves.values.length).toBeLessThan(2100);
    expect([...map].map((entry) => entry.value)).toEqual([
      39_990, 39_991, 39_992, 39_993, 39_994, 39_995, 39_996, 39_997, 39_998, 39_999,
    ]);
    map.clear();
    expect([...map]).toEqual([]);
    checkTree(map.tree);
  });
});
