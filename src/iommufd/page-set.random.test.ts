/**
 * Random use of several page sets, areas, page tables and accesses against a model that knows nothing but counters;
 * every operation is also tried with each of its steps failing, after which nothing may have changed.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Domain } from '../iommu/domain.ts';
import type { IoPageTable } from '../iommu/pagetable/io-page-table.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import { ULONG_MAX } from './limits.ts';
import type { PageSet } from './page-set.ts';
import { areaOf, mappedAt, PageSetBench, TABLES } from './page-set-testing.ts';

const PAGES = 12;
const PAGE = 4096n;
const BASE = 0x40_0000n;
/** Every area has a slot of I/O addresses of its own. */
const SLOT = 0x10_0000n;

interface Placed {
  area: Area;
  set: number;
  large: boolean;
  domains: number[];
  accesses: [first: number, last: number][];
}

class World {
  readonly bench = new PageSetBench();
  readonly domains: Domain[];
  readonly sets: PageSet[];
  readonly placed: Placed[] = [];
  readonly bytes = new Uint8Array(PAGES * 4096);
  readonly granule: bigint;
  #slot = 16n;

  constructor(table: () => IoPageTable) {
    const { memory } = this.bench;
    memory.mmap(7, { base: BASE, frames: 'scattered' });
    memory.mmap(PAGES - 7, { base: BASE + 7n * PAGE });
    this.domains = [0, 1, 2].map(() => this.bench.domain(table));
    this.granule = this.domains[0]!.smallestPage;
    this.sets = [this.bench.pages(BASE, PAGES), this.bench.pages(BASE + 2n * PAGE, PAGES - 4)];
  }

  place(set: number, start: number, pages: number, half: boolean, large: boolean): void {
    const pageSet = this.sets[set]!;
    const first = start % pageSet.pages;
    const count = Math.min(pages, pageSet.pages - first);
    const skip = half ? this.granule % PAGE : 0n;
    const area = areaOf(
      pageSet.get(),
      this.#slot * SLOT + skip,
      BigInt(first) * PAGE + skip,
      BigInt(count) * PAGE - skip,
    );
    this.#slot++;
    this.placed.push({ area, set, large, domains: [], accesses: [] });
  }

  /** Bytes of the memory, from the start of a page set. */
  at(set: number, offset: number, length: number): Uint8Array {
    const start = offset + (set === 0 ? 0 : 2 * 4096);
    return this.bytes.subarray(start, start + length);
  }

  picture(): unknown {
    const { physical, process } = this.bench;
    return {
      pins: physical.pinned,
      locked: process.user.lockedPages,
      sets: this.sets.map((set) => [set.stretches(), set.accesses]),
      areas: this.placed.map(({ area }) => [area.filled, area.accesses]),
      tables: this.domains.map((domain) => [
        domain.pageTable?.tables,
        [...(domain.pageTable?.leaves(0n, ULONG_MAX) ?? [])],
      ]),
    };
  }

  /** Everything there is, worked out afresh from what was asked for. */
  check(): void {
    const { physical, process, memory } = this.bench;
    const pins = new Map<number, number>();
    const expected = this.sets.map((set, index) => {
      const users = new Array<number>(set.pages).fill(0);
      for (const placed of this.placed) {
        if (placed.set !== index) continue;
        const { firstPage, lastPage } = placed.area;
        if (placed.domains.length > 0) for (let page = firstPage; page <= lastPage; page++) users[page]!++;
        for (const [first, last] of placed.accesses) {
          for (let page = first; page <= last; page++) users[page]!++;
        }
      }
      return users.map((count) => count > 0);
    });
    const frameOf = (set: number, page: number): number => {
      const [low, high] = memory.arenas;
      const index = page + (set === 0 ? 0 : 2);
      return index < 7 ? low!.frameOf(index) : high!.frameOf(index - 7);
    };
    for (const [set, pages] of expected.entries()) {
      for (const [page, pinned] of pages.entries()) {
        const frame = frameOf(set, page);
        pins.set(frame, (pins.get(frame) ?? 0) + (pinned ? 1 : 0));
      }
    }
    for (const [frame, count] of pins) expect(physical.pins(frame)).toBe(count);
    const total = expected.flat().filter(Boolean).length;
    expect(physical.pinned).toBe(total);
    expect(process.user.lockedPages).toBe(total);
    expect(this.sets.map((set) => set.pinnedPages)).toEqual(
      expected.map((pages) => pages.filter(Boolean).length),
    );

    this.domains.forEach((domain, index) => {
      for (const { area, set, domains } of this.placed) {
        const want = mappedAt(domain, area.iova, area.length).map((_, row) => {
          const byte = area.startByte() + BigInt(row) * 2048n;
          const physicalAt = BigInt(frameOf(set, Number(byte / PAGE))) * PAGE + (byte % PAGE);
          return domains.includes(index) ? physicalAt : undefined;
        });
        expect(mappedAt(domain, area.iova, area.length)).toEqual(want);
      }
    });
  }
}

type Op =
  | { do: 'place'; set: number; start: number; pages: number; half: boolean; large: boolean }
  | { do: 'fill'; area: number; domains: number[] }
  | { do: 'join' | 'leave'; area: number; domain: number }
  | { do: 'unfill' | 'split'; area: number; at: number }
  | { do: 'access'; area: number; start: number; pages: number }
  | { do: 'release'; area: number; which: number }
  | { do: 'rw'; set: number; offset: number; length: number; write: boolean; slow: boolean };

const small = fc.nat(PAGES - 1);
const pageCount = fc.integer({ min: 1, max: PAGES });
const pick = fc.nat(30);
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    do: fc.constant('place' as const),
    set: fc.nat(1),
    start: small,
    pages: pageCount,
    half: fc.boolean(),
    large: fc.boolean(),
  }),
  fc.record({ do: fc.constant('fill' as const), area: pick, domains: fc.subarray([0, 1, 2]) }),
  fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), area: pick, domain: fc.nat(2) }),
  fc.record({ do: fc.constantFrom('unfill' as const, 'split' as const), area: pick, at: small }),
  fc.record({ do: fc.constant('access' as const), area: pick, start: small, pages: pageCount }),
  fc.record({ do: fc.constant('release' as const), area: pick, which: pick }),
  fc.record({
    do: fc.constant('rw' as const),
    set: fc.nat(1),
    offset: fc.nat(7 * 4096),
    length: fc.integer({ min: 1, max: 5000 }),
    write: fc.boolean(),
    slow: fc.boolean(),
  }),
);

/** Does it, once with every step failing, then really; the model follows. */
function run(world: World, request: Op, count: number): void {
  const { faults } = world.bench;
  if (request.do === 'place') {
    world.place(request.set, request.start, request.pages, request.half, request.large);
    return;
  }
  const act = prepare(world, request, count);
  if (act === undefined) return;
  for (let n = 1; ; n++) {
    const before = world.picture();
    faults.failAt(n);
    try {
      act.really();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    const { fired } = faults;
    faults.disarm();
    if (fired === undefined) break;
    expect(world.picture(), `after ${fired} failed`).toEqual(before);
  }
  act.inModel();
}

function prepare(world: World, request: Exclude<Op, { do: 'place' }>, count: number) {
  if (request.do === 'rw') return prepareRw(world, request, count);
  const placed = world.placed[request.area % Math.max(world.placed.length, 1)];
  if (placed === undefined) return undefined;
  const { area, large } = placed;
  const { pages } = area;
  switch (request.do) {
    case 'fill': {
      if (placed.domains.length > 0) return undefined;
      const domains = request.domains.map((index) => world.domains[index]!);
      return {
        really: () => pages.fillDomains(area, domains, large),
        inModel: () => void placed.domains.push(...request.domains),
      };
    }
    case 'join':
      if (placed.domains.includes(request.domain)) return undefined;
      return {
        really: () => pages.fillDomain(area, world.domains[request.domain]!, large),
        inModel: () => void placed.domains.push(request.domain),
      };
    case 'leave':
      if (!placed.domains.includes(request.domain)) return undefined;
      return {
        really: () => pages.unfillDomain(area, world.domains[request.domain]!),
        inModel: () => void placed.domains.splice(placed.domains.indexOf(request.domain), 1),
      };
    case 'unfill':
      return {
        really: () =>
          pages.unfillDomains(
            area,
            placed.domains.map((index) => world.domains[index]!),
          ),
        inModel: () => void placed.domains.splice(0),
      };
    case 'split': {
      const unit = world.granule < PAGE ? world.granule : PAGE;
      const last = area.iova - BigInt(area.pageOffset) + BigInt(request.at + 1) * unit - 1n;
      if (last < area.iova) return undefined;
      if (last >= area.last || placed.accesses.length > 0 || (large && placed.domains.length > 0))
        return undefined;
      return {
        really: () => {
          const [left, right] = area.split(last, world.granule, large);
          world.placed.splice(world.placed.indexOf(placed), 1);
          for (const half of [left, right]) {
            world.placed.push({ ...placed, area: half, domains: [...placed.domains], accesses: [] });
          }
        },
        inModel: () => {},
      };
    }
    case 'access': {
      const first = area.firstPage + (request.start % (area.lastPage - area.firstPage + 1));
      const last = Math.min(area.lastPage, first + request.pages - 1);
      return {
        really: () => void pages.addAccess(area, first, last, true),
        inModel: () => void placed.accesses.push([first, last]),
      };
    }
    case 'release': {
      const at = request.which % Math.max(placed.accesses.length, 1);
      const access = placed.accesses[at];
      if (access === undefined) return undefined;
      return {
        really: () => pages.removeAccess(area, ...access),
        inModel: () => void placed.accesses.splice(at, 1),
      };
    }
  }
}

function prepareRw(world: World, request: Extract<Op, { do: 'rw' }>, count: number) {
  const { set, offset, length, write, slow } = request;
  const bytes = new Uint8Array(length);
  if (write) bytes.fill(count % 256);
  return {
    really: () => world.sets[set]!.rw(BigInt(offset), bytes, write, slow),
    inModel: () => {
      if (write) world.at(set, offset, length).set(bytes);
      else expect(bytes).toEqual(world.at(set, offset, length));
    },
  };
}

describe('page sets under random use', () => {
  it.each(Object.entries(TABLES))(
    'agree with counters, and every failing step changes nothing (%s)',
    (_, table) => {
      fc.assert(
        fc.property(fc.array(op, { minLength: 1, maxLength: 30 }), (ops) => {
          const world = new World(table);
          ops.forEach((request, count) => {
            run(world, request, count);
            world.check();
          });
          for (const placed of world.placed) {
            const { area } = placed;
            area.pages.unfillDomains(
              area,
              placed.domains.map((index) => world.domains[index]!),
            );
            for (const access of placed.accesses) area.pages.removeAccess(area, ...access);
            area.pages.put();
          }
          for (const set of world.sets) set.put();
          expect(world.sets.map((set) => set.references)).toEqual([0, 0]);
          expect(world.bench.physical.pinned).toBe(0);
          expect(world.bench.process.pinnedPages).toBe(0);
        }),
        { numRuns: 60 },
      );
    },
  );
});
