/** iommufd.md 4, GET_DIRTY: bit n stands for iova + n * page_size, bits that are there stay. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { answerOf } from '../iommu/testing.ts';
import { hwptGetDirtyBitmap } from './calls/hwpt-get-dirty-bitmap.ts';
import { hwptSetDirtyTracking } from './calls/hwpt-set-dirty-tracking.ts';
import { DeviceBench } from './device-testing.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import { ProcessMemory } from './process-memory.ts';

const PAGES = 4;

function memoryOf(pages = PAGES) {
  const memory = new ProcessMemory(new PhysicalMemory());
  return { memory, arena: memory.mmap(pages) };
}

describe('the bitmap', () => {
  test('agrees with a plain list of bits, wherever it begins and whatever is set before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 21_000 }), fc.integer({ min: 1, max: 3000 })), {
          maxLength: 5,
        }),
        (offset, bits, ranges) => {
          const { memory, arena } = memoryOf();
          const before = Uint8Array.from({ length: PAGES * 4096 }, (_, at) => (at * 37) & 0xff);
          memory.write(arena.base, before);
          const expected = before.slice();
          const iova = 0x7f_0000_0000n;
          const bitmap = new DirtyBitmap({
            memory,
            data: arena.base + BigInt(offset),
            iova,
            length: BigInt(bits) * 4096n,
            pageSize: 4096n,
          });
          for (const [first, count] of ranges) {
            bitmap.set(iova + BigInt(first) * 4096n, BigInt(count) * 4096n);
            for (let bit = first; bit < Math.min(first + count, bits); bit++) {
              expected[offset + (bit >> 3)]! |= 1 << (bit & 7);
            }
          }
          bitmap.free();
          expect(Buffer.compare(arena.bytes(arena.base, PAGES * 4096), expected)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('what is not a whole bit counts as one, at both ends', () => {
    const { memory, arena } = memoryOf();
    const bitmap = new DirtyBitmap({
      memory,
      data: arena.base,
      iova: 0n,
      length: 0x10_0000n,
      pageSize: 4096n,
    });
    bitmap.set(0x1800n, 0x1000n);
    bitmap.free();
    expect(arena.bytes(arena.base, 1)[0]).toBe(0b110);
  });

  test('a page of it that cannot be written ends the report without an error', () => {
    const { memory, arena } = memoryOf(1);
    const bitmap = new DirtyBitmap({
      memory,
      data: arena.base + 4095n,
      iova: 0n,
      length: 64n * 4096n,
      pageSize: 4096n,
    });
    bitmap.set(0n, 64n * 4096n);
    bitmap.free();
    expect(arena.bytes(arena.base + 4094n, 2)).toEqual(Uint8Array.of(0, 0xff));
  });
});

describe('dirty tracking of devices', () => {
  function stage() {
    const bench = new DeviceBench(['Ga'], { capabilities: ['cache-coherency', 'dirty-tracking'] });
    const device = bench.bind('Ga');
    const ioas = bench.ioas();
    bench.map(ioas, 0x10_0000n, 16);
    const hwpt = bench.hwpt(device, ioas, { flags: 2 });
    device.attach(hwpt.id);
    const arena = bench.base.memory.mmap(1);
    const read = (some: object = {}) => {
      const request = { hwptId: hwpt.id, flags: 0, reserved: 0, iova: 0x10_0000n, length: 0x1_0000n };
      hwptGetDirtyBitmap(bench.context, { ...request, pageSize: 4096n, data: arena.base, ...some });
      const bits = new DataView(arena.bytes(arena.base, 2).buffer).getUint16(0, true);
      bench.base.memory.write(arena.base, new Uint8Array(2));
      return bits;
    };
    const track = (flags: number, hwptId = hwpt.id) =>
      hwptSetDirtyTracking(bench.context, { flags, hwptId, reserved: 1 });
    return { bench, device, ioas, hwpt, read, track };
  }

  test('what a device writes is reported once, or as often as NO_CLEAR asks', () => {
    const { device, read, track } = stage();
    device.dma.write(0x10_0000n, Uint8Array.of(1));
    track(1);
    expect(read()).toBe(0);
    device.dma.write(0x10_1000n, Uint8Array.of(1));
    device.dma.write(0x10_4fffn, Uint8Array.of(1, 2));
    device.dma.read(0x10_7000n, 4);
    expect(read({ flags: 1 })).toBe(0b11_0010);
    expect(read()).toBe(0b11_0010);
    expect(read()).toBe(0);
  });

  test('bits are relative to the address asked for', () => {
    const { device, read, track } = stage();
    track(1);
    device.dma.write(0x10_9000n, Uint8Array.of(1));
    expect(read({ iova: 0x10_8000n, length: 0x8000n })).toBe(0b10);
  });

  test('while tracking is off nothing is reported, and that is no error', () => {
    const { device, read, track } = stage();
    track(1);
    device.dma.write(0x10_0000n, Uint8Array.of(1));
    track(0);
    expect(read()).toBe(0);
    track(1);
    expect(read()).toBe(0);
  });

  test('SET: flags EOPNOTSUPP, no such table ENOENT, a table without EOPNOTSUPP; reserved is not checked', () => {
    const { bench, device, ioas, track } = stage();
    expect(answerOf(() => track(2))).toBe('EOPNOTSUPP');
    expect(answerOf(() => track(1, 9999))).toBe('ENOENT');
    expect(answerOf(() => track(1, ioas.id))).toBe('ENOENT');
    expect(answerOf(() => track(1, bench.hwpt(device, ioas).id))).toBe('EOPNOTSUPP');
    expect(answerOf(() => track(1))).toBe('ok');
  });

  test('GET: the order of checks', () => {
    const { bench, device, ioas, read } = stage();
    const answer = (some: object) => answerOf(() => read(some));
    expect(answer({ flags: 2 })).toBe('EOPNOTSUPP');
    expect(answer({ reserved: 1, hwptId: 9999 })).toBe('EOPNOTSUPP');
    expect(answer({ hwptId: 9999, length: 0n })).toBe('ENOENT');
    expect(answer({ length: 0n })).toBe('EINVAL');
    expect(answer({ iova: 0xffff_ffff_ffff_f000n, length: 0x2000n })).toBe('EOVERFLOW');
    expect(answer({ iova: 0x10_0800n })).toBe('EINVAL');
    expect(answer({ pageSize: 0n })).toBe('EINVAL');
    expect(answer({ pageSize: 0x2_0000n })).toBe('EINVAL');
    expect(answer({ hwptId: bench.hwpt(device, ioas).id })).toBe('EOPNOTSUPP');
  });
});
