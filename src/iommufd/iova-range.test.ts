import fc from 'fast-check';
import { expect, it } from 'vitest';
import { codeOf } from './calls/testing.ts';
import { firstMeeting, holesBetween, joined, lastOf } from './iova-range.ts';
import { ULONG_MAX } from './limits.ts';
import { ReservedIovas } from './reserved-iovas.ts';

it('a range may end at 2^64-1, and not past it', () => {
  expect(lastOf('IOAS 1', ULONG_MAX, 1n)).toBe(ULONG_MAX);
  expect(codeOf(() => lastOf('IOAS 1', ULONG_MAX, 2n))).toBe('EOVERFLOW');
});

it('holes are what spans leave, up to both ends', () => {
  const spans = [
    { start: 0n, last: 4n },
    { start: 9n, last: 9n },
  ];
  expect(holesBetween(spans, 0n, ULONG_MAX)).toEqual([
    { start: 5n, last: 8n },
    { start: 10n, last: ULONG_MAX },
  ]);
  expect(holesBetween([{ start: 5n, last: ULONG_MAX }], 0n, ULONG_MAX)).toEqual([{ start: 0n, last: 4n }]);
  expect(holesBetween([{ start: 0n, last: ULONG_MAX }], 0n, ULONG_MAX)).toEqual([]);
  expect(holesBetween(spans, 2n, 7n)).toEqual([{ start: 5n, last: 7n }]);
});

const SPACE = 40;
const range = fc.tuple(fc.nat(SPACE - 1), fc.nat(12)).map(([start, more]) => ({
  start: BigInt(start),
  last: BigInt(Math.min(start + more, SPACE - 1)),
}));

it('reservations of several owners overlap, and go with their owner: as one set of bytes for each', () => {
  const owners = [{ name: 'a' }, { name: 'b' }, null];
  const command = fc.record({ owner: fc.nat(2), range, remove: fc.integer({ min: 0, max: 4 }) });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 20 }), range, (commands, asked) => {
      const reserved = new ReservedIovas();
      const bytes = owners.map(() => new Set<bigint>());
      for (const {
        owner,
        range: { start, last },
        remove,
      } of commands) {
        if (remove === 0) {
          reserved.removeOwner(owners[owner]!);
          bytes[owner]!.clear();
        } else {
          reserved.add(owners[owner]!, start, last);
          for (let at = start; at <= last; at++) bytes[owner]!.add(at);
        }
        const isTaken = (at: bigint) => bytes.some((set) => set.has(at));
        const holes = reserved.holes();
        for (let at = 0n; at < SPACE; at++) {
          expect(holes.some(({ start: from, last: to }) => from <= at && at <= to)).toBe(!isTaken(at));
        }
        expect(holes.every((hole, n) => n === 0 || hole.start > holes[n - 1]!.last + 1n)).toBe(true);
        let meets = false;
        for (let at = asked.start; at <= asked.last; at++) meets ||= isTaken(at);
        expect(reserved.meeting(asked.start, asked.last) !== undefined).toBe(meets);
      }
    }),
  );
});

it('joined spans neither overlap nor touch', () => {
  fc.assert(
    fc.property(fc.array(range), (list) => {
      const sorted = [...list].sort((a, b) => Number(a.start - b.start));
      const spans = joined(sorted);
      expect(spans.every((span, n) => n === 0 || span.start > spans[n - 1]!.last + 1n)).toBe(true);
      for (const { start, last } of list) expect(firstMeeting(spans, start, last)!.start <= start).toBe(true);
    }),
  );
});
