/**
 * What the kernel's selftest (tools/testing/selftests/iommu/iommufd.c, fixtures iommufd_ioas and iommufd_mock_domain)
 * asks of address spaces: without a page table, with one and with two, of 2 KiB pages and an aperture.
 */

import { describe, expect, it } from 'vitest';
import type { Domain } from '../../iommu/domain.ts';
import { ULONG_MAX } from '../limits.ts';
import { makeProcess } from '../process.ts';
import { ProcessMemory } from '../process-memory.ts';
import { ioasAllowIovas } from './ioas-allow-iovas.ts';
import { ioasMap } from './ioas-map.ts';
import { writeRange } from './iova-range-bytes.ts';
import {
  codeOf,
  FixedIova,
  IoasBench,
  MOCK_APERTURE,
  mockDomain,
  PAGE,
  PinningUser,
  Readable,
} from './testing.ts';

const HALF = PAGE / 2n;
const START = MOCK_APERTURE.start;

function prepared(domains: number) {
  const bench = new IoasBench();
  for (let n = 0; n < domains; n++) bench.ioas.iovas.addDomain(mockDomain(`mock ${n}`));
  const base = domains > 0 ? START : 0n;
  return { bench, base, iovas: bench.ioas.iovas };
}

function expectMapped(domain: Domain, bench: IoasBench, iova: bigint, userVa: bigint, length: bigint): void {
  const { arena } = bench;
  const memory = BigInt(arena.frames.first) * PAGE + (userVa - arena.base);
  for (let at = 0n; at < length; at += HALF) expect(domain.iovaToPhys(iova + at)).toBe(memory + at);
}

describe.each([0, 1, 2])('an address space with %i page tables', (domains) => {
  it('goes with its mappings, many or few, when the file is closed', () => {
    const { bench, base, iovas } = prepared(domains);
    for (let n = 0n; n < 10n; n++) bench.map(PAGE, { iova: base + n * PAGE });
    for (const domain of [...iovas.domains]) iovas.removeDomain(domain);
    bench.context.close();
    bench.iommufd.assertNothingLeft();
  });

  it('unmaps what was mapped, and never part of it', () => {
    const { bench, base } = prepared(domains);
    for (let n = 0n; n < 10n; n++) expect(codeOf(() => bench.unmap(base + n * PAGE, PAGE))).toBe('ENOENT');
    for (let n = 0n; n < 10n; n++) bench.map(PAGE, { iova: base + n * PAGE });
    for (let n = 0n; n < 10n; n++) expect(bench.unmap(base + n * PAGE, PAGE)).toBe(PAGE);
    const at = base + 16n * PAGE;
    bench.map(2n * PAGE, { iova: at });
    expect(codeOf(() => bench.unmap(at, PAGE))).toBe('ENOENT');
    expect(codeOf(() => bench.unmap(at + PAGE, PAGE))).toBe('ENOENT');
    for (const [from, pages] of [
      [0n, 2n],
      [0n, 1n],
      [1n, 1n],
      [-1n, 2n],
      [-1n, 3n],
    ] as const) {
      expect(codeOf(() => bench.map(pages * PAGE, { iova: at + from * PAGE }))).toBe('EEXIST');
    }
    expect(bench.unmap(0n, ULONG_MAX)).toBe(2n * PAGE);
    expect(bench.unmap(0n, ULONG_MAX)).toBe(0n);
  });

  it('unmaps several mappings at once where each is in the range as a whole', () => {
    const { bench, base } = prepared(domains);
    const from = base + 4n * PAGE;
    for (let n = 0n; n < 4n; n++) bench.map(8n * PAGE, { iova: from + n * 16n * PAGE });
    expect(codeOf(() => bench.unmap(from - 4n * PAGE, 8n * PAGE))).toBe('ENOENT');
    expect(codeOf(() => bench.unmap(from + 52n * PAGE, 8n * PAGE))).toBe('ENOENT');
    expect(bench.unmap(from - 4n * PAGE, 60n * PAGE)).toBe(32n * PAGE);
  });

  it('places by itself: aligned by length, out of reserved ranges, inside allowed ones', () => {
    const { bench, base, iovas } = prepared(domains);
    const lowestBit = (pages: bigint) => (pages & -pages) * PAGE;
    const mapAll = (check: (iova: bigint, length: bigint) => void) => {
      const mapped: [bigint, bigint][] = [];
      for (let pages = 1n; pages <= 10n; pages++) {
        const iova = bench.map(pages * PAGE);
        expect(iova % lowestBit(pages)).toBe(0n);
        check(iova, pages * PAGE);
        mapped.push([iova, pages * PAGE]);
      }
      for (const [iova, length] of mapped) expect(bench.unmap(iova, length)).toBe(length);
    };
    mapAll(() => {});
    const reserved = { start: base + 4n * PAGE, last: base + 104n * PAGE - 1n };
    iovas.reserve(null, reserved.start, reserved.last);
    mapAll((iova, length) => {
      expect(iova > reserved.last || iova + length <= reserved.start).toBe(true);
    });
    const allow = (start: bigint, last: bigint) => {
      writeRange(bench.memory, bench.arena.base, 0, { start, last });
      const request = { ioasId: bench.ioas.id, numIovas: 1, reserved: 0, allowedIovas: bench.arena.base };
      return codeOf(() => ioasAllowIovas(bench.context, request));
    };
    expect(allow(base + PAGE, base + 600n * PAGE)).toBe('EADDRINUSE');
    const allowed = { start: base + 200n * PAGE, last: base + 600n * PAGE - 1n };
    expect(allow(allowed.start, allowed.last)).toBeUndefined();
    mapAll((iova, length) => {
      expect(iova >= allowed.start && iova + length - 1n <= allowed.last).toBe(true);
    });
    expect(codeOf(() => iovas.reserve(null, allowed.start + PAGE, allowed.start + 2n * PAGE))).toBe(
      'EADDRINUSE',
    );
  });

  it('places every length its alignment allows, and refuses the others: EINVAL', () => {
    const { bench } = prepared(domains);
    for (let length = 1n; length < 2n * PAGE; length += 97n) {
      const fits = domains === 0 || length % HALF === 0n;
      let iova = 0n;
      const code = codeOf(() => {
        iova = bench.map(length);
      });
      expect(code).toBe(fits ? undefined : 'EINVAL');
      if (fits) expect(bench.unmap(iova, length)).toBe(length);
    }
  });

  it('copies within itself and to another', () => {
    const { bench, base } = prepared(domains);
    const other = bench.alloc();
    bench.map(PAGE, { iova: base });
    expect(bench.copy(base, PAGE, { to: base + PAGE })).toBe(base + PAGE);
    expect(bench.copy(base, PAGE, { to: 0n, destination: other })).toBe(0n);
    expect(other.iovas.areaAt(0n)!.pages).toBe(bench.ioas.iovas.areaAt(base)!.pages);
  });

  it('copies from any byte of a mapping, and from none outside', () => {
    const { bench } = prepared(domains);
    const destination = bench.alloc();
    const from = START + 16n * PAGE;
    const last = from + 16n * PAGE - (domains > 0 ? 1n : 2n);
    bench.map(last - from + 1n, { iova: from });
    for (let iova = from - PAGE; iova <= last; iova += 511n) {
      const inside = iova >= from && iova + HALF - 1n <= last;
      expect(codeOf(() => bench.copy(iova, HALF, { to: START, destination }))).toBe(
        inside ? undefined : 'ENOENT',
      );
      if (inside) expect(bench.unmap(START, HALF, destination)).toBe(HALF);
    }
  });

  it('lists what can be used', () => {
    const { iovas } = prepared(domains);
    const all = domains > 0 ? MOCK_APERTURE : { start: 0n, last: ULONG_MAX };
    expect([iovas.usableRanges(), iovas.iovaAlignment]).toEqual([[all], domains > 0 ? HALF : 1n]);
    iovas.reserve(null, PAGE, 2n * PAGE - 1n);
    const two = [
      { start: 0n, last: PAGE - 1n },
      { start: 2n * PAGE, last: ULONG_MAX },
    ];
    expect(iovas.usableRanges()).toEqual(domains > 0 ? [all] : two);
  });

  it('rises to pages only where everything lies on them', () => {
    const { bench, iovas } = prepared(domains);
    bench.map(PAGE, { iova: START });
    if (domains > 0) {
      expect(codeOf(() => iovas.disableLargePages())).toBe('EINVAL');
      return;
    }
    iovas.disableLargePages();
    const odd = { iova: START + PAGE, userVa: bench.arena.base + HALF };
    expect(codeOf(() => bench.map(PAGE, odd))).toBe('EINVAL');
    iovas.enableLargePages();
    bench.map(PAGE, odd);
    expect(codeOf(() => iovas.disableLargePages())).toBe('EADDRINUSE');
  });

  it('keeps pages pinned for an access when the page tables go', () => {
    const { bench, base, iovas } = prepared(domains);
    bench.map(16n * PAGE, { iova: base });
    const user = new PinningUser();
    iovas.addAccess(user, PAGE);
    user.pin(bench.ioas, base + PAGE);
    for (const domain of [...iovas.domains]) iovas.removeDomain(domain);
    expect(bench.physical.pinned).toBe(1);
    user.release();
    expect(bench.physical.pinned).toBe(0);
  });

  it('fills a page table that comes while an access has pages pinned, and unmaps through its callback', () => {
    const { bench, iovas } = prepared(domains);
    bench.map(16n * PAGE, { iova: START });
    const user = new PinningUser();
    iovas.addAccess(user, PAGE);
    user.pin(bench.ioas, START + PAGE);
    const late = mockDomain('late');
    iovas.addDomain(late);
    expectMapped(late, bench, START, bench.arena.base, 16n * PAGE);
    expect(bench.physical.pinned).toBe(16);
    expect(bench.unmap(START, 16n * PAGE)).toBe(16n * PAGE);
    expect(user.requests).toEqual([{ iova: START, length: 16n * PAGE }]);
    expect(bench.physical.pinned).toBe(0);
  });

  it('has memory of a process that is gone only where it was pinned before', () => {
    const { bench, iovas } = prepared(domains);
    const memory = new ProcessMemory(bench.physical, 'memory of the child');
    const arena = memory.mmap(4, { base: bench.arena.base });
    const parent = bench.context.process;
    bench.context.process = makeProcess({ memory, name: 'child' });
    const request = {
      ioasId: bench.ioas.id,
      reserved: 0,
      userVa: arena.base,
      length: 4n * PAGE,
      iova: START,
    };
    ioasMap(bench.context, { ...request, flags: Readable | FixedIova });
    bench.context.process = parent;
    memory.exit();
    const late = mockDomain('late');
    expect(codeOf(() => iovas.addDomain(late))).toBe(domains > 0 ? undefined : 'EFAULT');
    if (domains > 0) expect(late.iovaToPhys(START)).toBe(iovas.domains[0]!.iovaToPhys(START));
  });

  it('maps the memory of a child as long as it lives', () => {
    const { bench, iovas } = prepared(domains);
    const memory = new ProcessMemory(bench.physical, 'memory of the child');
    const arena = memory.mmap(4, { base: bench.arena.base });
    iovas.mapUserPages(memory, arena.base, 4n * PAGE, 3, { iova: START });
    const late = mockDomain('late');
    iovas.addDomain(late);
    expect(late.iovaToPhys(START)).toBe(BigInt(arena.frames.first) * PAGE);
  });
});

describe.each([1, 2])('with %i page tables', (domains) => {
  it('memory that ends half way, or is not there, is refused: EFAULT, with no pin left', () => {
    const { bench } = prepared(domains);
    const iova = bench.map(PAGE);
    for (const domain of bench.ioas.iovas.domains) expectMapped(domain, bench, iova, bench.arena.base, PAGE);
    const { arena } = bench;
    const end = arena.base + BigInt(arena.pages) * PAGE;
    expect(codeOf(() => bench.map(8n * PAGE, { userVa: end - 4n * PAGE }))).toBe('EFAULT');
    expect(codeOf(() => bench.map(8n * PAGE, { userVa: end }))).toBe('EFAULT');
    expect(bench.physical.pinned).toBe(1);
  });

  it('any half page to any half page of memory is mapped right and pinned once', () => {
    const { bench, iovas } = prepared(domains);
    const { base } = bench.arena;
    for (let start = 0n; start < 8n * PAGE; start += HALF) {
      for (let end = start + HALF; end < 8n * PAGE; end += HALF) {
        const iova = bench.map(end - start, { userVa: base + start });
        for (const domain of iovas.domains) expectMapped(domain, bench, iova, base + start, end - start);
        const pages = (end + PAGE - 1n) / PAGE - start / PAGE;
        expect(bench.physical.pinned).toBe(Number(pages));
        const late = mockDomain('late');
        iovas.addDomain(late);
        expectMapped(late, bench, iova, base + start, end - start);
        expect(bench.physical.pinned).toBe(Number(pages));
        iovas.removeDomain(late);
        expect(bench.unmap(iova, end - start)).toBe(end - start);
      }
    }
    expect(bench.physical.pinned).toBe(0);
  });

  it('pages that only an access has pinned can be copied to where page tables are', () => {
    const { bench } = prepared(domains);
    const source = bench.alloc();
    const from = bench.map(16n * PAGE, { ioas: source });
    const user = new PinningUser();
    source.iovas.addAccess(user, PAGE);
    user.pin(source, from);
    bench.copy(from, 16n * PAGE, { to: START, source });
    for (const domain of bench.ioas.iovas.domains) {
      expectMapped(domain, bench, START, bench.arena.base, 16n * PAGE);
    }
    user.release();
    source.iovas.removeAccess(user);
    bench.context.objects.remove(source.id);
    expect(bench.unmap(START, 16n * PAGE)).toBe(16n * PAGE);
    expect(bench.physical.pinned).toBe(0);
  });
});
