import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Domain, DomainType, Prot } from '../iommu/domain.ts';
import { MockTable2K } from '../iommu/pagetable/mock-table-2k.ts';
import { VtdSecondLevel } from '../iommu/pagetable/vtd-second-level.ts';
import { RegionType } from '../iommu/reserved-region.ts';
import {
  codeOf,
  holesOf,
  IoasBench,
  mockDomain,
  PAGE,
  PinningUser,
  plainDomain,
  Readable,
} from './calls/testing.ts';
import { ULONG_MAX } from './limits.ts';
import { everyStepFails } from './testing.ts';

const HALF = PAGE / 2n;
const IOVA = 1n << 24n;

/** Where a byte is in memory, according to the tables of the process. */
function physicalOf({ arena }: IoasBench, userVa: bigint): bigint {
  return BigInt(arena.frames.first) * PAGE + (userVa - arena.base);
}

describe('page tables of an address space', () => {
  it('hold what was mapped before they came and what is mapped after', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    const [first, second] = [mockDomain('first'), mockDomain('second')];
    bench.map(PAGE, { iova: IOVA, userVa: bench.arena.base + HALF });
    iovas.addDomain(first);
    bench.map(2n * PAGE, { iova: IOVA + PAGE });
    iovas.addDomain(second);
    for (const domain of [first, second]) {
      expect(domain.iovaToPhys(IOVA)).toBe(physicalOf(bench, bench.arena.base + HALF));
      expect(domain.iovaToPhys(IOVA + PAGE + 5n)).toBe(physicalOf(bench, bench.arena.base + 5n));
    }
    // The first page is pinned by two mappings, and by neither twice.
    expect(bench.physical.pinned).toBe(4);
    iovas.removeDomain(first);
    expect(holesOf(first)).toEqual([first.aperture]);
    expect(second.iovaToPhys(IOVA)).toBe(physicalOf(bench, bench.arena.base + HALF));
    expect(bench.physical.pinned).toBe(4);
    iovas.removeDomain(second);
    expect(bench.physical.pinned).toBe(0);
    bench.context.close();
    bench.iommufd.assertNothingLeft();
  });

  it('share the pages of copies: pinned once', () => {
    const bench = new IoasBench();
    const other = bench.alloc();
    for (const { iovas } of [bench.ioas, other]) iovas.addDomain(plainDomain());
    bench.map(4n * PAGE, { iova: 0n });
    bench.copy(PAGE, 2n * PAGE, { to: 0x10_0000n, destination: other });
    expect(bench.physical.pinned).toBe(4);
    bench.unmap(0n, 4n * PAGE);
    expect(bench.physical.pinned).toBe(2);
    const [domain] = other.iovas.domains;
    expect(domain!.iovaToPhys(0x10_0000n)).toBe(physicalOf(bench, bench.arena.base + PAGE));
  });

  it('are filled by large leaves, or page by page with large pages off', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    const large = bench.memory.mmap(1024, { base: 0x7100_0000_0000n, align: 512 });
    const leafSizes = () => {
      const pageTable = new VtdSecondLevel();
      const { pageSizes } = pageTable;
      const aperture = { start: 0n, last: (1n << 48n) - 1n };
      iovas.addDomain(new Domain({ type: DomainType.Unmanaged, ops: {}, pageTable, pageSizes, aperture }));
      bench.map(4n << 20n, { iova: 1n << 30n, userVa: large.base });
      const sizes = new Set([...pageTable.leaves(0n, aperture.last)].map(({ size }) => size));
      bench.unmap(0n, ULONG_MAX);
      return [...sizes];
    };
    expect(leafSizes()).toEqual([2n << 20n]);
    iovas.disableLargePages();
    expect(leafSizes()).toEqual([PAGE]);
    iovas.enableLargePages();
    expect(leafSizes()).toEqual([2n << 20n]);
  });

  it('are not added twice, and only removed where they are', () => {
    const { iovas } = new IoasBench().ioas;
    const domain = plainDomain();
    iovas.addDomain(domain);
    expect(codeOf(() => iovas.addDomain(domain))).toBe('EEXIST');
    expect(codeOf(() => iovas.removeDomain(plainDomain()))).toBe('ENOENT');
  });
});

describe('the top of the address space', () => {
  it('can be mapped to the last byte, copied, looked at and unmapped', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    const domain = plainDomain();
    iovas.addDomain(domain);
    const iova = ULONG_MAX - 2n * PAGE + 1n;
    expect(bench.map(2n * PAGE, { iova })).toBe(iova);
    expect(iovas.areaAt(ULONG_MAX)!.last).toBe(ULONG_MAX);
    expect(domain.iovaToPhys(ULONG_MAX)).toBe(physicalOf(bench, bench.arena.base + 2n * PAGE - 1n));
    expect(codeOf(() => bench.map(PAGE, { iova: ULONG_MAX - PAGE + 1n }))).toBe('EEXIST');
    expect(bench.copy(ULONG_MAX - PAGE + 1n, PAGE, { to: 0n })).toBe(0n);
    expect(iovas.areaAt(0n)!.pageAt(0n)).toBe(1);
    expect(codeOf(() => bench.copy(ULONG_MAX - PAGE + 1n, PAGE + 1n))).toBe('EOVERFLOW');
    expect(iovas.contiguousAreas(iova, ULONG_MAX)).toHaveLength(1);
    expect(codeOf(() => bench.unmap(ULONG_MAX - PAGE + 1n, PAGE))).toBe('ENOENT');
    expect(bench.unmap(iova, 2n * PAGE)).toBe(2n * PAGE);
    expect(bench.unmap(0n, ULONG_MAX)).toBe(PAGE);
    expect(bench.physical.pinned).toBe(0);
  });

  it('can be filled by two mappings: all of 2^64 bytes unmapped read as 0, as 64 bits have it', () => {
    const bench = new IoasBench();
    const half = 1n << 63n;
    bench.map(half, { iova: 0n, userVa: 0n });
    bench.map(half, { iova: half, userVa: 0n });
    expect(bench.ioas.iovas.contiguousAreas(0n, ULONG_MAX)).toHaveLength(2);
    expect(codeOf(() => bench.map(1n, { userVa: 0n }))).toBe('ENOSPC');
    expect(bench.unmap(0n, ULONG_MAX)).toBe(0n);
    expect(bench.ioas.iovas.areas.size).toBe(0);
  });

  it('can be reserved', () => {
    const { iovas } = new IoasBench().ioas;
    iovas.reserve(null, ULONG_MAX, ULONG_MAX);
    iovas.reserve(null, 0n, 0n);
    expect(iovas.usableRanges()).toEqual([{ start: 1n, last: ULONG_MAX - 1n }]);
  });
});

describe('cutting', () => {
  function cuttable() {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    iovas.disableLargePages();
    iovas.addDomain(mockDomain());
    bench.map(4n * PAGE, { iova: IOVA });
    return { bench, iovas, domain: iovas.domains[0]! };
  }

  it('makes two areas over one page set, which stay mapped and can be unmapped apart', () => {
    const { bench, iovas, domain } = cuttable();
    iovas.cut([IOVA + 3n * PAGE - 1n, IOVA + PAGE - 1n]);
    expect([...iovas.areas].map(({ start, last }) => [start - IOVA, last - IOVA + 1n])).toEqual([
      [0n, PAGE],
      [PAGE, 3n * PAGE],
      [3n * PAGE, 4n * PAGE],
    ]);
    expect(domain.iovaToPhys(IOVA + 2n * PAGE)).toBe(physicalOf(bench, bench.arena.base + 2n * PAGE));
    expect(bench.unmap(IOVA + PAGE, 2n * PAGE)).toBe(2n * PAGE);
    expect(bench.physical.pinned).toBe(2);
    expect(domain.iovaToPhys(IOVA + 2n * PAGE)).toBeUndefined();
    expect(bench.unmap(0n, ULONG_MAX)).toBe(2n * PAGE);
    expect(bench.physical.pinned).toBe(0);
  });

  it('does nothing at the ends of an area, or where nothing is mapped', () => {
    const { iovas } = cuttable();
    iovas.cut([IOVA, IOVA + 4n * PAGE - 1n, 0n, ULONG_MAX]);
    expect(iovas.areas.size).toBe(1);
  });

  it('is refused off the pages, with large pages on, with accesses, and while unmapping', () => {
    const { bench, iovas } = cuttable();
    expect(codeOf(() => iovas.cut([IOVA + HALF - 1n]))).toBe('EINVAL');
    const user = new PinningUser(Infinity);
    iovas.addAccess(user, PAGE);
    user.pin(bench.ioas, IOVA);
    expect(codeOf(() => iovas.cut([IOVA + PAGE - 1n]))).toBe('EINVAL');
    expect(codeOf(() => bench.unmap(IOVA, 4n * PAGE))).toBe('EDEADLK');
    expect(codeOf(() => iovas.cut([IOVA + PAGE - 1n]))).toBe('EBUSY');
    user.release();
    bench.unmap(0n, ULONG_MAX);
    iovas.enableLargePages();
    bench.map(4n * PAGE, { iova: IOVA });
    expect(codeOf(() => iovas.cut([IOVA + PAGE - 1n]))).toBe('EINVAL');
  });

  it('keeps cuts before one that is refused', () => {
    const { iovas } = cuttable();
    expect(codeOf(() => iovas.cut([IOVA + 2n * PAGE - 1n, IOVA + 5n]))).toBe('EINVAL');
    expect(iovas.areas.size).toBe(2);
  });
});

describe('when any step fails nothing has changed', () => {
  function prepared() {
    const bench = new IoasBench({}, { capabilities: [], memlockLimit: 1n << 40n });
    const { iovas } = bench.ioas;
    iovas.disableLargePages();
    for (const name of ['first', 'second']) iovas.addDomain(mockDomain(name, { faults: bench.faults }));
    bench.map(2n * PAGE, { iova: IOVA });
    bench.map(PAGE, { iova: IOVA + 2n * PAGE });
    return bench;
  }

  const pinning = ['page batch', 'pin pages', 'charge for pinned pages', 'page table'];
  const mapping = ['object look-up', 'page set', 'area', ...pinning];
  const copying = ['object look-up', 'page list', 'area', 'page batch', 'page table'];
  const regions = [
    { start: 0n, last: 9n, type: RegionType.Reserved },
    { start: 20n, last: 29n, type: RegionType.Reserved },
  ];
  const far = IOVA + (1n << 26n);

  it.each<[string, (bench: IoasBench) => unknown, string[]]>([
    ['mapping at an address', (bench) => bench.map(3n * PAGE, { iova: far }), mapping],
    ['mapping anywhere', (bench) => bench.map(3n * PAGE), mapping.slice(0, -1)],
    ['copying one piece', (bench) => bench.copy(IOVA, PAGE, { to: far }), copying],
    ['copying two pieces', (bench) => bench.copy(IOVA, 3n * PAGE, { to: far }), copying],
    ['unmapping', (bench) => bench.unmap(IOVA, 3n * PAGE), ['object look-up']],
    ['cutting', ({ ioas }) => ioas.iovas.cut([IOVA + PAGE - 1n]), ['left area', 'right area']],
    ['reserving', ({ ioas }) => ioas.iovas.reserve(null, 0n, 9n), ['reserved range']],
    [
      'adding a page table',
      ({ ioas, faults }) => ioas.iovas.addDomain(mockDomain('third', { faults })),
      ['reserved range', 'domain entry', 'page batch', 'page table'],
    ],
    ['removing a page table', ({ ioas: { iovas } }) => iovas.removeDomain(iovas.domains[0]!), []],
    ['adding an access', ({ ioas }) => ioas.iovas.addAccess(new PinningUser(), PAGE), ['access entry']],
    [
      'enforcing regions of a device',
      ({ ioas }) => ioas.iovas.enforceDevRegions({ name: 'device' }, regions),
      ['reserved regions', 'reserved range'],
    ],
  ])('%s', (_, act, steps) => {
    const failed = everyStepFails(() => {
      const bench = prepared();
      return { faults: bench.faults, act: () => act(bench), picture: () => bench.picture() };
    });
    expect([...new Set(failed)]).toEqual(expect.arrayContaining(steps));
  });
});

function tableOf(domain: Domain): MockTable2K {
  if (!(domain.pageTable instanceof MockTable2K)) throw new Error('a domain of these tests');
  return domain.pageTable;
}

/** One entry a half page: which half page of memory is there, and whether it may be written to. */
interface Cell {
  memory: number;
  mapping: number;
  prot: number;
  writable: boolean;
}

const CELLS = 24;

/** What mapping does, by half pages; knows nothing of areas but that they come and go whole. */
class CellModel {
  readonly cells: (Cell | undefined)[] = Array.from({ length: CELLS });
  #mappings = 0;

  map(
    at: number,
    pieces: { memory: number; count: number; prot: number; writable: boolean }[],
  ): string | undefined {
    const count = pieces.reduce((sum, piece) => sum + piece.count, 0);
    if (at + count > CELLS) return 'EINVAL';
    if (this.cells.slice(at, at + count).some((cell) => cell !== undefined)) return 'EEXIST';
    if (pieces.some(({ prot, writable }) => (prot & Prot.Write) !== 0 && !writable)) return 'EPERM';
    let next = at;
    for (const { memory, count: length, prot, writable } of pieces) {
      const mapping = this.#mappings++;
      for (let n = 0; n < length; n++) this.cells[next++] = { memory: memory + n, mapping, prot, writable };
    }
    return undefined;
  }

  /** The same mapping, cut off: half pages of one mapping are one piece. */
  copy(from: number, to: number, count: number, prot: number): string | undefined {
    const source = this.cells.slice(from, from + count);
    if (from + count > CELLS || source.some((cell) => cell === undefined)) return 'ENOENT';
    const pieces: { memory: number; count: number; prot: number; writable: boolean }[] = [];
    let before: number | undefined;
    for (const cell of source as Cell[]) {
      if (cell.mapping === before) pieces.at(-1)!.count++;
      else pieces.push({ memory: cell.memory, count: 1, prot, writable: cell.writable });
      before = cell.mapping;
    }
    return this.map(to, pieces);
  }

  /** @returns half pages unmapped, or the refusal */
  unmap(at: number, count: number): number | string {
    let unmapped = 0;
    const done = new Set<number>();
    for (let n = at; n < Math.min(at + count, CELLS); n++) {
      const mapping = this.cells[n]?.mapping;
      if (mapping === undefined || done.has(mapping)) continue;
      const all = this.cells.flatMap((cell, index) => (cell?.mapping === mapping ? [index] : []));
      if (all[0]! < at || all.at(-1)! >= at + count) return 'ENOENT';
      for (const index of all) this.cells[index] = undefined;
      unmapped += all.length;
      done.add(mapping);
    }
    return unmapped === 0 ? 'ENOENT' : unmapped;
  }
}

const position = fc.nat(CELLS - 1);
const count = fc.integer({ min: 1, max: 6 });
const prot = fc.constantFrom(Prot.Read, Prot.Read | Prot.Write);
const command = fc.oneof(
  fc.record({ what: fc.constant('map' as const), at: position, memory: position, count, prot }),
  fc.record({ what: fc.constant('auto' as const), memory: position, count, prot }),
  fc.record({ what: fc.constant('copy' as const), at: position, from: position, count, prot }),
  fc.record({ what: fc.constant('unmap' as const), at: position, count }),
  fc.record({ what: fc.constant('domain' as const), which: fc.nat(1) }),
);

describe('random lives of an address space', () => {
  it.each([
    ['at the bottom of the aperture', IOVA],
    ['up to 2^64-1', ULONG_MAX + 1n - BigInt(CELLS) * HALF],
  ])('agree with one entry a half page, %s', (_, base) => {
    const end = base + BigInt(CELLS) * HALF;
    const iovaOf = (cell: number) => base + BigInt(cell) * HALF;
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const bench = new IoasBench();
        const { iovas } = bench.ioas;
        const model = new CellModel();
        const aperture = { start: base, last: end - 1n };
        const domains = [mockDomain('a', { aperture }), mockDomain('b', { aperture })];
        // Alignment and aperture are there from the start, whether a table is filled or not.
        const first = mockDomain('always', { aperture });
        iovas.addDomain(first);
        const flags = (bits: number) => ((bits & Prot.Write) !== 0 ? Readable | 2 : Readable);
        for (const step of commands) {
          if (step.what === 'map') {
            const { at, memory, count: length } = step;
            const writable = (step.prot & Prot.Write) !== 0;
            const expected = model.map(at, [{ memory, count: length, prot: step.prot, writable }]);
            const code = codeOf(() =>
              bench.map(BigInt(length) * HALF, {
                iova: iovaOf(at),
                userVa: bench.arena.base + BigInt(memory) * HALF,
                flags: flags(step.prot),
              }),
            );
            expect(code === 'EOVERFLOW' ? 'EINVAL' : code).toBe(expected);
          } else if (step.what === 'auto') {
            const { memory, count: length } = step;
            // Which address it has to be is asked in iova-placement.test.ts; here that it is good.
            let iova = -1n;
            const code = codeOf(() => {
              iova = bench.map(BigInt(length) * HALF, {
                userVa: bench.arena.base + BigInt(memory) * HALF,
                flags: flags(step.prot),
              });
            });
            if (code !== undefined) {
              expect(code).toBe('ENOSPC');
              continue;
            }
            expect(iova >= base && iova < end).toBe(true);
            const writable = (step.prot & Prot.Write) !== 0;
            const at = Number((iova - base) / HALF);
            expect(model.map(at, [{ memory, count: length, prot: step.prot, writable }])).toBeUndefined();
          } else if (step.what === 'copy') {
            const { at, from, count: length } = step;
            const expected = model.copy(from, at, length, step.prot);
            const code = codeOf(() =>
              bench.copy(iovaOf(from), BigInt(length) * HALF, { to: iovaOf(at), flags: flags(step.prot) }),
            );
            const past = code === 'EOVERFLOW';
            expect(past ? (from + length > CELLS ? 'ENOENT' : 'EINVAL') : code).toBe(expected);
          } else if (step.what === 'unmap') {
            const { at } = step;
            const length = Math.min(step.count, CELLS - at);
            const expected = model.unmap(at, length);
            let unmapped = 0n;
            const code = codeOf(() => {
              unmapped = bench.unmap(iovaOf(at), BigInt(length) * HALF);
            });
            expect(code ?? Number(unmapped / HALF)).toBe(expected);
          } else {
            const domain = domains[step.which]!;
            if (iovas.domains.includes(domain)) iovas.removeDomain(domain);
            else iovas.addDomain(domain);
          }
          for (const domain of iovas.domains) {
            const table = tableOf(domain);
            expect(model.cells.map((_cell, at) => table.translate(iovaOf(at)))).toEqual(
              model.cells.map(
                (cell) => cell && physicalOf(bench, bench.arena.base) + BigInt(cell.memory) * HALF,
              ),
            );
            expect(
              model.cells.map((_cell, at) => typeof table.access(iovaOf(at), true) === 'object'),
            ).toEqual(model.cells.map((cell) => ((cell?.prot ?? 0) & Prot.Write) !== 0));
          }
        }
        for (const domain of [...iovas.domains]) iovas.removeDomain(domain);
        expect(bench.physical.pinned).toBe(0);
        bench.context.close();
        bench.iommufd.assertNothingLeft();
      }),
      { numRuns: 300 },
    );
  });
});
