import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerOf } from '../testing.ts';
import { IntervalTable } from './interval-table.ts';

/** Pages of one byte. */
const BYTES = 0xffff_ffff_ffff_ffffn;

describe('IntervalTable', () => {
  test('neighbours that continue each other become one entry, others do not', () => {
    const table = new IntervalTable(BYTES);
    table.map(0n, 100n, 4n, 3);
    table.map(4n, 104n, 4n, 3);
    expect(table.size).toBe(1);
    table.map(8n, 108n, 4n, 1);
    table.map(12n, 0n, 4n, 1);
    expect(table.size).toBe(3);
  });

  test('reaches the last address', () => {
    const table = new IntervalTable();
    const top = 0xffff_ffff_ffff_f000n;
    table.map(top, top, 4096n, 3);
    expect(table.translate(0xffff_ffff_ffff_ffffn)).toBe(0xffff_ffff_ffff_ffffn);
    expect(table.holes(top - 1n, 0xffff_ffff_ffff_ffffn)).toEqual([{ start: top - 1n, last: top - 1n }]);
    expect(table.unmap(top, 4096n)).toBe(4096n);
    expect(table.size).toBe(0);
  });

  test('behaves as a map from each address to its target', () => {
    const range = fc.record({ start: fc.nat(40), size: fc.integer({ min: 1, max: 12 }), shift: fc.nat(2) });
    const step = fc.oneof(
      range.map((r) => ({ ...r, kind: 'map' as const })),
      range.map((r) => ({ ...r, kind: 'unmap' as const })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const table = new IntervalTable(BYTES);
        const model = new Map<number, number>();
        for (const { kind, start, size, shift } of steps) {
          const addresses = Array.from({ length: size }, (_, i) => start + i);
          if (kind === 'map') {
            const taken = addresses.some((address) => model.has(address));
            const answer = answerOf(() =>
              table.map(BigInt(start), BigInt(start + 100 * shift), BigInt(size), 3),
            );
            expect(answer).toBe(taken ? 'EEXIST' : 'ok');
            if (!taken) for (const address of addresses) model.set(address, address + 100 * shift);
          } else {
            const hole = addresses.findIndex((address) => !model.has(address));
            const expected = hole < 0 ? size : hole;
            expect(table.unmap(BigInt(start), BigInt(size))).toBe(BigInt(expected));
            for (const address of addresses.slice(0, expected)) model.delete(address);
          }
          for (let address = 0; address < 60; address++) {
            const target = model.get(address);
            expect(table.translate(BigInt(address))).toBe(target === undefined ? undefined : BigInt(target));
          }
          const unmapped = table
            .holes(0n, 59n)
            .flatMap(({ start, last }) =>
              Array.from({ length: Number(last - start) + 1 }, (_, i) => Number(start) + i),
            );
          expect(unmapped).toEqual(Array.from({ length: 60 }, (_, i) => i).filter((i) => !model.has(i)));
        }
      }),
    );
  });
});
