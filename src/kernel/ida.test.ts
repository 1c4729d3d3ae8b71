import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelError } from './errors.ts';
import { Ida } from './ida.ts';

describe('Ida', () => {
  test('groups-core.md 1: ids are given lowest free first, from 0', () => {
    const ida = new Ida('group ids');
    expect([ida.alloc(), ida.alloc(), ida.alloc()]).toEqual([0, 1, 2]);
    ida.free(1);
    ida.free(0);
    expect([ida.alloc(), ida.alloc(), ida.alloc()]).toEqual([0, 1, 3]);
  });

  test('alloc is ENOSPC beyond the highest id, and works again after a free', () => {
    const ida = new Ida('minors', 1);
    ida.alloc();
    ida.alloc();
    expect(() => ida.alloc()).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(ida.size).toBe(2);
    ida.free(0);
    expect(ida.alloc()).toBe(0);
  });

  test.each([-1, 0.5, 3, 2 ** 31, 2 ** 53, Number.NaN])('free of %d, which is not out, is EINVAL', (id) => {
    const ida = new Ida('group ids');
    ida.alloc();
    expect(ida.has(id)).toBe(false);
    expect(() => ida.free(id)).toThrow('[EINVAL]');
    expect(ida.size).toBe(1);
  });

  test('65,536 ids, every other one freed and taken again', () => {
    const ida = new Ida('group ids');
    const all = Array.from({ length: 65536 }, (_, id) => id);
    const even = all.filter((id) => id % 2 === 0);
    expect(all.map(() => ida.alloc())).toEqual(all);
    for (const id of even) ida.free(id);
    expect(even.map(() => ida.alloc())).toEqual(even);
    expect(ida.alloc()).toBe(65536);
  });

  test('property: answers as a plain set searched from 0 does', () => {
    const step = fc.oneof(fc.constant('alloc' as const), fc.nat(140));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), fc.nat(130), (steps, max) => {
        const ida = new Ida('ids', max);
        const model = new Set<number>();
        for (const next of steps) {
          if (next === 'alloc') {
            let lowest = 0;
            while (model.has(lowest)) lowest++;
            if (lowest > max) expect(() => ida.alloc()).toThrow(KernelError);
            else expect(ida.alloc()).toBe(lowest);
            if (lowest <= max) model.add(lowest);
          } else {
            expect(ida.has(next)).toBe(model.has(next));
            if (model.delete(next)) ida.free(next);
            else expect(() => ida.free(next)).toThrow(KernelError);
          }
          expect(ida.size).toBe(model.size);
        }
      }),
    );
  });
});
