import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameRuns } from './frame-runs.ts';

function rows(runs: FrameRuns): [number, number][] {
  return Array.from({ length: runs.length }, (_, at) => [runs.first(at), runs.count(at)]);
}

describe('FrameRuns', () => {
  it('keeps frames that continue each other as one run', () => {
    const runs = new FrameRuns();
    runs.push(10, 2);
    runs.push(12, 3);
    runs.push(20, 1);
    expect(rows(runs)).toEqual([
      [10, 5],
      [20, 1],
    ]);
    expect(runs.pages).toBe(6);
    expect([...runs.frames()]).toEqual([10, 11, 12, 13, 14, 20]);
  });

  it('appends runs as if their frames had been pushed one by one', () => {
    const piece = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 3 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(piece, piece, (left, right) => {
        const made = [left, right].map((list) => {
          const runs = new FrameRuns();
          for (const [first, count] of list) runs.push(first, count);
          return runs;
        });
        const [runs, other] = made as [FrameRuns, FrameRuns];
        const one = new FrameRuns();
        for (const frame of [...runs.frames(), ...other.frames()]) one.push(frame, 1);
        runs.append(other);
        expect(rows(runs)).toEqual(rows(one));
        expect(runs.pages).toBe(one.pages);
      }),
    );
  });
});
