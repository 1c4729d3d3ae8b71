/** Dirty pages: the kernel's fixture `iommufd_dirty_tracking`, from 8 KiB to 128 MiB, small and huge pages. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Arena } from '../../../src/iommufd/arena.ts';
import { getHwInfo, HwCapability } from '../../../src/iommufd/calls/get-hw-info.ts';
import { HwptAllocFlag } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import {
  DIRTY_BITMAP_NO_CLEAR,
  hwptGetDirtyBitmap,
} from '../../../src/iommufd/calls/hwpt-get-dirty-bitmap.ts';
import {
  DIRTY_TRACKING_ENABLE,
  hwptSetDirtyTracking,
} from '../../../src/iommufd/calls/hwpt-set-dirty-tracking.ts';
import { DeviceFlag, MOCK_HUGE_PAGE_SIZE } from '../../../src/iommufd/selftest/numbers.ts';
import { APERTURE, errno, HUGE_PAGE, MOCK_PAGE, PAGE, Program } from './program.ts';
import type { MockIds } from './test-calls.ts';

const KIB = 1024n;
const MIB = 1024n * KIB;

function bitmapOf(bits: number, isSet: (bit: number) => boolean): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(bits / 8));
  for (let bit = 0; bit < bits; bit++) if (isSet(bit)) bytes[bit >> 3]! |= 1 << (bit & 7);
  return bytes;
}

describe.each([
  { name: '8k', size: 8n * KIB, huge: false },
  { name: '16k', size: 16n * KIB, huge: false },
  { name: '64k', size: 64n * KIB, huge: false },
  { name: '128k', size: 128n * KIB, huge: false },
  { name: '320k', size: 320n * KIB, huge: false },
  { name: '64M', size: 64n * MIB, huge: false },
  { name: '64M huge', size: 64n * MIB, huge: true },
  { name: '128M', size: 128n * MIB, huge: false },
  { name: '128M huge', size: 128n * MIB, huge: true },
])('dirty tracking: $name', ({ size, huge }) => {
  const bits = Number(size / MOCK_PAGE);
  let program: Program;
  let buffer: Arena;
  let bitmap: bigint;
  let ioas: number;
  let mock: MockIds;

  beforeEach(() => {
    program = new Program();
    buffer = program.mmap(size < HUGE_PAGE && huge ? HUGE_PAGE : size, huge);
    // One page more than the bitmap needs, for the cases that begin it elsewhere.
    bitmap = program.mmap((BigInt(bits) / 8n / PAGE + 2n) * PAGE).base;
    ioas = program.ioasAlloc();
    mock = program.test.mockDomainFlags(ioas, huge ? DeviceFlag.HugeIova : 0);
  });

  afterEach(() => program.finish());

  const setTracking = (hwptId: number, enable: boolean) =>
    hwptSetDirtyTracking(program.fd, { flags: enable ? DIRTY_TRACKING_ENABLE : 0, hwptId, reserved: 0 });

  const tracking = () => program.hwptAlloc(mock.idev, ioas, { flags: HwptAllocFlag.DirtyTracking });

  /** A table that holds the buffer at the beginning of the aperture, with tracking on. */
  function trackedBuffer(): number {
    const own = program.ioasAlloc();
    program.mapFixed(own, buffer.base, size, APERTURE.start);
    const hwpt = program.hwptAlloc(mock.idev, own, { flags: HwptAllocFlag.DirtyTracking });
    setTracking(hwpt, true);
    return hwpt;
  }

  /** The bitmap after a read into zeros at `data`. */
  function readDirty(hwptId: number, data: bigint, flags: number): Uint8Array {
    const bytes = Math.ceil(bits / 8);
    program.write(data, new Uint8Array(bytes));
    const range = { iova: APERTURE.start, length: size, pageSize: MOCK_PAGE };
    hwptGetDirtyBitmap(program.fd, { hwptId, flags, reserved: 0, ...range, data });
    return program.read(data, bytes);
  }

  /** Every other leaf is marked by one of its small pages, and read twice. */
  function expectEveryOther(hwpt: number, data: bigint, flags: number): void {
    const perLeaf = huge ? MOCK_HUGE_PAGE_SIZE / Number(MOCK_PAGE) : 1;
    const range = { iova: APERTURE.start, length: size, pageSize: MOCK_PAGE, uptr: data };
    program.write(
      data,
      bitmapOf(bits, (bit) => bit % (2 * perLeaf) === 0),
    );
    expect(program.test.dirty(hwpt, range)).toBe(BigInt(Math.max(1, Math.floor(bits / (2 * perLeaf)))));
    const marked = bitmapOf(bits, (bit) => bit % (2 * perLeaf) < perLeaf);
    expect(Buffer.compare(readDirty(hwpt, data, flags), marked)).toBe(0);
    const kept = (flags & DIRTY_BITMAP_NO_CLEAR) !== 0;
    const again = readDirty(hwpt, data, flags);
    expect(Buffer.compare(again, kept ? marked : new Uint8Array(marked.length))).toBe(0);
  }

  it('a page table that tracks takes no device that does not, and none is made for one', () => {
    const hwpt = tracking();
    const { stdev } = program.test.mockDomain(hwpt);
    expect(errno(() => program.test.mockDomainFlags(hwpt, DeviceFlag.NoDirty))).toBe('EINVAL');
    program.destroy(stdev);
    program.destroy(hwpt);

    const other = program.ioasAlloc();
    const noDirty = program.test.mockDomainFlags(other, DeviceFlag.NoDirty);
    const flags = HwptAllocFlag.DirtyTracking;
    expect(errno(() => program.hwptAlloc(noDirty.idev, other, { flags }))).toBe('EOPNOTSUPP');
    program.destroy(noDirty.stdev);
  });

  it('tracking is switched on and off', () => {
    const hwpt = tracking();
    const { stdev } = program.test.mockDomain(hwpt);
    setTracking(hwpt, true);
    setTracking(hwpt, false);
    const plain = program.hwptAlloc(mock.idev, ioas);
    expect(errno(() => setTracking(plain, true))).toBe('EOPNOTSUPP');
    program.destroy(plain);
    program.destroy(stdev);
    program.destroy(hwpt);
  });

  it('hardware information says that the IOMMU tracks', () => {
    const request = {
      flags: 0,
      devId: mock.idev,
      dataLen: 0,
      dataUptr: 0n,
      outDataType: 0,
      outMaxPasidLog2: 0,
      reserved: [0, 0, 0] as [number, number, number],
      outCapabilities: 0n,
    };
    getHwInfo(program.fd, request);
    expect(request.outCapabilities & BigInt(HwCapability.DirtyTracking)).toBe(1n);
  });

  it.each([
    ['at a page', 0n],
    ['at half a page', MOCK_PAGE],
    ['at an odd byte', 0xff1n],
  ])('a bitmap %s has what was written since it was read last', (_, offset) => {
    const hwpt = trackedBuffer();
    expectEveryOther(hwpt, bitmap + offset, 0);
    program.destroy(hwpt);
  });

  it.each([
    ['at a page', 0n],
    ['at half a page', MOCK_PAGE],
    ['at an odd byte', 0xff1n],
  ])('a bitmap %s has the same again where nothing is to be cleared', (_, offset) => {
    const hwpt = trackedBuffer();
    expectEveryOther(hwpt, bitmap + offset, DIRTY_BITMAP_NO_CLEAR);
    program.destroy(hwpt);
  });

  it('pages are marked only while tracking is on, and forgotten when it is switched on again', () => {
    const hwpt = trackedBuffer();
    const range = { iova: APERTURE.start, length: MOCK_PAGE, pageSize: MOCK_PAGE, uptr: bitmap };
    program.write(bitmap, Uint8Array.of(1));
    expect(program.test.dirty(hwpt, range)).toBe(1n);
    setTracking(hwpt, false);
    expect(errno(() => program.test.dirty(hwpt, range))).toBe('EINVAL');
    expect(readDirty(hwpt, bitmap, 0).some((byte) => byte !== 0)).toBe(false);
    setTracking(hwpt, true);
    expect(readDirty(hwpt, bitmap, 0).some((byte) => byte !== 0)).toBe(false);
  });
});
