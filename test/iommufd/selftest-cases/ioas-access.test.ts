/** In-kernel users of an address space; the kernel's `iommufd_ioas` cases about access (facts iommufd.md 4, 6). */

import { expect, it } from 'vitest';
import { Prot } from '../../../src/iommu/domain.ts';
import { ioasCopy } from '../../../src/iommufd/calls/ioas-copy.ts';
import { MapFlag } from '../../../src/iommufd/calls/map-flags.ts';
import type { Ioas } from '../../../src/iommufd/ioas.ts';
import { ProcessMemory } from '../../../src/iommufd/process-memory.ts';
import { AccessFlag, AccessRwFlag } from '../../../src/iommufd/selftest/numbers.ts';
import { checkRw } from './check-rw.ts';
import { describeIoas } from './ioas-fixture.ts';
import { APERTURE, BUFFER_SIZE, errno, HUGE_PAGE, MOCK_PAGE, PAGE, type Program } from './program.ts';

const MANY_STEPS_MS = 60_000;

/** What a child of the process maps at the beginning of the aperture; it has bytes of its own. */
function mapFromChild(program: Program, ioasId: number): ProcessMemory {
  const child = new ProcessMemory(program.physical, 'memory of the child');
  child.mmap(Number(BUFFER_SIZE / PAGE), { base: program.buffer, frames: 'scattered' });
  const ioas = program.fd.objects.peek<Ioas>(ioasId, 'ioas');
  ioas?.iovas.mapUserPages(child, program.buffer, BUFFER_SIZE, Prot.Read | Prot.Write | Prot.Cache, {
    iova: APERTURE.start,
  });
  return child;
}

describeIoas('access', (fixture) => {
  it('pages an access pins outlive the page table they were mapped in', () => {
    const { program, ioas, mock, baseIova } = fixture();
    const { test } = program;
    const arena = program.mmap(2n * HUGE_PAGE, true);
    program.mapFixed(ioas, arena.base, 2n * HUGE_PAGE, baseIova);
    const access = test.createAccess(ioas, { needsPinPages: true });
    const range = { iova: baseIova + PAGE, length: PAGE, uptr: arena.base + PAGE };
    const pages = test.accessPages(access, range);
    if (mock) {
      test.mdCheckRefs(arena.base, 2n * HUGE_PAGE, 1);
      program.destroy(mock.stdev);
    }
    test.mdCheckRefs(arena.base + PAGE, PAGE, 1);
    test.destroyAccessPages(access, pages);
    test.destroyAccess(access);
    program.memory.munmap(arena);
  });

  it('pins the same pages twice, and while a page table comes and goes', () => {
    const { program, ioas } = fixture();
    const { buffer, test } = program;
    const access = test.createAccess(ioas, { needsPinPages: true });
    for (let pages = 1n; pages < BUFFER_SIZE / PAGE; pages++) {
      const range = { iova: APERTURE.start, length: pages * PAGE, uptr: buffer };
      program.mapFixed(ioas, buffer, BUFFER_SIZE, APERTURE.start);
      test.destroyAccessPages(access, test.accessPages(access, range));

      const first = test.accessPages(access, range);
      const second = test.accessPages(access, range);
      test.mdCheckRefs(buffer, pages * PAGE, 1);
      test.destroyAccessPages(access, second);
      test.destroyAccessPages(access, first);

      const item = test.accessPages(access, range);
      const mock = test.mockDomain(ioas);
      test.mdCheckMap(mock.hwpt, APERTURE.start, BUFFER_SIZE, buffer);
      test.mdCheckRefs(buffer, BUFFER_SIZE, 1);
      program.destroy(mock.stdev);
      test.destroyAccessPages(access, item);
      program.unmap(ioas, APERTURE.start, BUFFER_SIZE);
      test.mdCheckRefs(buffer, BUFFER_SIZE, 0);
    }
    test.destroyAccess(access);
  });

  it('an unmap makes the access let go of its pages', () => {
    const { program, ioas } = fixture();
    const { buffer, test } = program;
    const access = test.createAccess(ioas, { needsPinPages: true });
    program.mapFixed(ioas, buffer, BUFFER_SIZE, APERTURE.start);
    const item = test.accessPages(access, { iova: APERTURE.start, length: BUFFER_SIZE, uptr: buffer });
    expect(program.unmap(ioas, APERTURE.start, BUFFER_SIZE)).toBe(BUFFER_SIZE);
    expect(errno(() => test.destroyAccessPages(access, item))).toBe('ENOENT');
  });

  it('closing the files without cleaning up gives everything back', () => {
    const { program, ioas } = fixture();
    const { buffer, test } = program;
    const access = test.createAccess(ioas, { needsPinPages: true });
    program.mapFixed(ioas, buffer, BUFFER_SIZE, APERTURE.start);
    test.accessPages(access, { iova: APERTURE.start, length: PAGE, uptr: buffer });
    program.fd.close();
    test.mdCheckRefs(buffer, PAGE, 1);
  });

  it('refuses pages that are not those of the caller, too many, or of another descriptor', () => {
    const { program, ioas } = fixture();
    const { buffer, test } = program;
    const access = test.createAccess(ioas, { needsPinPages: true });
    const unpinning = test.createAccess(ioas);
    program.mapFixed(ioas, buffer, BUFFER_SIZE, APERTURE.start);
    const range = { iova: APERTURE.start, length: PAGE, uptr: buffer };
    expect(errno(() => test.accessPages(access, { ...range, uptr: buffer + PAGE }))).toBe('EBADE');
    expect(errno(() => test.accessPages(access, { ...range, length: (16n << 20n) + 1n }))).toBe('ENOMEM');
    expect(errno(() => test.accessPages(access, { ...range, length: BUFFER_SIZE + PAGE }))).toBe('ENOENT');
    expect(errno(() => test.accessPages(unpinning, range))).toBe('EOPNOTSUPP');
    expect(errno(() => test.accessPages(99, range))).toBe('EBADFD');
    expect(errno(() => test.destroyAccessPages(99, 0))).toBe('EBADFD');
    expect(errno(() => test.accessRw(access, APERTURE.start, 1n, program.scratch, 2))).toBe('EOPNOTSUPP');
    if (fixture().mock === undefined) test.mdCheckRefs(buffer, BUFFER_SIZE, 0);
    expect(test.accessPages(access, { ...range, uptr: 0n })).toBe(0);
  });

  it(
    'reads and writes any bytes, by both ways',
    () => {
      const { program, ioas } = fixture();
      const access = program.test.createAccess(ioas);
      const iova = program.map(ioas, program.buffer, BUFFER_SIZE);
      checkRw(program, access, iova, 0);
      checkRw(program, access, iova, AccessRwFlag.SlowPath);
      program.unmap(ioas, iova, BUFFER_SIZE);
      program.test.destroyAccess(access);
    },
    MANY_STEPS_MS,
  );

  it(
    'reads and writes where pages of memory and of addresses do not begin together',
    () => {
      const { program, ioas, baseIova } = fixture();
      const access = program.test.createAccess(ioas);
      const iova = baseIova + MOCK_PAGE;
      program.mapFixed(ioas, program.buffer, BUFFER_SIZE, iova);
      checkRw(program, access, iova, 0);
      program.unmap(ioas, iova, BUFFER_SIZE);
      program.test.destroyAccess(access);
    },
    MANY_STEPS_MS,
  );

  it(
    'a mapping of a process that is gone lives on where it was pinned, and only there',
    () => {
      const { program, ioas, mock } = fixture();
      const { test } = program;
      const access = test.createAccess(ioas);
      const child = mapFromChild(program, ioas);
      const buffer = child.arenas[0]!;
      const bytes = Uint8Array.from({ length: 4096 }, (_, n) => n & 0xff);
      child.write(buffer.base + PAGE, bytes);
      child.exit();
      if (mock) {
        test.mockDomain(ioas);
        test.accessRw(access, APERTURE.start + PAGE, PAGE, program.scratch, 0);
        expect(program.read(program.scratch, 4096)).toEqual(bytes);
      } else {
        expect(errno(() => test.mockDomain(ioas))).toBe('EFAULT');
      }
      test.destroyAccess(access);
    },
    MANY_STEPS_MS,
  );

  it('finds the bytes a fuzzer means by the number of a mapping', () => {
    const { program, ioas, baseIova } = fixture();
    const { buffer, scratch, test } = program;
    const guess = (mapping: bigint, byte: bigint) => (byte << 32n) | mapping;
    for (const n of [0n, 4n]) program.mapFixed(ioas, buffer + n * PAGE, PAGE, baseIova + n * PAGE);
    program.write(buffer + 4n * PAGE + 5n, Uint8Array.of(77));
    const access = test.createAccess(ioas);
    test.accessRw(access, guess(1n, 5n), 1n, scratch, AccessFlag.Syzkaller);
    expect([...program.read(scratch, 1)]).toEqual([77]);

    const flags = MapFlag.FixedIova | MapFlag.Readable | AccessFlag.Syzkaller;
    const dstIova = baseIova + 8n * PAGE;
    const copy = { flags, srcIoasId: ioas, dstIoasId: ioas, srcIova: guess(1n, 0n), dstIova, length: PAGE };
    ioasCopy(program.fd, copy);
    expect(copy.srcIova).toBe(baseIova + 4n * PAGE);
    test.accessRw(access, dstIova + 5n, 1n, scratch, 0);
    expect([...program.read(scratch, 1)]).toEqual([77]);
  });

  it('memory of another process that lives is pinned and reached', () => {
    const { program, ioas } = fixture();
    const { scratch, test } = program;
    const access = test.createAccess(ioas);
    const child = mapFromChild(program, ioas);
    const mock = test.mockDomain(ioas);
    const pins = program.physical.pinned;
    expect(pins).toBe(Number(BUFFER_SIZE / PAGE));
    const bytes = Uint8Array.from({ length: 100 }, (_, n) => 255 - n);
    program.write(scratch, bytes);
    test.accessRw(access, APERTURE.start + PAGE - 50n, 100n, scratch, AccessRwFlag.Write);
    const seen = new Uint8Array(100);
    child.read(program.buffer + PAGE - 50n, seen);
    expect(seen).toEqual(bytes);
    program.destroy(mock.stdev);
    test.destroyAccess(access);
    program.unmap(ioas, APERTURE.start, BUFFER_SIZE);
    child.exit();
  });
});
