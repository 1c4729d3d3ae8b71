import { describe, expect, it } from 'vitest';
import { FrameRuns } from '../iommu/frame-runs.ts';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { answerOf } from '../iommu/testing.ts';
import { Arena } from './arena.ts';
import { PAGE_SIZE } from './limits.ts';
import { MemoryFile } from './memory-file.ts';
import { ProcessMemory } from './process-memory.ts';
import { pagesOf } from './user-memory.ts';

const BASE = 0x10_0000n;

function pinned(pin: (runs: FrameRuns) => void): FrameRuns {
  const runs = new FrameRuns();
  pin(runs);
  return runs;
}

describe('Arena', () => {
  it('of a terabyte costs nothing until touched', () => {
    const arena = new Arena(new PhysicalMemory(), { base: BASE, pages: 2 ** 28 });
    arena.write(arena.last - 1n, Uint8Array.of(1, 2));
    expect([...arena.bytes(arena.last - 2n, 3)]).toEqual([0, 1, 2]);
  });

  it.each(['contiguous', 'scattered'] as const)('keeps bytes where its %s frames are', (frames) => {
    const physical = new PhysicalMemory();
    const arena = new Arena(physical, { base: BASE, pages: 40, frames });
    const bytes = Uint8Array.from({ length: 3 * PAGE_SIZE }, (_, n) => n % 251);
    arena.write(BASE + 100n, bytes);
    expect(arena.bytes(BASE + 100n, bytes.length)).toEqual(bytes);
    const byte = new Uint8Array(1);
    physical.read(BigInt(arena.frameOf(2)) * 4096n + 5n, byte);
    expect(byte[0]).toBe(bytes[2 * PAGE_SIZE + 5 - 100]);
  });

  it('pins contiguous frames as one run and scattered ones as one run a page', () => {
    const physical = new PhysicalMemory();
    for (const [frames, runs] of [
      ['contiguous', 1],
      ['scattered', 30],
    ] as const) {
      const arena = new Arena(physical, { base: BASE, pages: 40, frames });
      const got = pinned((into) => arena.pin(BASE + 8n * 4096n, 30, true, into));
      expect(got.length).toBe(runs);
      expect([...got.frames()]).toEqual(Array.from({ length: 30 }, (_, n) => arena.frameOf(8 + n)));
      expect(new Set(got.frames()).size).toBe(30);
    }
    expect(physical.pinned).toBe(60);
  });

  it('refuses with EFAULT what it has not, and writing where it is read-only', () => {
    const arena = new Arena(new PhysicalMemory(), { base: BASE, pages: 2, writable: false });
    const runs = new FrameRuns();
    expect(answerOf(() => arena.read(arena.last, new Uint8Array(2)))).toBe('EFAULT');
    expect(answerOf(() => arena.read(BASE - 1n, new Uint8Array(2)))).toBe('EFAULT');
    expect(answerOf(() => arena.write(BASE, new Uint8Array(1)))).toBe('EFAULT');
    expect(answerOf(() => arena.pin(BASE, 2, true, runs))).toBe('EFAULT');
    expect(answerOf(() => arena.pin(BASE, 3, false, runs))).toBe('EFAULT');
    expect(answerOf(() => arena.pin(BASE, 2, false, runs))).toBe('ok');
    expect(runs.pages).toBe(2);
  });

  it('refuses a base inside a page and an end past 2^64-1', () => {
    const physical = new PhysicalMemory();
    expect(answerOf(() => new Arena(physical, { base: 1n, pages: 1 }))).toBe('EINVAL');
    expect(answerOf(() => new Arena(physical, { base: 2n ** 64n - 4096n, pages: 2 }))).toBe('EINVAL');
    expect(answerOf(() => new Arena(physical, { base: 2n ** 64n - 4096n, pages: 1 }))).toBe('ok');
  });
});

describe('ProcessMemory', () => {
  it('reads, writes and pins across arenas that touch, and refuses a gap', () => {
    const physical = new PhysicalMemory();
    const memory = new ProcessMemory(physical);
    const low = memory.mmap(2, { base: BASE });
    const high = memory.mmap(2, { base: BASE + 0x2000n, frames: 'scattered' });
    memory.mmap(1, { base: BASE + 0x5000n });
    memory.write(high.base - 1n, Uint8Array.of(8, 9));
    expect([...low.bytes(low.last, 1), ...high.bytes(high.base, 1)]).toEqual([8, 9]);
    expect(pinned((runs) => memory.pin(BASE, 4, true, runs)).pages).toBe(4);
    expect(answerOf(() => memory.read(high.last, new Uint8Array(2)))).toBe('EFAULT');
    expect(answerOf(() => memory.mmap(9, { base: BASE + 0x4000n }))).toBe('EEXIST');
    expect(memory.mmap(1).base).toBeGreaterThan(BASE);
  });

  it('writes what comes before the first byte that cannot be written, as copy_to_user does', () => {
    const memory = new ProcessMemory(new PhysicalMemory());
    const low = memory.mmap(1, { base: BASE });
    const end = () => [...low.bytes(low.last - 1n, 2)];
    expect(answerOf(() => memory.write(low.last - 1n, Uint8Array.of(1, 2, 3)))).toBe('EFAULT');
    expect(end()).toEqual([1, 2]);
    memory.mmap(1, { base: low.last + 1n, writable: false });
    expect(answerOf(() => memory.write(low.last - 1n, Uint8Array.of(4, 5, 6)))).toBe('EFAULT');
    expect(end()).toEqual([4, 5]);
  });

  it('takes no pin when a later page cannot be pinned', () => {
    const physical = new PhysicalMemory();
    const memory = new ProcessMemory(physical);
    memory.mmap(2, { base: BASE });
    memory.mmap(2, { base: BASE + 0x2000n, writable: false });
    const runs = new FrameRuns();
    expect(answerOf(() => memory.pin(BASE, 4, true, runs))).toBe('EFAULT');
    expect(runs.length).toBe(0);
    expect(physical.pinned).toBe(0);
  });

  it('keeps pinned pages after munmap and after the process is gone', () => {
    const physical = new PhysicalMemory();
    const memory = new ProcessMemory(physical);
    const arena = memory.mmap(2, { base: BASE });
    arena.write(BASE, Uint8Array.of(5));
    const runs = pinned((into) => memory.pin(BASE, 1, true, into));
    memory.munmap(arena);
    memory.exit();
    expect(answerOf(() => memory.munmap(arena))).toBe('EINVAL');
    expect(memory.gone).toBe(true);
    const byte = new Uint8Array(1);
    physical.read(BigInt(runs.first(0)) * 4096n, byte);
    expect(byte[0]).toBe(5);
    expect(answerOf(() => memory.read(BASE, byte))).toBe('EFAULT');
    physical.unpin(runs.first(0), 1);
    expect(physical.pages).toBe(0);
  });

  it('is one source of pages, numbered by address', () => {
    const memory = new ProcessMemory(new PhysicalMemory());
    const arena = memory.mmap(1, { base: 2n ** 63n });
    expect(pagesOf(memory)).toBe(pagesOf(memory));
    const runs = pinned((into) => pagesOf(memory).pin(2 ** 51, 1, true, into));
    expect(runs.first(0)).toBe(arena.frameOf(0));
  });

  it('refuses pages that end with the last address with EOVERFLOW, and those before with EFAULT', () => {
    const pages = pagesOf(new ProcessMemory(new PhysicalMemory()));
    const pin = (first: number, count: number) =>
      answerOf(() => pages.pin(first, count, true, new FrameRuns()));
    expect(pin(2 ** 52 - 1, 1)).toBe('EOVERFLOW');
    expect(pin(2 ** 52 - 2, 2)).toBe('EOVERFLOW');
    expect(pin(2 ** 52 - 2, 1)).toBe('EFAULT');
  });
});

describe('MemoryFile', () => {
  it('pins whole pages up to its end and refuses the rest with EINVAL', () => {
    const physical = new PhysicalMemory();
    const file = new MemoryFile(physical, { size: 3 * PAGE_SIZE - 1 });
    const runs = new FrameRuns();
    expect(answerOf(() => file.pin(0, 3, true, runs))).toBe('EINVAL');
    expect(answerOf(() => file.pin(1, 1, true, runs))).toBe('ok');
    file.write(PAGE_SIZE + 3, Uint8Array.of(6));
    const byte = new Uint8Array(1);
    physical.read(BigInt(runs.first(0)) * 4096n + 3n, byte);
    expect(byte[0]).toBe(6);
    file.close();
    physical.unpin(runs.first(0), 1);
    expect(physical.pages).toBe(0);
  });
});
