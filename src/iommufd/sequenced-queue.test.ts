import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerOf } from '../iommu/testing.ts';
import { SequencedQueue } from './sequenced-queue.ts';
import { IommufdBench } from './testing.ts';

class Queue extends SequencedQueue {
  destroy(): void {
    this.discard();
  }
}

function queueOf(depth: number) {
  const bench = new IommufdBench();
  const queue = new Queue(bench.open(), 'veventq', depth);
  const report = (...bytes: number[]) => queue.report(Uint8Array.from(bytes));
  return { bench, queue, report };
}

const seen = (queue: Queue, room?: number) =>
  queue
    .readEvents(room)
    .map(({ flags, sequence, data }) => (flags ? `lost ${sequence}` : `${sequence}: ${data}`));

describe('a queue of numbered events (veventq)', () => {
  it('numbers events from 0 on, whether read or not', () => {
    const { queue, report } = queueOf(3);
    report(7);
    report(8);
    expect(seen(queue)).toEqual(['0: 7', '1: 8']);
    report(9);
    expect(seen(queue)).toEqual(['2: 9']);
  });

  it('marks at its end that events were lost, with the number of the last one lost', () => {
    const { queue, report } = queueOf(2);
    for (const byte of [1, 2, 3, 4]) report(byte);
    expect([queue.events, queue.waiting]).toEqual([2, 3]);
    expect(seen(queue)).toEqual(['0: 1', '1: 2', 'lost 3']);
  });

  it('needs no mark any more once an event follows: the number tells', () => {
    const { queue, report } = queueOf(1);
    report(1);
    report(2);
    expect(seen(queue, 9)).toEqual(['0: 1']);
    report(3);
    expect(seen(queue)).toEqual(['2: 3']);
  });

  it('loses an event it has no memory for', () => {
    const { bench, queue, report } = queueOf(5);
    bench.faults.failAt(1);
    expect(answerOf(() => report(1))).toBe('ENOMEM');
    report(2);
    expect(seen(queue)).toEqual(['1: 2']);
  });

  it('is read in whole events of 8 bytes and their data, EINVAL if not one fits', () => {
    const { queue, report } = queueOf(5);
    report(1, 2, 3);
    report(4);
    expect(answerOf(() => queue.readEvents(7))).toBe('EINVAL');
    expect(answerOf(() => queue.readEvents(10))).toBe('EINVAL');
    expect(queue.read(19, () => {})).toBe(11);
    expect(queue.read(19, () => {})).toBe(9);
    expect(queue.read(19, () => {})).toBe(0);
  });

  it('cannot be written to', () => {
    const { queue, report } = queueOf(1);
    expect(queue.poll()).toEqual({ readable: false, writable: false });
    report(1);
    expect(queue.poll()).toEqual({ readable: true, writable: false });
  });

  it('lets a reader count every event, read or lost', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.boolean(), { maxLength: 60 }),
        (depth, steps) => {
          const { queue, report } = queueOf(depth);
          let reported = 0;
          let next = 0;
          const read = () => {
            for (const { flags, sequence, data } of queue.readEvents()) {
              expect(sequence).toBeGreaterThanOrEqual(next);
              if (flags === 0) expect(data[0]).toBe(sequence);
              next = sequence + 1;
            }
          };
          for (const isReport of steps) {
            if (isReport) report(reported++);
            else read();
            expect(queue.events).toBeLessThanOrEqual(depth);
          }
          read();
          expect(next).toBe(reported);
        },
      ),
    );
  });
});
