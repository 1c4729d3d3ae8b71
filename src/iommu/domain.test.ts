import { describe, expect, test } from 'vitest';
import { Domain, DomainType, domainTypeWord, isDmaType } from './domain.ts';
import { IntervalTable } from './pagetable/interval-table.ts';
import { answerOf } from './testing.ts';

const paging = () =>
  new Domain({ type: DomainType.Unmanaged, ops: {}, pageTable: new IntervalTable(), pageSizes: 0x20_1000n });
const TOP = 0xffff_ffff_ffff_f000n;

describe('groups-core.md 1 and 3: domains', () => {
  test('words of the type file; PLATFORM, SVA and NESTED have none', () => {
    const words = Object.fromEntries(
      Object.entries(DomainType).map(([name, type]) => [name, domainTypeWord(type)]),
    );
    expect(words).toEqual({
      Blocked: 'blocked',
      Unmanaged: 'unmanaged',
      Dma: 'DMA',
      Identity: 'identity',
      DmaFq: 'DMA-FQ',
      Sva: 'unknown',
      Platform: 'unknown',
      Nested: 'unknown',
    });
    expect(Object.values(DomainType).filter(isDmaType)).toEqual([DomainType.Dma, DomainType.DmaFq]);
  });

  test('map: EINVAL without pages or misaligned to the smallest page, ENODEV where the driver cannot', () => {
    const identity = new Domain({ type: DomainType.Identity, ops: {} });
    expect(answerOf(() => identity.map(0n, 0n, 4096n, 3))).toBe('EINVAL');
    const unable = new Domain({ type: DomainType.Unmanaged, ops: {} });
    expect(answerOf(() => unable.map(0n, 0n, 4096n, 3))).toBe('ENODEV');
    const domain = paging();
    expect(answerOf(() => domain.map(1n, 0n, 4096n, 3))).toBe('EINVAL');
    expect(answerOf(() => domain.map(0n, 2048n, 4096n, 3))).toBe('EINVAL');
    expect(answerOf(() => domain.map(0n, 0n, 100n, 3))).toBe('EINVAL');
    expect(answerOf(() => domain.map(TOP, 0n, 8192n, 3))).toBe('EINVAL');
    expect(answerOf(() => domain.map(TOP, TOP, 4096n, 3))).toBe('ok');
    expect(answerOf(() => domain.map(0n, 0n, 0n, 3))).toBe('ok');
  });

  test('unmap answers bytes up to the first hole, and 0 on misuse', () => {
    const domain = paging();
    domain.map(0n, 0n, 8192n, 3);
    domain.map(0x3000n, 0n, 4096n, 3);
    expect(domain.unmap(0n, 100n)).toBe(0n);
    expect(domain.unmap(0x1000n, 0x3000n)).toBe(0x1000n);
    expect(domain.unmap(0n, 0n)).toBe(0n);
    expect(domain.iovaToPhys(0xfffn)).toBe(0xfffn);
    expect(domain.iovaToPhys(0x1000n)).toBeUndefined();
    expect(new Domain({ type: DomainType.Blocked, ops: {} }).unmap(0n, 4096n)).toBe(0n);
  });

  test('identity leads every address to itself', () => {
    const identity = new Domain({ type: DomainType.Identity, ops: {} });
    expect(identity.iovaToPhys(TOP)).toBe(TOP);
  });

  test('a static domain is never freed, another only once', () => {
    const freed: Domain[] = [];
    const own = new Domain({
      type: DomainType.Unmanaged,
      ops: { free: (domain) => void freed.push(domain) },
    });
    own.free();
    expect(freed).toEqual([own]);
    expect(answerOf(() => own.free())).toBe('EBADF');
    const fixed = new Domain({ type: DomainType.Blocked, ops: {} });
    fixed.free();
    fixed.free();
    expect(fixed.freed).toBe(false);
  });
});
