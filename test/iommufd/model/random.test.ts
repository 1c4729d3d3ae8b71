/** Issue section 5: random sequences of all operations, against a model that is written to be obviously right. */

import fc from 'fast-check';
import { describe, test } from 'vitest';
import { Choices } from './choices.ts';
import { BEGINNINGS, prepare } from './operations/beginnings.ts';
import { OPERATIONS } from './operations.ts';
import { World } from './world.ts';

const LONG = process.env.RINGFENCE_LONG === '1';
const RUNS = LONG ? 5000 : 120;
const MOST_CALLS = LONG ? 300 : 90;

const numbers = fc.array(fc.noBias(fc.nat(9972)), { minLength: 6, maxLength: 14 });
/** The operation, its arguments, and the step of it that fails first, if it has so many. */
const call = fc.tuple(
  fc.noBias(fc.nat(OPERATIONS.length - 1)),
  numbers,
  fc.option(fc.noBias(fc.integer({ min: 1, max: 25 })), { nil: undefined, freq: 1 }),
);

describe('any sequence of calls', () => {
  test(
    'does what the model does: answers, ids, ranges, leaves, pins, bytes; and nothing is left in the end',
    () => {
      fc.assert(
        fc.property(
          fc.noBias(fc.array(call, { maxLength: MOST_CALLS, size: 'max' })),
          fc.nat(BEGINNINGS - 1),
          numbers,
          (calls, beginning, ending) => {
            const world = new World();
            prepare(world, beginning);
            for (const [operation, arguments_, failing] of calls) {
              world.failing = failing;
              OPERATIONS[operation]!(world, new Choices(arguments_));
              world.compare();
            }
            world.compareBytes();
            world.end(new Choices(ending));
          },
        ),
        { numRuns: RUNS },
      );
    },
    LONG ? 3_600_000 : 60_000,
  );
});
