/** What reaches the page tables: the kernel's fixture `iommufd_mock_domain`, with one and two devices, small and huge pages. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Arena } from '../../../src/iommufd/arena.ts';
import { HwptAllocFlag } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { MapFlag } from '../../../src/iommufd/calls/map-flags.ts';
import { APERTURE, BUFFER_SIZE, errno, HUGE_PAGE, MOCK_PAGE, PAGE, Program } from './program.ts';
import type { MockIds } from './test-calls.ts';

describe.each([
  { name: 'one domain', domains: 1, huge: false },
  { name: 'two domains', domains: 2, huge: false },
  { name: 'one domain, huge pages', domains: 1, huge: true },
  { name: 'two domains, huge pages', domains: 2, huge: true },
])('mock domains: $name', ({ domains, huge }) => {
  const size = huge ? 2n * HUGE_PAGE : 8n * PAGE;
  /** Huge pages are cut in sixteen, or a case would take forever. */
  const step = huge ? size / 16n : MOCK_PAGE;
  let program: Program;
  let ioas: number;
  let mocks: MockIds[];

  beforeEach(() => {
    program = new Program();
    ioas = program.ioasAlloc();
    mocks = Array.from({ length: domains }, () => program.test.mockDomain(ioas));
  });

  afterEach(() => program.finish());

  function expectMapped(uptr: bigint, iova: bigint, length: bigint, more: MockIds[] = []): void {
    for (const { hwpt } of [...mocks, ...more]) program.test.mdCheckMap(hwpt, iova, length, uptr);
  }

  /** Every start and end in the memory, from `step` to `step`; huge ones to the end of the memory only. */
  function* ranges(arena: Arena): Generator<{ uptr: bigint; length: bigint }> {
    for (let start = 0n; start < size; start += step) {
      for (let end = huge ? size : start + step; end <= size; end += step) {
        yield { uptr: arena.base + start, length: end - start };
      }
    }
  }

  /** The whole pages of a range. */
  function expectPins(uptr: bigint, length: bigint, refs: number): void {
    const first = uptr - (uptr % PAGE);
    const end = uptr + length;
    program.test.mdCheckRefs(first, end - (end % PAGE) - first, refs);
  }

  it('maps a page, and nothing where part of the memory is missing', () => {
    const iova = program.map(ioas, program.buffer, PAGE);
    expectMapped(program.buffer, iova, PAGE);

    const first = program.memory.mmap(Number(size / 2n / PAGE), { base: 0x7e00_0000_0000n });
    const second = program.memory.mmap(Number(size / 2n / PAGE), { base: first.last + 1n });
    program.memory.munmap(second);
    expect(errno(() => program.map(ioas, first.base, size))).toBe('EFAULT');
    program.memory.munmap(first);
    expect(errno(() => program.map(ioas, first.base, size))).toBe('EFAULT');
    expect(program.physical.pinned).toBe(1);
  });

  it('the checks these cases stand on see a wrong frame, a hole and a wrong count of pins', () => {
    const { buffer, test } = program;
    const { hwpt, idev } = mocks[0]!;
    const iova = program.map(ioas, buffer, PAGE);
    const checkMap = (id: number, at: bigint, length: bigint, uptr: bigint) =>
      errno(() => test.mdCheckMap(id, at, length, uptr));
    expect(checkMap(hwpt, iova, PAGE, buffer)).toBe('ok');
    expect(checkMap(hwpt, iova, PAGE, buffer + PAGE)).toBe('EINVAL');
    expect(checkMap(hwpt, iova, MOCK_PAGE, buffer + MOCK_PAGE)).toBe('EINVAL');
    expect(checkMap(hwpt, iova, 2n * PAGE, buffer)).toBe('EINVAL');
    expect(checkMap(hwpt, iova + 1n, PAGE, buffer)).toBe('EINVAL');
    expect(checkMap(hwpt, iova, PAGE, 0x1000n)).toBe('EFAULT');
    expect(checkMap(idev, iova, PAGE, buffer)).toBe('ENOENT');

    const checkRefs = (uptr: bigint, length: bigint, refs: number) =>
      errno(() => test.mdCheckRefs(uptr, length, refs));
    expect(checkRefs(buffer, PAGE, 1)).toBe('ok');
    expect(checkRefs(buffer, PAGE, 0)).toBe('EIO');
    expect(checkRefs(buffer, PAGE, 2)).toBe('EIO');
    expect(checkRefs(buffer, 2n * PAGE, 1)).toBe('EIO');
    expect(checkRefs(buffer + 1n, PAGE, 1)).toBe('EINVAL');
    expect(checkRefs(0x1000n, PAGE, 0)).toBe('EFAULT');
    expect(program.physical.pinned).toBe(1);
  });

  it('a write of the process does not move a page that was mapped for reading', () => {
    const arena = program.mmap(PAGE);
    const iova = program.map(ioas, arena.base, PAGE, MapFlag.Readable);
    expectMapped(arena.base, iova, PAGE);
    program.write(arena.base, new Uint8Array(4096).fill(1));
    expectMapped(arena.base, iova, PAGE);
    program.memory.munmap(arena);
  });

  it('maps every range of half pages, pinning each page once', () => {
    const arena = program.mmap(size, huge);
    for (const { uptr, length } of ranges(arena)) {
      const iova = program.map(ioas, uptr, length);
      expectMapped(uptr, iova, length);
      expectPins(uptr, length, 1);
      program.unmap(ioas, iova, length);
    }
    program.test.mdCheckRefs(arena.base, size, 0);
    program.memory.munmap(arena);
  });

  it('fills another page table with every such range, from the one before', () => {
    const arena = program.mmap(size, huge);
    for (const { uptr, length } of ranges(arena)) {
      const iova = program.map(ioas, uptr, length);
      const another = program.test.mockDomain(ioas);
      expectMapped(uptr, iova, length, [another]);
      expectPins(uptr, length, 1);
      program.destroy(another.stdev);
      program.unmap(ioas, iova, length);
    }
    program.test.mdCheckRefs(arena.base, size, 0);
    program.memory.munmap(arena);
  });

  it('pages pinned by an access are mapped by a copy, also after the access moved to another address space', () => {
    const { buffer, test } = program;
    const to = { ioasId: ioas, iova: APERTURE.start };
    const first = program.ioasAlloc();
    const firstIova = program.map(first, buffer, BUFFER_SIZE);
    const access = test.createAccess(first, { needsPinPages: true });
    test.accessPages(access, { iova: firstIova, length: BUFFER_SIZE, uptr: buffer });
    program.copyFixed({ ioasId: first, iova: firstIova }, to, BUFFER_SIZE);
    expectMapped(buffer, APERTURE.start, BUFFER_SIZE);

    const second = program.ioasAlloc();
    const secondIova = program.map(second, buffer, BUFFER_SIZE);
    test.accessReplaceIoas(access, second);
    program.unmap(ioas, APERTURE.start, BUFFER_SIZE);
    program.destroy(first);

    const item = test.accessPages(access, { iova: secondIova, length: BUFFER_SIZE, uptr: buffer });
    program.copyFixed({ ioasId: second, iova: secondIova }, to, BUFFER_SIZE);
    expectMapped(buffer, APERTURE.start, BUFFER_SIZE);
    test.destroyAccessPages(access, item);
    test.destroyAccess(access);
    program.destroy(second);
  });

  it('a device moves between address spaces and page tables', () => {
    const { test } = program;
    const other = program.ioasAlloc();
    const [mock] = mocks as [MockIds];
    const move = (ptId: number) => test.mockDomainReplace(mock.stdev, ptId);
    const hwpt = move(other);
    expect(hwpt).not.toBe(mock.hwpt);
    // Two devices share the automatic page table; with one it is gone when that moves.
    if (domains === 1) expect(errno(() => move(mock.hwpt))).toBe('ENOENT');
    expect(move(other)).toBe(hwpt);
    if (domains > 1) {
      expect(mocks[1]!.hwpt).toBe(mock.hwpt);
      expect(move(mock.hwpt)).toBe(mock.hwpt);
      expect(move(mock.hwpt)).toBe(mock.hwpt);
    }
    move(ioas);
    program.destroy(other);
    expect(errno(() => test.mockDomainReplace(mock.idev, ioas))).toBe('ENOENT');
  });

  it('page tables are made, used in turn and destroyed when unused', () => {
    const { test } = program;
    for (const { stdev, idev } of mocks) {
      const flags = ~HwptAllocFlag.NestParent >>> 0;
      expect(errno(() => program.hwptAlloc(idev, ioas, { flags }))).toBe('EOPNOTSUPP');
      const plain = program.hwptAlloc(idev, ioas);
      const parent = program.hwptAlloc(idev, ioas, { flags: HwptAllocFlag.NestParent });
      for (const hwpt of [plain, parent]) {
        test.mockDomainReplace(stdev, hwpt);
        expect(errno(() => program.destroy(hwpt))).toBe('EBUSY');
      }
      test.mockDomainReplace(stdev, ioas);
      program.destroy(parent);
      const another = test.mockDomain(plain);
      program.destroy(another.stdev);
      program.destroy(plain);
    }
  });
});
