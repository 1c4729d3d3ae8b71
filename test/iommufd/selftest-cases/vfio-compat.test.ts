/** Old VFIO calls on /dev/iommu: the kernel's fixture `vfio_compat_mock_domain`, with both versions of type 1. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VfioIoasOp, vfioIoas } from '../../../src/iommufd/calls/vfio-ioas.ts';
import { vfioMapDma, vfioSetIommu, vfioUnmapDma } from '../../../src/iommufd/vfio/calls.ts';
import {
  DMA_UNMAP_ALL,
  DmaMapFlag,
  IommuInfoCapability,
  IommuInfoFlag,
  VfioExtension,
} from '../../../src/iommufd/vfio/constants.ts';
import { type VfioIommuInfoRequest, vfioIommuGetInfo } from '../../../src/iommufd/vfio/type1-info.ts';
import { APERTURE, BUFFER_SIZE, errno, HUGE_PAGE, PAGE, Program } from './program.ts';

/** Bytes up to the capability offset, and of the whole struct. */
const OLD_INFO_SIZE = 16;
const INFO_SIZE = 24;
const PIECES = 16;

/** The numbers 0 to n-1 in an order that looks like none. */
function shuffled(n: number): number[] {
  return Array.from({ length: n }, (_, at) => (at * 7 + 3) % n);
}

describe.each([
  { name: 'type 1 v2', version: VfioExtension.Type1v2 },
  { name: 'type 1', version: VfioExtension.Type1 },
])('old VFIO calls: $name', ({ version }) => {
  let program: Program;
  let ioas: number;

  beforeEach(() => {
    program = new Program();
    ioas = program.ioasAlloc();
    program.test.mockDomain(ioas);
    vfioIoas(program.fd, { ioasId: ioas, op: VfioIoasOp.Set, reserved: 0 });
    vfioSetIommu(program.fd, version);
  });

  afterEach(() => program.finish());

  function map(vaddr: bigint, iova: bigint, size: bigint): void {
    const flags = DmaMapFlag.Read | DmaMapFlag.Write;
    vfioMapDma(program.fd, { argsz: 32, flags, vaddr, iova, size });
  }

  /** @returns bytes unmapped */
  function unmap(iova: bigint, size: bigint, flags = 0): bigint {
    const request = { argsz: 24, flags, iova, size };
    vfioUnmapDma(program.fd, request);
    return request.size;
  }

  function info(argsz: number): VfioIommuInfoRequest {
    const request = { argsz, flags: 0, iovaPgsizes: 0n, capOffset: 0 };
    vfioIommuGetInfo(program.fd, request);
    return request;
  }

  it('closing the file gives everything back', () => {
    map(program.buffer, APERTURE.start, BUFFER_SIZE);
    program.test.mdCheckRefs(program.buffer, BUFFER_SIZE, 1);
  });

  it('type 1 alone does without large pages', () => {
    expect(program.getHugePages(ioas)).toBe(version === VfioExtension.Type1 ? 0n : 1n);
  });

  it('tells page sizes and capabilities as far as the buffer reaches', () => {
    const flags = IommuInfoFlag.PageSizes | IommuInfoFlag.Capabilities;
    expect(info(OLD_INFO_SIZE)).toMatchObject({ flags, iovaPgsizes: PAGE });
    const whole = info(INFO_SIZE);
    expect(whole).toMatchObject({ flags, iovaPgsizes: PAGE, capOffset: 0 });
    expect(whole.argsz).toBeGreaterThan(INFO_SIZE);

    for (let argsz = INFO_SIZE; argsz < whole.argsz; argsz++) expect(info(argsz).capOffset).toBe(0);
    const { capOffset, argsz, caps } = info(whole.argsz);
    expect(capOffset).toBe(INFO_SIZE);
    const [avail, ranges] = caps ?? [];
    expect(avail).toMatchObject({ id: IommuInfoCapability.DmaAvail, version: 1, offset: capOffset });
    expect(ranges).toMatchObject({
      id: IommuInfoCapability.IovaRange,
      version: 1,
      offset: avail?.next,
      next: 0,
      nrIovas: 1,
      iovaRanges: [{ start: APERTURE.start, end: APERTURE.last }],
    });
    expect((ranges?.offset ?? 0) + 32).toBe(argsz);
  });

  it('maps and unmaps at an address, everything, and page by page', () => {
    const { buffer } = program;
    map(buffer, APERTURE.start, BUFFER_SIZE);
    expect(unmap(APERTURE.start, BUFFER_SIZE)).toBe(BUFFER_SIZE);
    expect(unmap(APERTURE.start, BUFFER_SIZE)).toBe(0n);

    map(buffer, APERTURE.start, BUFFER_SIZE);
    expect(errno(() => unmap(APERTURE.start, BUFFER_SIZE, DMA_UNMAP_ALL))).toBe('EINVAL');
    expect(unmap(0n, 0n, DMA_UNMAP_ALL)).toBe(BUFFER_SIZE);

    const pages = Number(BUFFER_SIZE / PAGE);
    for (let n = 0n; n < pages; n++) map(buffer + n * PAGE, APERTURE.start + n * PAGE, PAGE);
    for (const n of shuffled(pages)) expect(unmap(APERTURE.start + BigInt(n) * PAGE, PAGE)).toBe(PAGE);
  });

  it('cuts a mapping of huge pages into pieces with type 1, never with v2', () => {
    const size = 2n * HUGE_PAGE;
    const arena = program.mmap(size, true);
    map(arena.base, APERTURE.start, size);
    const piece = size / BigInt(PIECES);
    for (const [done, n] of shuffled(PIECES).entries()) {
      const iova = APERTURE.start + BigInt(n) * piece;
      if (version === VfioExtension.Type1) {
        expect(unmap(iova, piece)).toBe(piece);
        const left = PIECES - done - 1;
        expect(program.physical.pinned).toBe(Number((BigInt(left) * piece) / PAGE));
      } else {
        expect(errno(() => unmap(iova, piece))).toBe('ENOENT');
      }
    }
  });
});
