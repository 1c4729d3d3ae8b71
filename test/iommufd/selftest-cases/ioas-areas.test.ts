/** Mappings of an address space; the kernel's `iommufd_ioas` cases about areas (facts iommufd.md 3). */

import { expect, it } from 'vitest';
import { ULONG_MAX } from '../../../src/iommufd/limits.ts';
import { describeIoas } from './ioas-fixture.ts';
import { APERTURE, BUFFER_SIZE, errno, MOCK_PAGE, PAGE, type Program } from './program.ts';

/** Lowest set bit: what an address chosen for a length is aligned to. */
const alignmentOf = (length: bigint): bigint => length & -length;
const LENGTHS = Array.from({ length: 10 }, (_, n) => PAGE * BigInt(n + 1));

function unmapEach(program: Program, ioas: number, iovas: bigint[]): void {
  for (const [at, iova] of iovas.entries()) program.unmap(ioas, iova, LENGTHS[at]!);
}

describeIoas('areas', (fixture) => {
  it('closing the file gives back an address space nobody destroyed', () => {
    expect(fixture().program.fd.objects.size).toBeGreaterThan(0);
  });

  it('an address space is destroyed unless a device uses it', () => {
    const { program, ioas, mock } = fixture();
    expect(errno(() => program.destroy(ioas))).toBe(mock ? 'EBUSY' : 'ok');
  });

  it('a mapping does not change whether an address space can be destroyed', () => {
    const { program, ioas, mock, baseIova } = fixture();
    program.mapFixed(ioas, program.buffer, PAGE, baseIova);
    expect(errno(() => program.destroy(ioas))).toBe(mock ? 'EBUSY' : 'ok');
  });

  it('closing the file gives back ten mappings of one page', () => {
    const { program, ioas, baseIova } = fixture();
    for (let n = 0n; n < 10n; n++) program.mapFixed(ioas, program.buffer, PAGE, baseIova + n * PAGE);
    expect(program.fd.objects.size).toBeGreaterThan(0);
  });

  it('unmaps what is mapped, as a whole, and nothing else', () => {
    const { program, ioas, baseIova } = fixture();
    const { buffer } = program;
    for (let n = 0n; n < 10n; n++) expect(errno(() => program.unmap(ioas, n * PAGE, PAGE))).toBe('ENOENT');

    for (let n = 0n; n < 10n; n++) program.mapFixed(ioas, buffer, PAGE, baseIova + n * PAGE);
    for (let n = 0n; n < 10n; n++) expect(program.unmap(ioas, baseIova + n * PAGE, PAGE)).toBe(PAGE);

    program.mapFixed(ioas, buffer, 2n * PAGE, baseIova + 16n * PAGE);
    for (const page of [16n, 17n]) {
      expect(errno(() => program.unmap(ioas, baseIova + page * PAGE, PAGE))).toBe('ENOENT');
    }
    for (const [page, pages] of [
      [16n, 2n],
      [16n, 1n],
      [17n, 1n],
      [15n, 2n],
      [15n, 3n],
    ] as const) {
      const overMap = () => program.mapFixed(ioas, buffer, pages * PAGE, baseIova + page * PAGE);
      expect(errno(overMap)).toBe('EEXIST');
    }
    expect(program.unmap(ioas, 0n, ULONG_MAX)).toBe(2n * PAGE);
    expect(program.unmap(ioas, 0n, ULONG_MAX)).toBe(0n);
  });

  it('an unmap takes areas it covers whole and refuses ones it covers in part', () => {
    const { program, ioas, baseIova } = fixture();
    const base = baseIova + 4n * PAGE;
    for (let n = 0n; n < 4n; n++) program.mapFixed(ioas, program.buffer, 8n * PAGE, base + n * 16n * PAGE);
    expect(errno(() => program.unmap(ioas, base - 4n * PAGE, 8n * PAGE))).toBe('ENOENT');
    expect(errno(() => program.unmap(ioas, base + (3n * 16n + 4n) * PAGE, 8n * PAGE))).toBe('ENOENT');
    expect(program.unmap(ioas, base - 4n * PAGE, (3n * 16n + 8n + 4n) * PAGE)).toBe(32n * PAGE);
  });

  it('chooses addresses that are aligned, not reserved, and allowed', () => {
    const { program, ioas, mock } = fixture();
    const { buffer } = program;
    const pages = LENGTHS.map(() => program.map(ioas, buffer, PAGE));
    for (const iova of pages) program.unmap(ioas, iova, PAGE);

    // Without a page table nobody looks whether there is memory.
    const source = mock ? buffer : 1n << 31n;
    const aligned = LENGTHS.map((length) => program.map(ioas, source, length));
    for (const [at, iova] of aligned.entries()) expect(iova % alignmentOf(LENGTHS[at]!)).toBe(0n);
    unmapEach(program, ioas, aligned);

    const reserved = { start: 4n * PAGE, length: 100n * PAGE };
    program.test.addReserved(ioas, reserved.start, reserved.length);
    const around = LENGTHS.map((length) => program.map(ioas, buffer, length));
    around.forEach((iova, at) => {
      expect(iova % alignmentOf(LENGTHS[at]!)).toBe(0n);
      expect(iova > reserved.start && iova < reserved.start + reserved.length).toBe(false);
    });
    unmapEach(program, ioas, around);

    expect(errno(() => program.allow(ioas, { start: PAGE, last: 600n * PAGE }))).toBe('EADDRINUSE');
    const allowed = mock
      ? { start: APERTURE.start + PAGE, last: APERTURE.start + 600n * PAGE - 1n }
      : { start: 200n * PAGE, last: 600n * PAGE - 1n };
    program.allow(ioas, allowed);
    const inside = LENGTHS.map((length) => program.map(ioas, buffer, length));
    inside.forEach((iova, at) => {
      expect(iova % alignmentOf(LENGTHS[at]!)).toBe(0n);
      expect(iova >= allowed.start && iova + LENGTHS[at]! - 1n <= allowed.last).toBe(true);
    });
    unmapEach(program, ioas, inside);
  });

  it('refuses to reserve what is allowed and to allow what is reserved', () => {
    const { program, ioas, baseIova } = fixture();
    const allowed = { start: baseIova, last: baseIova + 600n * PAGE };
    const reserve = () => program.test.addReserved(ioas, baseIova + PAGE, PAGE);
    program.allow(ioas, allowed);
    expect(errno(reserve)).toBe('EADDRINUSE');
    program.allow(ioas);
    expect(errno(reserve)).toBe('ok');
    expect(errno(() => program.allow(ioas, allowed))).toBe('EADDRINUSE');
  });

  it('copies a mapping inside an address space and into another', () => {
    const { program, ioas, baseIova } = fixture();
    program.mapFixed(ioas, program.buffer, PAGE, baseIova);
    program.copyFixed({ ioasId: ioas, iova: baseIova }, { ioasId: ioas, iova: baseIova + PAGE }, PAGE);
    const other = program.ioasAlloc();
    program.copyFixed({ ioasId: ioas, iova: baseIova }, { ioasId: other, iova: 0n }, PAGE);
    expect(program.unmap(other, 0n, PAGE)).toBe(PAGE);
  });

  it('tells the usable ranges, and how many there are where the room is too small', () => {
    const { program, ioas, mock } = fixture();
    const whole = mock ? { ...APERTURE } : { start: 0n, last: ULONG_MAX };
    const none = { start: 0n, last: 0n };
    expect(program.iovaRanges(ioas, 4096)).toEqual({
      answer: 'ok',
      count: 1,
      alignment: mock ? MOCK_PAGE : 1n,
      list: [whole, none],
    });
    const tooSmall = program.iovaRanges(ioas, 0);
    expect(tooSmall).toMatchObject({ answer: 'EMSGSIZE', count: 1, list: [none, none] });

    program.test.addReserved(ioas, PAGE, PAGE);
    const first = { start: 0n, last: PAGE - 1n };
    const second = { start: 2n * PAGE, last: ULONG_MAX };
    expect(program.iovaRanges(ioas, 4096)).toMatchObject(
      mock ? { count: 1, list: [whole, none] } : { count: 2, list: [first, second] },
    );
    expect(program.iovaRanges(ioas, 1)).toMatchObject(
      mock
        ? { answer: 'ok', count: 1, list: [whole, none] }
        : { answer: 'EMSGSIZE', count: 2, list: [first, none] },
    );
  });

  it('reads and changes whether large pages are used', () => {
    const { program, ioas } = fixture();
    expect(program.getHugePages(ioas)).toBe(1n);
    program.setHugePages(ioas, 0n);
    expect(program.getHugePages(ioas)).toBe(0n);
    expect(errno(() => program.setHugePages(ioas, 2n))).toBe('EINVAL');
    program.setHugePages(ioas, 1n);
    expect(program.getHugePages(ioas)).toBe(1n);
  });

  it('maps any length that the page tables can hold', () => {
    const { program, ioas, variant } = fixture();
    const { buffer } = program;
    for (let length = 1n; length < 2n * PAGE; length++) {
      if (variant.domains > 0 && length % MOCK_PAGE !== 0n) {
        expect(errno(() => program.map(ioas, buffer, length))).toBe('EINVAL');
      } else {
        const iova = program.map(ioas, buffer, length);
        expect(program.unmap(ioas, iova, length)).toBe(length);
      }
    }
  });

  it('raises the alignment to a page only where every mapping fits', () => {
    const { program, ioas, variant } = fixture();
    // With a page table and a mapping the option is refused before alignment matters.
    if (variant.domains > 0) return;
    const { buffer } = program;
    const first = APERTURE.start;
    program.mapFixed(ioas, buffer, PAGE, first);
    program.setHugePages(ioas, 0n);
    const misaligned = () => program.mapFixed(ioas, buffer + MOCK_PAGE, PAGE, first + PAGE);
    expect(errno(misaligned)).toBe('EINVAL');
    program.setHugePages(ioas, 0n);

    program.setHugePages(ioas, 1n);
    expect(errno(misaligned)).toBe('ok');
    expect(errno(() => program.setHugePages(ioas, 0n))).toBe('EADDRINUSE');
    program.unmap(ioas, first + PAGE, PAGE);
    program.unmap(ioas, first, PAGE);
  });

  it('copies half a page from any place in a mapping, and from nowhere else', () => {
    const { program, ioas, variant } = fixture();
    const copy = program.ioasAlloc();
    const first = APERTURE.start;
    const last = first + BUFFER_SIZE - (variant.domains > 0 ? 1n : 2n);
    program.mapFixed(ioas, program.buffer, last - first + 1n, first);
    for (let iova = first - PAGE; iova <= last; iova += 511n) {
      const attempt = () =>
        program.copyFixed({ ioasId: ioas, iova }, { ioasId: copy, iova: first }, MOCK_PAGE);
      if (iova < first || iova + MOCK_PAGE - 1n > last) {
        expect(errno(attempt)).toBe('ENOENT');
      } else {
        attempt();
        expect(program.unmap(copy, first, MOCK_PAGE)).toBe(MOCK_PAGE);
      }
    }
    program.destroy(copy);
  });
});
