import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameRange, PhysicalMemory } from './physical-memory.ts';
import { answerOf } from './testing.ts';

/** Bytes that are there from the start. */
function plain(pages: number) {
  const bytes = new Uint8Array(pages * 4096);
  return {
    bytes,
    read: (offset: number, into: Uint8Array) => into.set(bytes.subarray(offset, offset + into.length)),
    write: (offset: number, from: Uint8Array) => bytes.set(from, offset),
  };
}

function reserve(memory: PhysicalMemory, pages: number, align?: number): FrameRange {
  return memory.reserve(pages, plain(pages), align === undefined ? {} : { align });
}

describe('PhysicalMemory', () => {
  it('reserves contiguous frames, never frame 0, aligned as asked', () => {
    const memory = new PhysicalMemory();
    const first = reserve(memory, 3);
    const second = reserve(memory, 512, 512);
    expect(first.first).toBeGreaterThan(0);
    expect(second.first % 512).toBe(0);
    expect(second.first).toBeGreaterThan(first.first + 2);
  });

  it('refuses sizes and alignments that are none', () => {
    const memory = new PhysicalMemory();
    expect(answerOf(() => reserve(memory, 0))).toBe('EINVAL');
    expect(answerOf(() => reserve(memory, 1, 3))).toBe('EINVAL');
    expect(answerOf(() => memory.reserve(2 ** 41, plain(0)))).toBe('ENOMEM');
  });

  it('moves bytes across ranges that lie beside each other', () => {
    const memory = new PhysicalMemory();
    const low = plain(1);
    const high = plain(1);
    const { first } = memory.reserve(1, low);
    memory.reserve(1, high);
    memory.write(BigInt(first) * 4096n + 4094n, Uint8Array.of(1, 2, 3, 4));
    expect([...low.bytes.subarray(4094)]).toEqual([1, 2]);
    expect([...high.bytes.subarray(0, 2)]).toEqual([3, 4]);
    const read = new Uint8Array(4);
    memory.read(BigInt(first) * 4096n + 4094n, read);
    expect([...read]).toEqual([1, 2, 3, 4]);
  });

  it('writes nothing where part of the bytes is no memory', () => {
    const memory = new PhysicalMemory();
    const backing = plain(1);
    const { first } = memory.reserve(1, backing);
    expect(answerOf(() => memory.write(BigInt(first) * 4096n + 4095n, Uint8Array.of(1, 2)))).toBe('EFAULT');
    expect(backing.bytes[4095]).toBe(0);
    expect(answerOf(() => memory.read(0n, new Uint8Array(1)))).toBe('EFAULT');
    expect(answerOf(() => memory.read(0xffff_ffff_ffff_ffffn, new Uint8Array(1)))).toBe('EFAULT');
  });

  it('keeps a range while a frame of it is pinned', () => {
    const memory = new PhysicalMemory();
    const range = reserve(memory, 4);
    memory.pin(range.first + 2, 1);
    expect(answerOf(() => memory.release(range))).toBe('EBUSY');
    memory.unpin(range.first + 2, 1);
    memory.release(range);
    expect(answerOf(() => memory.release(range))).toBe('EINVAL');
    expect(memory.pages).toBe(0);
  });

  it('keeps the bytes of an abandoned range until the last pin is gone', () => {
    const memory = new PhysicalMemory();
    const range = reserve(memory, 2);
    const address = BigInt(range.first) * 4096n;
    memory.write(address, Uint8Array.of(7));
    memory.pin(range.first, 2);
    memory.abandon(range);
    const read = new Uint8Array(1);
    memory.read(address, read);
    expect(read[0]).toBe(7);
    memory.unpin(range.first, 1);
    memory.read(address, read);
    memory.unpin(range.first + 1, 1);
    expect(answerOf(() => memory.read(address, read))).toBe('EFAULT');
    expect(memory.pages).toBe(0);
  });

  it('refuses to unpin what is not pinned, and unpins nothing of it then', () => {
    const memory = new PhysicalMemory();
    const range = reserve(memory, 3);
    memory.pin(range.first, 2);
    expect(answerOf(() => memory.unpin(range.first, 3))).toBe('EINVAL');
    expect(memory.pinned).toBe(2);
    expect(answerOf(() => memory.pin(range.first + 2, 2))).toBe('EFAULT');
    expect(memory.pinned).toBe(2);
  });

  it('counts pins per frame as an array of counters would', () => {
    const pages = 1300;
    const change = fc.record({
      first: fc.integer({ min: 0, max: pages - 1 }),
      count: fc.constantFrom(1, 2, 100, 511, 512, 513, 1024, pages),
      unpin: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
        const memory = new PhysicalMemory();
        const { first: base } = reserve(memory, pages);
        const model = new Array<number>(pages).fill(0);
        for (const { first, count, unpin } of changes) {
          const last = Math.min(pages, first + count);
          const part = model.slice(first, last);
          if (unpin && part.includes(0)) {
            expect(answerOf(() => memory.unpin(base + first, last - first))).toBe('EINVAL');
            continue;
          }
          if (unpin) memory.unpin(base + first, last - first);
          else memory.pin(base + first, last - first);
          for (let page = first; page < last; page++) model[page] = model[page]! + (unpin ? -1 : 1);
        }
        expect(Array.from({ length: pages }, (_, page) => memory.pins(base + page))).toEqual(model);
        expect(memory.pinned).toBe(model.reduce((sum, pins) => sum + pins, 0));
      }),
    );
  });
});
