import { describe, expect, it } from 'vitest';
import { VtdSecondLevel } from '../iommu/pagetable/vtd-second-level.ts';
import { answerOf } from '../iommu/testing.ts';
import { accountFor } from './account.ts';
import { MemoryFile } from './memory-file.ts';
import { PageSet } from './page-set.ts';
import { areaOf, mappedAt, PageSetBench, TABLES } from './page-set-testing.ts';
import { makeProcess } from './process.ts';

const BASE = 0x40_0000n;
const IOVA = 0x100_0000n;
const PAGE = 4096n;

/** A page set of `count` pages of fresh memory. */
function setUp(count = 8, frames: 'contiguous' | 'scattered' = 'contiguous') {
  const bench = new PageSetBench();
  const arena = bench.memory.mmap(count, { base: BASE, frames, align: 512 });
  const pages = bench.pages(BASE, count);
  return { bench, arena, pages, area: areaOf(pages, IOVA) };
}

describe('pinning', () => {
  it('is lazy: a page set without page table or access pins nothing', () => {
    const { bench, pages, area } = setUp();
    pages.fillDomains(area, []);
    expect([pages.pinnedPages, bench.physical.pinned, area.filled]).toEqual([0, 0, 0]);
    pages.put();
  });

  it('is once a page, however many page tables, copies and accesses there are', () => {
    const { bench, arena, pages, area } = setUp();
    const [one, other] = [bench.domain(), bench.domain()];
    const copy = areaOf(pages.get(), 2n * IOVA);
    pages.fillDomains(area, [one, other]);
    pages.fillDomain(copy, one);
    pages.addAccess(area, 2, 3, true);
    expect(bench.physical.pinned).toBe(8);
    expect(bench.physical.pins(arena.frameOf(2))).toBe(1);
    expect(bench.process.user.lockedPages).toBe(8);

    pages.unfillDomains(area, [one, other]);
    expect(bench.physical.pinned).toBe(8);
    pages.unfillDomain(copy, one);
    expect(pages.pinnedPages).toBe(2);
    expect(bench.process.user.lockedPages).toBe(2);
    pages.removeAccess(area, 2, 3);
    expect([bench.physical.pinned, bench.process.user.lockedPages, bench.process.pinnedPages]).toEqual([
      0, 0, 0,
    ]);
    pages.put();
    pages.put();
    expect(pages.references).toBe(0);
  });

  it('is of the range of an access alone', () => {
    const { bench, arena, pages, area } = setUp();
    const frames = pages.addAccess(area, 3, 5, false);
    expect([...frames.frames()]).toEqual([3, 4, 5].map((page) => arena.frameOf(page)));
    expect(pages.pinnedPages).toBe(3);
    pages.addAccess(area, 3, 5, false);
    expect(pages.accesses).toEqual([{ first: 3, last: 5, users: 2 }]);
    pages.removeAccess(area, 3, 5);
    expect([pages.pinnedPages, area.accesses]).toEqual([3, 1]);
    expect(answerOf(() => pages.removeAccess(area, 3, 4))).toBe('EINVAL');
    pages.removeAccess(area, 3, 5);
    expect([bench.physical.pinned, area.accesses]).toEqual([0, 0]);
  });

  it('stays while one page table of several still has the area', () => {
    const { bench, pages, area } = setUp();
    const [one, other] = [bench.domain(), bench.domain()];
    pages.fillDomain(area, one);
    pages.fillDomain(area, other);
    pages.unfillDomain(area, one);
    expect(pages.pinnedPages).toBe(8);
    expect(one.pageTable?.translate(IOVA)).toBeUndefined();
    expect(other.pageTable?.translate(IOVA)).toBeDefined();
    pages.unfillDomain(area, other);
    expect(bench.physical.pinned).toBe(0);
  });

  it('finds the pages it needs at what others have pinned, and pins the rest', () => {
    const { bench, arena, pages, area } = setUp(10, 'scattered');
    pages.addAccess(area, 2, 3, false);
    pages.addAccess(area, 6, 6, false);
    const domain = bench.domain();
    pages.fillDomain(area, domain);
    expect(mappedAt(domain, IOVA, 10n * PAGE).filter((_, row) => row % 2 === 0)).toEqual(
      Array.from({ length: 10 }, (_, page) => BigInt(arena.frameOf(page)) * PAGE),
    );
    expect(bench.physical.pinned).toBe(10);
    pages.unfillDomain(area, domain);
    expect(pages.stretches().map(({ first, pages: count }) => [first, count])).toEqual([
      [2, 1],
      [3, 1],
      [6, 1],
    ]);
  });

  it('leaked is noticed when the page set goes', () => {
    const { pages, area } = setUp();
    pages.addAccess(area, 0, 0, false);
    expect(answerOf(() => pages.put())).toBe('EBUSY');
  });
});

describe('permissions', () => {
  it('an access that writes to pages mapped read-only is refused with EPERM, as is rw', () => {
    const bench = new PageSetBench();
    bench.memory.mmap(2, { base: BASE });
    const pages = bench.pages(BASE, 2, { writable: false });
    const area = areaOf(pages, IOVA);
    expect(answerOf(() => pages.addAccess(area, 0, 1, true))).toBe('EPERM');
    expect(answerOf(() => pages.rw(0n, new Uint8Array(1), true))).toBe('EPERM');
    expect(answerOf(() => pages.rw(0n, new Uint8Array(1), false))).toBe('ok');
    expect(bench.physical.pinned).toBe(0);
  });

  it('memory that is read-only can only be pinned for reading', () => {
    const bench = new PageSetBench();
    bench.memory.mmap(2, { base: BASE, writable: false });
    const [forWriting, forReading] = [bench.pages(BASE, 2), bench.pages(BASE, 2, { writable: false })];
    const domain = bench.domain();
    expect(answerOf(() => forWriting.fillDomain(areaOf(forWriting, IOVA), domain))).toBe('EFAULT');
    expect(answerOf(() => forReading.fillDomain(areaOf(forReading, IOVA), domain))).toBe('ok');
  });
});

describe('what fails changes nothing', () => {
  it('a page that is not there (EFAULT)', () => {
    const bench = new PageSetBench();
    bench.memory.mmap(3, { base: BASE });
    const pages = bench.pages(BASE, 5);
    const area = areaOf(pages, IOVA);
    const domain = bench.domain();
    pages.addAccess(area, 1, 1, false);
    expect(answerOf(() => pages.fillDomains(area, [domain]))).toBe('EFAULT');
    expect(answerOf(() => pages.addAccess(area, 0, 4, false))).toBe('EFAULT');
    expect([pages.pinnedPages, bench.physical.pinned, area.filled, area.accesses]).toEqual([1, 1, 0, 1]);
    expect(domain.pageTable?.tables).toBe(0);
  });

  it('a limit on locked memory (ENOMEM), which counts only pages not pinned before', () => {
    const bench = new PageSetBench();
    bench.memory.mmap(8, { base: BASE });
    bench.process.memlockLimit = 8n * PAGE - 1n;
    const pages = bench.pages(BASE, 8);
    const area = areaOf(pages, IOVA);
    const domain = bench.domain();
    pages.addAccess(area, 0, 3, false);
    expect(answerOf(() => pages.fillDomain(area, domain))).toBe('ENOMEM');
    expect([pages.pinnedPages, bench.process.user.lockedPages, domain.pageTable?.tables]).toEqual([4, 4, 0]);
    bench.process.memlockLimit += 1n;
    pages.fillDomain(area, domain);
    expect(bench.process.user.lockedPages).toBe(8);
    expect(answerOf(() => pages.addAccess(area, 0, 7, true))).toBe('ok');
  });

  it('the third of several page tables: the first two are empty again', () => {
    const { bench, pages, area } = setUp();
    const domains = [bench.domain(), bench.domain(), bench.domain()];
    domains[2]?.map(area.last & ~0xfffn, 0x1000n, PAGE, 3);
    expect(answerOf(() => pages.fillDomains(area, domains))).toBe('EEXIST');
    expect(domains.map((domain) => domain.pageTable?.translate(IOVA))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect([bench.physical.pinned, bench.process.user.lockedPages, area.filled]).toEqual([0, 0, 0]);
  });
});

describe('leaves', () => {
  it('contiguous frames are one large leaf, unless large pages are disabled', () => {
    const { bench, pages, area } = setUp(512);
    const [large, small] = [bench.domain(), bench.domain()];
    pages.fillDomain(area, large);
    pages.fillDomain(area, small, false);
    const sizes = [large, small].map((domain) => [...(domain.pageTable?.leaves(0n, 2n ** 40n) ?? [])]);
    expect(sizes[0]?.map((leaf) => leaf.size)).toEqual([0x20_0000n]);
    expect(new Set(sizes[1]?.map((leaf) => leaf.size))).toEqual(new Set([PAGE]));
  });

  it.each(Object.entries(TABLES))('begin and end inside pages where the area does (%s)', (name, table) => {
    const { bench, arena, pages } = setUp(4, 'scattered');
    const half = name.includes('2 KiB') ? 2048n : 0n;
    const domain = bench.domain(table);
    const area = areaOf(pages, IOVA + half, PAGE + half, 2n * PAGE);
    pages.fillDomain(area, domain);
    const expected = Array.from({ length: 4 }, (_, row) => {
      const byte = PAGE + half + BigInt(row) * 2048n;
      return BigInt(arena.frameOf(Number(byte / PAGE))) * PAGE + (byte % PAGE);
    });
    expect(mappedAt(domain, area.iova, area.length)).toEqual(expected);
    expect(domain.iovaToPhys(area.iova - 1n)).toBeUndefined();
    expect(domain.iovaToPhys(area.last + 1n)).toBeUndefined();
    expect(pages.pinnedPages).toBe(half === 0n ? 2 : 3);
    pages.unfillDomain(area, domain);
    expect(bench.physical.pinned).toBe(0);
  });
});

describe('cutting an area in two', () => {
  it('pins nothing again, and each half unpins its own', () => {
    const { bench, pages, area } = setUp();
    const domain = bench.domain();
    pages.fillDomain(area, domain, false);
    const [left, right] = area.split(IOVA + 3n * PAGE - 1n, PAGE, false);
    expect([left.lastPage, right.firstPage, pages.references, bench.physical.pinned]).toEqual([2, 3, 2, 8]);
    right.pages.unfillDomains(right, [domain]);
    expect(pages.pinnedPages).toBe(3);
    expect(
      [domain.iovaToPhys(left.last), domain.iovaToPhys(right.iova)].map((at) => at !== undefined),
    ).toEqual([true, false]);
    left.pages.unfillDomain(left, domain);
    expect(bench.physical.pinned).toBe(0);
  });

  it('inside a page leaves the page pinned until both halves are gone', () => {
    const { bench, pages, area } = setUp();
    const domain = bench.domain(TABLES['mock, 2 KiB pages']);
    pages.fillDomain(area, domain, false);
    const [left, right] = area.split(IOVA + 2047n, 2048n, false);
    expect([left.pageOffset, right.pageOffset, right.firstPage]).toEqual([0, 2048, 0]);
    right.pages.unfillDomain(right, domain);
    expect(pages.pinnedPages).toBe(1);
    left.pages.unfillDomain(left, domain);
    expect(bench.physical.pinned).toBe(0);
  });

  it('is refused while it is unmapped, pinned by an access, not aligned, or may have large leaves', () => {
    const { bench, pages, area } = setUp();
    const middle = IOVA + PAGE - 1n;
    pages.fillDomain(area, bench.domain());
    expect(answerOf(() => area.split(middle, PAGE, true))).toBe('EINVAL');
    expect(answerOf(() => area.split(middle + 2048n, PAGE, false))).toBe('EINVAL');
    pages.addAccess(area, 0, 0, false);
    expect(answerOf(() => area.split(middle, PAGE, false))).toBe('EINVAL');
    area.preventAccess = true;
    expect(answerOf(() => area.split(middle, PAGE, false))).toBe('EBUSY');
  });

  it('an area at the very end of the address space has its last byte at 2^64-1', () => {
    const { pages } = setUp();
    const area = areaOf(pages, 2n ** 64n - 8n * PAGE);
    expect([area.last, area.length, area.pageAt(area.last)]).toEqual([2n ** 64n - 1n, 8n * PAGE, 7]);
  });
});

describe('rw', () => {
  it('has no page at the end of all addresses: EOVERFLOW through pins, EFAULT for copies and single pages', () => {
    const bench = new PageSetBench();
    const pages = bench.pages(2n ** 64n - 2n * PAGE, 2);
    const rw = (offset: bigint, slow: boolean) =>
      answerOf(() => pages.rw(offset, new Uint8Array(4), false, slow));
    expect(rw(PAGE, false)).toBe('EFAULT');
    expect(rw(PAGE, true)).toBe('EFAULT');
    expect(rw(PAGE - 2n, true)).toBe('EOVERFLOW');
    expect(bench.physical.pinned).toBe(0);
  });

  it.each([false, true])('moves bytes across pages and leaves no pin (through frames: %s)', (slow) => {
    const { bench, arena, pages, area } = setUp(4, 'scattered');
    const bytes = Uint8Array.from({ length: 9000 }, (_, n) => n % 253);
    pages.addAccess(area, 1, 1, true);
    pages.rw(1000n, bytes, true, slow);
    expect(arena.bytes(BASE + 1000n, 9000)).toEqual(bytes);
    const read = new Uint8Array(9000);
    pages.rw(1000n, read, false, slow);
    expect(read).toEqual(bytes);
    pages.rw(3n, Uint8Array.of(77), true, slow);
    expect(arena.bytes(BASE + 3n, 1)[0]).toBe(77);
    expect([bench.physical.pinned, bench.process.user.lockedPages]).toEqual([1, 1]);
  });

  it('beyond what is mapped is EFAULT, and leaves no pin', () => {
    const bench = new PageSetBench();
    bench.memory.mmap(1, { base: BASE });
    const pages = bench.pages(BASE, 3);
    expect(answerOf(() => pages.rw(4000n, new Uint8Array(100), true))).toBe('EFAULT');
    expect(answerOf(() => pages.rw(4000n, new Uint8Array(100), true, true))).toBe('EFAULT');
    expect(answerOf(() => pages.rw(5000n, new Uint8Array(100), false, true))).toBe('EFAULT');
    expect(bench.physical.pinned).toBe(0);
  });

  it('sees the pages that are pinned when the process is gone, and no others', () => {
    const { bench, arena, pages, area } = setUp();
    arena.write(BASE + 2n * PAGE, Uint8Array.of(42));
    pages.addAccess(area, 2, 2, true);
    bench.memory.exit();
    const byte = new Uint8Array(1);
    pages.rw(2n * PAGE, byte, false);
    expect(byte[0]).toBe(42);
    expect(answerOf(() => pages.rw(3n * PAGE, byte, false))).toBe('EFAULT');
    pages.removeAccess(area, 2, 2);
    expect([bench.physical.pinned, bench.physical.pages]).toEqual([0, 0]);
  });

  it('of a file goes through its pages', () => {
    const bench = new PageSetBench();
    const file = new MemoryFile(bench.physical, { size: 0x4000 });
    const account = accountFor(bench.process, 'user');
    const { physical, faults } = bench;
    const pages = new PageSet({
      source: file,
      firstPage: 1,
      pages: 2,
      writable: true,
      account,
      faults,
      physical,
    });
    pages.rw(4090n, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), true);
    const read = new Uint8Array(8);
    file.read(0x1000 + 4090, read);
    expect([...read]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(physical.pinned).toBe(0);
  });
});

describe('moving the account', () => {
  it('charges another process for what is pinned, or changes nothing', () => {
    const { bench, pages, area } = setUp();
    const poor = makeProcess({ memory: bench.memory, memlockLimit: 3n * PAGE });
    const rich = makeProcess({ memory: bench.memory });
    pages.fillDomain(
      area,
      bench.domain(() => new VtdSecondLevel()),
    );
    expect(answerOf(() => pages.moveAccount(accountFor(poor, 'process')))).toBe('ENOMEM');
    expect([poor.lockedPages, bench.process.user.lockedPages]).toEqual([0, 8]);
    pages.moveAccount(accountFor(rich, 'process'));
    expect([rich.lockedPages, bench.process.user.lockedPages]).toEqual([8, 0]);
  });
});
