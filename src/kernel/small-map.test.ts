import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SmallMap } from './small-map.ts';

test('behaves as a Map does, few entries or many', () => {
  const name = fc.constantFrom(...Array.from({ length: 14 }, (_, i) => `n${i}`));
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('set' as const), name, value: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), name, value: fc.nat() }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const small = new SmallMap<string, number>();
      const model = new Map<string, number>();
      for (const each of steps) {
        if (each.do === 'set') {
          small.set(each.name, each.value);
          model.set(each.name, each.value);
        } else {
          expect(small.delete(each.name)).toBe(model.delete(each.name));
        }
        expect([...small.entries()]).toEqual([...model]);
        expect(small.size).toBe(model.size);
        expect(small.get(each.name)).toBe(model.get(each.name));
        expect(small.has(each.name)).toBe(model.has(each.name));
        expect([...small.keys()]).toEqual([...model.keys()]);
        expect([...small.values()]).toEqual([...model.values()]);
      }
    }),
  );
});

test('a value that equals a name is not taken for one', () => {
  const small = new SmallMap<string, string>();
  small.set('a', 'b');
  expect(small.get('b')).toBeUndefined();
  expect(small.delete('b')).toBe(false);
});
