/** Section 3 of facts/iommufd.md, row by row. */

import { describe, expect, it } from 'vitest';
import { RegionType } from '../../iommu/reserved-region.ts';
import { KernelError } from '../../kernel/errors.ts';
import { ULONG_MAX } from '../limits.ts';
import { UnmapError } from '../unmap-areas.ts';
import { ioasAlloc } from './ioas-alloc.ts';
import { ioasAllowIovas } from './ioas-allow-iovas.ts';
import { ioasCopy } from './ioas-copy.ts';
import { ioasIovaRanges } from './ioas-iova-ranges.ts';
import { ioasMap } from './ioas-map.ts';
import { ioasUnmap } from './ioas-unmap.ts';
import { writeRange } from './iova-range-bytes.ts';
import { OptionId, OptionOp, option } from './option.ts';
import { RepliedError } from './replied-error.ts';
import {
  codeOf,
  FixedIova,
  IoasBench,
  mockDomain,
  PAGE,
  PinningUser,
  plainDomain,
  READ_WRITE,
  Readable,
  Writeable,
} from './testing.ts';
import { VfioIoasOp, vfioIoas } from './vfio-ioas.ts';

const NO_IOAS = 99;
const UNKNOWN_FLAG = 8;

describe('a new IOAS', () => {
  it('has all of 0 to 2^64-1 usable and an alignment of 1', () => {
    const { ioas } = new IoasBench();
    expect(ioas.iovas.usableRanges()).toEqual([{ start: 0n, last: ULONG_MAX }]);
    expect(ioas.iovas.iovaAlignment).toBe(1n);
  });

  it('is refused any flag, and takes the lowest free id', () => {
    const bench = new IoasBench();
    expect(codeOf(() => ioasAlloc(bench.context, { flags: 1, outIoasId: 0 }))).toBe('EOPNOTSUPP');
    const second = bench.alloc();
    bench.context.objects.remove(bench.ioas.id);
    expect([second.id, bench.alloc().id]).toEqual([2, 1]);
  });

  it('is destroyed with what is mapped, but not while it is used', () => {
    const bench = new IoasBench();
    bench.map(PAGE);
    bench.ioas.users++;
    expect(codeOf(() => bench.context.objects.remove(bench.ioas.id))).toBe('EBUSY');
    bench.ioas.users--;
    bench.context.objects.remove(bench.ioas.id);
    expect(codeOf(() => bench.context.objects.remove(bench.ioas.id))).toBe('ENOENT');
    bench.context.close();
    bench.iommufd.assertNothingLeft();
  });
});

describe('IOVA_RANGES', () => {
  function ranges(bench: IoasBench, overrides: object = {}) {
    const request = {
      ioasId: bench.ioas.id,
      numIovas: 8,
      reserved: 0,
      allowedIovas: bench.arena.base,
      outIovaAlignment: 0n,
      ...overrides,
    };
    return { request, code: codeOf(() => ioasIovaRanges(bench.context, request)) };
  }

  it.each([
    ['reserved first', { reserved: 1, ioasId: NO_IOAS }, 'EOPNOTSUPP'],
    ['then the IOAS', { ioasId: NO_IOAS, allowedIovas: 0n }, 'ENOENT'],
    ['then the memory', { allowedIovas: 0n }, 'EFAULT'],
    ['memory even where not all fit', { allowedIovas: 0n, numIovas: 1 }, 'EFAULT'],
  ])('checks %s', (_, overrides, expected) => {
    const bench = new IoasBench();
    bench.ioas.iovas.reserve(null, PAGE, PAGE);
    expect(ranges(bench, overrides).code).toBe(expected);
  });

  it('answers holes between reservations, their number and the alignment', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    iovas.addDomain(mockDomain());
    iovas.reserve(null, 1n << 25n, (1n << 26n) - 1n);
    // Adjoining and overlapping reservations leave no hole between them.
    iovas.reserve(null, 1n << 26n, (1n << 26n) + 9n);
    iovas.reserve(null, (1n << 26n) + 5n, (1n << 26n) + 14n);
    const { request, code } = ranges(bench);
    expect(code).toBeUndefined();
    expect([request.numIovas, request.outIovaAlignment]).toEqual([2, 2048n]);
    const words = new BigUint64Array(bench.arena.bytes(bench.arena.base, 32).slice().buffer);
    expect([...words]).toEqual([1n << 24n, (1n << 25n) - 1n, (1n << 26n) + 15n, (1n << 31n) - 1n]);
  });

  it('replies with the number and EMSGSIZE where not all fit, and writes as many as do', () => {
    const bench = new IoasBench();
    bench.ioas.iovas.reserve(null, PAGE, PAGE);
    const request = {
      ioasId: bench.ioas.id,
      numIovas: 1,
      reserved: 0,
      allowedIovas: bench.arena.base,
      outIovaAlignment: 0n,
    };
    expect(() => ioasIovaRanges(bench.context, request)).toThrow(RepliedError);
    expect([request.numIovas, request.outIovaAlignment]).toEqual([2, 1n]);
    const words = new BigUint64Array(bench.arena.bytes(bench.arena.base, 32).slice().buffer);
    expect([...words]).toEqual([0n, PAGE - 1n, 0n, 0n]);
    expect(ranges(bench, { numIovas: 0, allowedIovas: 0n }).code).toBe('EMSGSIZE');
  });

  it('answers nothing at all where everything is reserved', () => {
    const bench = new IoasBench();
    bench.ioas.iovas.reserve(null, 0n, ULONG_MAX);
    const { request, code } = ranges(bench, { numIovas: 0 });
    expect([code, request.numIovas]).toEqual([undefined, 0]);
  });
});

describe('ALLOW_IOVAS', () => {
  function allow(bench: IoasBench, list: [bigint, bigint][], overrides: object = {}): string | undefined {
    list.forEach(([start, last], index) => {
      writeRange(bench.memory, bench.arena.base, index, { start, last });
    });
    const request = {
      ioasId: bench.ioas.id,
      numIovas: list.length,
      reserved: 0,
      allowedIovas: bench.arena.base,
      ...overrides,
    };
    return codeOf(() => ioasAllowIovas(bench.context, request));
  }

  it.each<[string, [bigint, bigint][], object, string]>([
    ['reserved first', [], { reserved: 1, ioasId: NO_IOAS }, 'EOPNOTSUPP'],
    ['then the IOAS', [[0n, 0n]], { ioasId: NO_IOAS }, 'ENOENT'],
    ['then the memory', [[0n, 0n]], { allowedIovas: 0n }, 'EFAULT'],
    ['that no range is of one byte', [[7n, 7n]], {}, 'EINVAL'],
    ['that no range is upside down', [[8n, 7n]], {}, 'EINVAL'],
    [
      'that ranges do not overlap',
      [
        [10n, 20n],
        [0n, 10n],
      ],
      {},
      'EINVAL',
    ],
    ['entries in order, up to the first that is wrong', [[5n, 5n]], { numIovas: 1 << 20 }, 'EINVAL'],
    ['reservations last', [[PAGE, PAGE + 1n]], {}, 'EADDRINUSE'],
  ])('checks %s', (_, list, overrides, expected) => {
    const bench = new IoasBench();
    bench.ioas.iovas.reserve(null, PAGE, 2n * PAGE);
    expect(allow(bench, list, overrides)).toBe(expected);
  });

  it('replaces the whole list, keeps the old one on failure, and clears it with none', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    iovas.reserve(null, 0n, 9n);
    expect(
      allow(bench, [
        [100n, 199n],
        [20n, 29n],
      ]),
    ).toBeUndefined();
    expect([...iovas.allowed]).toEqual([
      { start: 20n, last: 29n },
      { start: 100n, last: 199n },
    ]);
    expect(
      allow(bench, [
        [50n, 60n],
        [9n, 11n],
      ]),
    ).toBe('EADDRINUSE');
    expect(
      allow(bench, [
        [50n, 60n],
        [60n, 70n],
      ]),
    ).toBe('EINVAL');
    expect([...iovas.allowed]).toEqual([
      { start: 20n, last: 29n },
      { start: 100n, last: 199n },
    ]);
    expect(allow(bench, [])).toBeUndefined();
    expect(iovas.allowed.size).toBe(0);
  });

  it('may cut off what is mapped: only placement asks', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { iova: 0x5000n });
    expect(allow(bench, [[0x10_0000n, 0x20_0000n]])).toBeUndefined();
    expect(bench.map(PAGE)).toBe(0x10_0000n);
    expect(bench.map(PAGE, { iova: 0x6000n })).toBe(0x6000n);
  });
});

describe('MAP', () => {
  const good = (bench: IoasBench) => ({
    flags: READ_WRITE | FixedIova,
    ioasId: bench.ioas.id,
    reserved: 0,
    userVa: bench.arena.base,
    length: PAGE,
    iova: 0x1000n,
  });
  type Request = ReturnType<typeof good>;

  it.each<[string, Partial<Request>, string | undefined]>([
    ['an unknown flag', { flags: READ_WRITE | UNKNOWN_FLAG, iova: ULONG_MAX }, 'EOPNOTSUPP'],
    ['a reserved field', { reserved: 1, iova: ULONG_MAX }, 'EOPNOTSUPP'],
    ['an address of 2^64-1', { iova: ULONG_MAX, flags: FixedIova }, 'EOVERFLOW'],
    ['an address of 2^64-1, though only an output', { iova: ULONG_MAX, flags: READ_WRITE }, 'EOVERFLOW'],
    ['a length of 2^64-1', { length: ULONG_MAX, flags: FixedIova }, 'EOVERFLOW'],
    ['neither read nor write', { flags: FixedIova, ioasId: NO_IOAS }, 'EINVAL'],
    ['no such IOAS', { ioasId: NO_IOAS, length: 0n }, 'ENOENT'],
    ['no length', { length: 0n, userVa: ULONG_MAX }, 'EINVAL'],
    ['a length near the maximum', { length: ULONG_MAX - PAGE + 1n, userVa: ULONG_MAX }, 'EINVAL'],
    ['memory that wraps around', { userVa: ULONG_MAX - PAGE + 1n, length: PAGE, iova: 1n }, 'EOVERFLOW'],
    ['memory that ends right at 2^64', { userVa: ULONG_MAX - 9n, length: 10n }, 'EOVERFLOW'],
    ['memory that ends just below', { userVa: ULONG_MAX - 10n, length: 10n }, undefined],
  ])('checks %s in this order', (_, overrides, expected) => {
    const bench = new IoasBench();
    expect(codeOf(() => ioasMap(bench.context, { ...good(bench), ...overrides }))).toBe(expected);
  });

  it.each<[string, Partial<Request>, string | undefined]>([
    ['length before place', { length: PAGE + 1n, iova: 1n }, 'EINVAL'],
    ['an unaligned address before its end', { length: 1n << 63n, iova: (1n << 63n) + 1n }, 'EINVAL'],
    ['a range past the end', { length: 1n << 63n, iova: (1n << 63n) + PAGE }, 'EOVERFLOW'],
    ['a reserved range', { iova: 0x9_f000n, length: 2n * PAGE }, 'EINVAL'],
    ['a reserved range before what is mapped', { iova: 0x9_f000n, length: 0x10_0000n }, 'EINVAL'],
    ['what is mapped', { iova: 0xf_f000n, length: 2n * PAGE }, 'EEXIST'],
    ['offsets in the page last', { iova: 0x20_0000n, userVa: 0x7000_0000_0010n }, 'EINVAL'],
    ['nothing wrong with address 0', { iova: 0n }, undefined],
  ])('at a fixed address finds %s', (_, overrides, expected) => {
    const bench = new IoasBench();
    bench.ioas.iovas.addDomain(plainDomain());
    bench.ioas.iovas.reserve(null, 0xa_0000n, 0xb_ffffn);
    bench.map(PAGE, { iova: 0x10_0000n });
    expect(codeOf(() => ioasMap(bench.context, { ...good(bench), ...overrides }))).toBe(expected);
  });

  it('without a place to go: EOVERFLOW, EINVAL, ENOSPC', () => {
    const bench = new IoasBench();
    expect(codeOf(() => bench.map(ULONG_MAX / 2n, { userVa: 0n }))).toBe('EOVERFLOW');
    bench.ioas.iovas.addDomain(plainDomain());
    expect(codeOf(() => bench.map(PAGE, { userVa: bench.arena.base + 8n }))).toBe('EINVAL');
    expect(codeOf(() => bench.map(ULONG_MAX / 2n, { userVa: 0n }))).toBe('EINVAL');
    bench.ioas.iovas.reserve(null, 0x1000n, ULONG_MAX);
    expect(codeOf(() => bench.map(PAGE))).toBe('ENOSPC');
  });

  it('does not look at the memory until a page table or an access does', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { userVa: 0x1000n, iova: 0n });
    expect(codeOf(() => bench.ioas.iovas.addDomain(plainDomain()))).toBe('EFAULT');
    expect(bench.unmap(0n, PAGE)).toBe(PAGE);
    bench.ioas.iovas.addDomain(plainDomain());
    expect(codeOf(() => bench.map(PAGE, { userVa: 0x1000n }))).toBe('EFAULT');
  });

  it('leaves the address alone where it is refused, and always maps coherently', () => {
    const bench = new IoasBench();
    const request = { ...good(bench), flags: Readable, length: 0n, iova: 77n };
    expect(codeOf(() => ioasMap(bench.context, request))).toBe('EINVAL');
    expect(request.iova).toBe(77n);
    bench.map(PAGE, { iova: 0n, flags: Readable });
    expect(bench.ioas.iovas.areaAt(0n)!.prot).toBe(1 | 4);
  });
});

describe('COPY', () => {
  const good = (bench: IoasBench) => ({
    flags: READ_WRITE | FixedIova,
    dstIoasId: bench.ioas.id,
    srcIoasId: bench.ioas.id,
    length: PAGE,
    dstIova: 0x10_0000n,
    srcIova: 0x1000n,
  });
  type Request = ReturnType<typeof good>;

  it.each<[string, Partial<Request>, string | undefined]>([
    ['an unknown flag', { flags: UNKNOWN_FLAG, length: ULONG_MAX }, 'EOPNOTSUPP'],
    ['a length of 2^64-1', { flags: 0, length: ULONG_MAX }, 'EOVERFLOW'],
    ['a source of 2^64-1', { flags: 0, srcIova: ULONG_MAX }, 'EOVERFLOW'],
    ['a destination of 2^64-1', { flags: Readable, dstIova: ULONG_MAX }, 'EOVERFLOW'],
    ['neither read nor write', { flags: FixedIova, srcIoasId: NO_IOAS }, 'EINVAL'],
    ['no such source', { srcIoasId: NO_IOAS, length: 0n }, 'ENOENT'],
    ['no length', { length: 0n, dstIoasId: NO_IOAS }, 'EINVAL'],
    ['a source past the end', { srcIova: ULONG_MAX - 1n, dstIoasId: NO_IOAS }, 'EOVERFLOW'],
    ['a source with a hole', { length: 8n * PAGE }, 'ENOENT'],
    ['a source that begins before the mapping', { srcIova: 0xfffn }, 'ENOENT'],
    ['no such destination', { dstIoasId: NO_IOAS }, 'ENOENT'],
    ['what is mapped at the destination', { dstIova: 0x1000n, srcIova: 0x4000n }, 'EEXIST'],
    ['writing to memory mapped read-only', { srcIova: 0x4000n }, 'EPERM'],
    ['writing to part of it', { length: 4n * PAGE }, 'EPERM'],
    ['nothing wrong with reading it', { srcIova: 0x4000n, flags: Readable | FixedIova }, undefined],
    ['nothing wrong with part of a mapping, off its pages', { srcIova: 0x1801n, length: 5n }, undefined],
    ['nothing wrong with two mappings side by side', { length: 3n * PAGE }, undefined],
  ])('finds %s in this order', (_, overrides, expected) => {
    const bench = new IoasBench();
    bench.map(2n * PAGE, { iova: 0x1000n });
    bench.map(PAGE, { iova: 0x3000n });
    bench.map(PAGE, { iova: 0x4000n, flags: Readable });
    expect(codeOf(() => ioasCopy(bench.context, { ...good(bench), ...overrides }))).toBe(expected);
    expect([...bench.ioas.iovas.areas].every(({ value }) => value.pages.references <= 2)).toBe(true);
  });

  it('places by the first piece, one area for each piece', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { iova: 0x1000n, userVa: bench.arena.base + 0x200n });
    bench.map(PAGE, { iova: 0x2000n, userVa: bench.arena.base + 0x9000n });
    const iova = bench.copy(0x1800n, PAGE);
    expect(iova).toBe(0x3a00n);
    const first = bench.ioas.iovas.areaAt(iova)!;
    expect([first.pageOffset, first.length]).toEqual([0xa00, 0x800n]);
    expect(bench.ioas.iovas.areaAt(iova + 0x800n)!.pageOffset).toBe(0);
  });
});

describe('UNMAP', () => {
  it.each<[string, { ioasId?: number; iova?: bigint; length?: bigint }, string | bigint]>([
    ['no such IOAS', { ioasId: NO_IOAS, iova: ULONG_MAX }, 'ENOENT'],
    ['an address of 2^64-1', { iova: ULONG_MAX, length: 0n }, 'EOVERFLOW'],
    ['a length of 2^64-1, but for address 0', { iova: 1n, length: ULONG_MAX }, 'EOVERFLOW'],
    ['no length', { length: 0n }, 'EINVAL'],
    ['a range that wraps around', { iova: ULONG_MAX - 1n, length: 3n }, 'EOVERFLOW'],
    ['nothing mapped', { iova: 0x9000n }, 'ENOENT'],
    ['part of a mapping', { iova: 0x2000n, length: PAGE }, 'ENOENT'],
    ['a whole mapping', { iova: 0x1000n, length: 2n * PAGE }, 2n * PAGE],
    ['several, and holes', { iova: 0n, length: 0x10_0000n }, 3n * PAGE],
    ['everything', { iova: 0n, length: ULONG_MAX }, 3n * PAGE],
  ])('finds %s', (_, overrides, expected) => {
    const bench = new IoasBench();
    bench.map(2n * PAGE, { iova: 0x1000n });
    bench.map(PAGE, { iova: 0x5000n });
    const request = { ioasId: bench.ioas.id, iova: 0x1000n, length: PAGE, ...overrides };
    const code = codeOf(() => ioasUnmap(bench.context, request));
    expect(code ?? request.length).toBe(expected);
  });

  it('of everything succeeds where nothing is mapped', () => {
    const bench = new IoasBench();
    expect(bench.unmap(0n, ULONG_MAX)).toBe(0n);
  });

  it('that meets a mapping only partly has taken away those before it, and does not say how much', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { iova: 0x1000n });
    bench.map(2n * PAGE, { iova: 0x2000n });
    const request = { ioasId: bench.ioas.id, iova: 0x1000n, length: 2n * PAGE };
    expect(codeOf(() => ioasUnmap(bench.context, request))).toBe('ENOENT');
    expect(request.length).toBe(2n * PAGE);
    expect([...bench.ioas.iovas.areas].map(({ start }) => start)).toEqual([0x2000n]);
    bench.map(PAGE, { iova: 0x1000n });
    const refusal = catching(() => bench.ioas.iovas.unmap(0x1000n, 2n * PAGE));
    expect(refusal).toBeInstanceOf(UnmapError);
    expect((refusal as UnmapError).unmapped).toBe(PAGE);
  });

  it('asks in-kernel users to let go, again and again', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { iova: 0x1000n });
    bench.map(2n * PAGE, { iova: 0x2000n });
    const user = new PinningUser(99);
    bench.ioas.iovas.addAccess(user, PAGE);
    user.pin(bench.ioas, 0x3000n);
    expect(bench.physical.pinned).toBe(1);
    expect(bench.unmap(0n, 0x10_0000n)).toBe(3n * PAGE);
    expect(user.requests).toHaveLength(100);
    expect(user.requests[0]).toEqual({ iova: 0x2000n, length: 2n * PAGE });
    bench.ioas.iovas.removeAccess(user);
    bench.context.close();
    bench.iommufd.assertNothingLeft();
  });

  it('gives up with EDEADLK once it has asked more than a hundred times', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { iova: 0x1000n });
    const user = new PinningUser(Infinity);
    bench.ioas.iovas.addAccess(user, PAGE);
    user.pin(bench.ioas, 0x1000n);
    expect(codeOf(() => bench.unmap(0x1000n, PAGE))).toBe('EDEADLK');
    expect(user.requests).toHaveLength(101);
    expect(bench.ioas.iovas.areaAt(0x1000n)!.preventAccess).toBe(true);
    user.release();
    expect(bench.unmap(0x1000n, PAGE)).toBe(PAGE);
  });

  it('finds an area that is still being filled busy, and maps and copies find its place taken', () => {
    const bench = new IoasBench();
    bench.ioas.iovas.addDomain(plainDomain());
    const seen: (string | undefined)[] = [];
    const { memory } = bench;
    const curious = {
      name: 'curious memory',
      read: memory.read.bind(memory),
      write: memory.write.bind(memory),
      pin(...pages: Parameters<typeof memory.pin>) {
        seen.push(codeOf(() => bench.unmap(0x1000n, PAGE)));
        seen.push(codeOf(() => bench.copy(0x1000n, PAGE)));
        seen.push(codeOf(() => bench.map(PAGE, { iova: 0x1000n })));
        seen.push(codeOf(() => bench.ioas.iovas.cut([0x1800n])));
        memory.pin(...pages);
      },
    };
    bench.ioas.iovas.mapUserPages(curious, bench.arena.base, PAGE, 3, { iova: 0x1000n });
    expect(seen).toEqual(['EBUSY', 'ENOENT', 'EEXIST', 'EBUSY']);
    expect(bench.unmap(0x1000n, PAGE)).toBe(PAGE);
  });
});

describe('reserved ranges', () => {
  it('of a device are its regions, but for direct-relaxable ones, until it gives them back', () => {
    const { ioas } = new IoasBench();
    const device = { name: '0000:01:00.0' };
    const other = { name: '0000:02:00.0' };
    const regions = [
      { start: 0x1000n, last: 0x1fffn, type: RegionType.DirectRelaxable },
      { start: 0x3000n, last: 0x3fffn, type: RegionType.Direct },
      { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi },
    ];
    expect(ioas.iovas.enforceDevRegions(device, regions, true)).toBeUndefined();
    ioas.iovas.enforceDevRegions(other, regions.slice(1, 2));
    ioas.iovas.removeReserved(device);
    expect(ioas.iovas.usableRanges()).toEqual([
      { start: 0n, last: 0x2fffn },
      { start: 0x4000n, last: ULONG_MAX },
    ]);
    ioas.iovas.removeReserved(other);
    expect(ioas.iovas.usableRanges()).toEqual([{ start: 0n, last: ULONG_MAX }]);
  });

  it('meet nothing that is mapped or allowed: EADDRINUSE, and none of the device stays', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    const device = { name: '0000:01:00.0' };
    const regions = [
      { start: 0n, last: 9n, type: RegionType.Reserved },
      { start: 0x5fffn, last: 0x5fffn, type: RegionType.Reserved },
    ];
    bench.map(PAGE, { iova: 0x5000n });
    expect(codeOf(() => iovas.enforceDevRegions(device, regions))).toBe('EADDRINUSE');
    expect(iovas.reserved.size).toBe(0);
    bench.unmap(0x5000n, PAGE);
    iovas.enforceDevRegions(device, regions);
    expect(iovas.reserved.size).toBe(2);
  });

  it('with a window for interrupt messages: software says where, contradictions are EINVAL', () => {
    const { iovas } = new IoasBench().ioas;
    const device = { name: '0000:01:00.0' };
    const software = { start: 0x800_0000n, last: 0x80f_ffffn, type: RegionType.SoftwareMsi };
    const hardware = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };
    expect(iovas.enforceDevRegions(device, [software], true)).toBe(0x800_0000n);
    iovas.removeReserved(device);
    expect(codeOf(() => iovas.enforceDevRegions(device, [software, hardware], true))).toBe('EINVAL');
    expect(codeOf(() => iovas.enforceDevRegions(device, [software, software], true))).toBe('EINVAL');
    expect(iovas.reserved.size).toBe(0);
    expect(iovas.enforceDevRegions(device, [software, hardware])).toBeUndefined();
  });

  it('of a domain are what lies outside its aperture', () => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    const domain = mockDomain();
    bench.map(PAGE, { iova: 0n });
    expect(codeOf(() => iovas.addDomain(domain))).toBe('EADDRINUSE');
    expect(iovas.reserved.size).toBe(0);
    bench.unmap(0n, PAGE);
    iovas.addDomain(domain);
    expect(iovas.usableRanges()).toEqual([domain.aperture]);
    iovas.removeDomain(domain);
    expect(iovas.reserved.size).toBe(0);
  });
});

describe('iova_alignment', () => {
  it('is the largest anybody wants, and falls when they go', () => {
    const { iovas } = new IoasBench().ioas;
    const [small, large] = [mockDomain(), plainDomain()];
    const user = new PinningUser();
    const wanted: bigint[] = [];
    for (const step of [
      () => iovas.addDomain(small),
      () => iovas.addAccess(user, PAGE),
      () => iovas.removeAccess(user),
      () => iovas.addDomain(large),
      () => iovas.removeDomain(large),
      () => iovas.disableLargePages(),
      () => iovas.removeDomain(small),
      () => iovas.enableLargePages(),
    ]) {
      step();
      wanted.push(iovas.iovaAlignment);
    }
    expect(wanted).toEqual([2048n, PAGE, 2048n, PAGE, 2048n, PAGE, PAGE, 1n]);
  });

  it('is never more than a page of memory: EINVAL', () => {
    const { iovas } = new IoasBench().ioas;
    expect(codeOf(() => iovas.addDomain(plainDomain('big', 1n << 16n)))).toBe('EINVAL');
    expect([iovas.domains.length, iovas.iovaAlignment]).toEqual([0, 1n]);
  });

  it.each<[string, bigint, bigint, bigint]>([
    ['address', 0x1001n, 0n, PAGE],
    ['length', 0x1000n, 0n, PAGE - 1n],
    ['offset in its page', 0x1000n, 8n, PAGE],
  ])('does not rise while a mapping has another %s: EADDRINUSE', (_, iova, offset, length) => {
    const bench = new IoasBench();
    const { iovas } = bench.ioas;
    bench.map(length, { iova, userVa: bench.arena.base + offset });
    const user = new PinningUser();
    expect(codeOf(() => iovas.addDomain(plainDomain()))).toBe('EADDRINUSE');
    expect(codeOf(() => iovas.addAccess(user, PAGE))).toBe('EADDRINUSE');
    expect(codeOf(() => iovas.disableLargePages())).toBe('EADDRINUSE');
    expect([iovas.iovaAlignment, iovas.accesses.size, iovas.largePagesDisabled]).toEqual([1n, 0, false]);
    iovas.addAccess(user, 1n);
    expect(iovas.accesses.size).toBe(1);
  });
});

describe('OPTION', () => {
  function set(bench: IoasBench, optionId: number, val64: bigint, overrides: object = {}) {
    const objectId = optionId === OptionId.HugePages ? bench.ioas.id : 0;
    const request = { optionId, op: OptionOp.Set, reserved: 0, objectId, val64, ...overrides };
    const code = codeOf(() => option(bench.context, request));
    return code ?? request.val64;
  }

  it.each<[string, number, bigint, object, string]>([
    ['reserved', OptionId.HugePages, 2n, { reserved: 1 }, 'EOPNOTSUPP'],
    ['an unknown option', 2, 0n, {}, 'EOPNOTSUPP'],
    ['accounting of an object', OptionId.RlimitMode, 2n, { objectId: 1, op: 7 }, 'EOPNOTSUPP'],
    ['accounting with an unknown operation', OptionId.RlimitMode, 0n, { op: 2 }, 'EOPNOTSUPP'],
    ['accounting changed with objects', OptionId.RlimitMode, 2n, {}, 'EBUSY'],
    ['large pages of nothing', OptionId.HugePages, 0n, { objectId: 0, op: 7 }, 'ENOENT'],
    ['large pages with an unknown operation', OptionId.HugePages, 9n, { op: 2 }, 'EOPNOTSUPP'],
    ['large pages neither on nor off', OptionId.HugePages, 2n, {}, 'EINVAL'],
  ])('refuses %s', (_, id, value, overrides, expected) => {
    expect(set(new IoasBench(), id, value, overrides)).toBe(expected);
  });

  it('counts for the user at first, for the process once told', () => {
    const bench = new IoasBench();
    bench.context.objects.remove(bench.ioas.id);
    const get = () => set(bench, OptionId.RlimitMode, 9n, { op: OptionOp.Get });
    const modes = [get(), set(bench, OptionId.RlimitMode, 1n), get(), set(bench, OptionId.RlimitMode, 2n)];
    expect(modes).toEqual([0n, 1n, 1n, 'EINVAL']);
  });

  it('changes the accounting only with CAP_SYS_RESOURCE', () => {
    const bench = new IoasBench({}, { capabilities: [] });
    expect(set(bench, OptionId.RlimitMode, 7n)).toBe('EPERM');
    expect(set(bench, OptionId.RlimitMode, 7n, { op: OptionOp.Get })).toBe(0n);
  });

  it('turns large pages off and on, but not off once something is in a page table', () => {
    const bench = new IoasBench();
    const get = () => set(bench, OptionId.HugePages, 9n, { op: OptionOp.Get });
    const domain = plainDomain();
    expect([get(), set(bench, OptionId.HugePages, 0n), get()]).toEqual([1n, 0n, 0n]);
    expect(set(bench, OptionId.HugePages, 1n)).toBe(1n);
    bench.map(PAGE, { iova: 0n });
    expect(set(bench, OptionId.HugePages, 0n)).toBe(0n);
    expect(set(bench, OptionId.HugePages, 1n)).toBe(1n);
    bench.ioas.iovas.addDomain(domain);
    expect(set(bench, OptionId.HugePages, 0n)).toBe('EINVAL');
    bench.unmap(0n, PAGE);
    expect(set(bench, OptionId.HugePages, 0n)).toBe(0n);
    expect(set(bench, OptionId.HugePages, 0n)).toBe(0n);
  });
});

describe('accounting', () => {
  it('is by user against RLIMIT_MEMLOCK, not at all with CAP_IPC_LOCK', () => {
    const poor = new IoasBench({}, { capabilities: [], memlockLimit: 4n * PAGE });
    poor.ioas.iovas.addDomain(plainDomain());
    poor.map(3n * PAGE);
    expect(poor.process.user.lockedPages).toBe(3);
    expect(codeOf(() => poor.map(2n * PAGE))).toBe('ENOMEM');
    expect(poor.process.user.lockedPages).toBe(3);
    poor.unmap(0n, ULONG_MAX);
    expect(poor.process.user.lockedPages).toBe(0);

    const rich = new IoasBench({}, { capabilities: ['CAP_IPC_LOCK'], memlockLimit: 0n });
    rich.ioas.iovas.addDomain(plainDomain());
    rich.map(3n * PAGE);
    expect([rich.process.user.lockedPages, rich.process.pinnedPages]).toEqual([0, 3]);
  });

  it('is by process where the file came from /dev/vfio/vfio', () => {
    const bench = new IoasBench({}, { capabilities: [] });
    const context = bench.iommufd.open(bench.process, { vfio: true });
    const request = { flags: 0, outIoasId: 0 };
    ioasAlloc(context, request);
    const ioas = context.objects.peek(request.outIoasId, 'ioas') as typeof bench.ioas;
    ioas.iovas.addDomain(plainDomain());
    ioas.iovas.mapUserPages(bench.memory, bench.arena.base, PAGE, 3);
    expect([bench.process.lockedPages, bench.process.user.lockedPages]).toEqual([1, 0]);
  });
});

describe('VFIO_IOAS', () => {
  const call = (bench: IoasBench, op: number, overrides: object = {}) => {
    const request = { ioasId: bench.ioas.id, op, reserved: 0, ...overrides };
    return codeOf(() => vfioIoas(bench.context, request)) ?? request.ioasId;
  };

  it('gets, sets and clears', () => {
    const bench = new IoasBench();
    expect(call(bench, VfioIoasOp.Get, { ioasId: 7 })).toBe('ENODEV');
    expect(call(bench, VfioIoasOp.Set, { ioasId: NO_IOAS })).toBe('ENOENT');
    expect(call(bench, VfioIoasOp.Set)).toBe(1);
    expect(call(bench, VfioIoasOp.Get, { ioasId: 7 })).toBe(1);
    expect(call(bench, VfioIoasOp.Clear)).toBe(1);
    expect(call(bench, VfioIoasOp.Clear)).toBe(1);
    expect(call(bench, VfioIoasOp.Get)).toBe('ENODEV');
    expect(call(bench, 3)).toBe('EOPNOTSUPP');
    expect(call(bench, VfioIoasOp.Clear, { reserved: 1 })).toBe('EOPNOTSUPP');
  });

  it('is none any more once the IOAS is destroyed', () => {
    const bench = new IoasBench();
    call(bench, VfioIoasOp.Set);
    bench.context.objects.remove(bench.ioas.id);
    expect(call(bench, VfioIoasOp.Get)).toBe('ENODEV');
  });
});

describe('permissions', () => {
  it('of a mapping that only the device may write leave its pages writable for copies', () => {
    const bench = new IoasBench();
    bench.map(PAGE, { iova: 0n, flags: Writeable });
    expect(bench.copy(0n, PAGE, { to: 0x1000n })).toBe(0x1000n);
  });
});

function catching(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
  return undefined;
}
