/** The kernel's fail-nth idea: a call with its first step failing, then with its second, until none is left. */

import { expect } from 'vitest';
import type { FaultInjector } from '../../../src/iommu/fault-injector.ts';
import { type ErrnoName, KernelError } from '../../../src/kernel/errors.ts';

/** What is compared before and after, and torn down in the end. */
export interface Stage {
  readonly faults: FaultInjector;
  picture(): unknown;
  /** Gives everything back and finds nothing left. */
  end(): void;
}

export interface EveryStepOptions {
  /** What the step is refused with; ENOMEM unless told. */
  code?: ErrnoName;
  /**
   * These steps may fail without the call failing. The call has then done something, and all there is to ask is that
   * nothing is left in the end.
   */
  survives?: readonly string[];
}

/** More steps than any call should have. */
const MOST_STEPS = 600;

/**
 * On a fresh stage for each step of a call: the step fails, the call with it, nothing has changed; then the same call
 * succeeds and leaves what it leaves without any failure; then everything is given back and nothing is left.
 *
 * @param prepare brings a new stage where the call is to happen; `act` is the call
 * @returns the steps that failed, in order
 */
export function everyStep<S extends Stage>(
  make: () => S,
  prepare: (stage: S) => () => unknown,
  options: EveryStepOptions = {},
): string[] {
  const { code = 'ENOMEM', survives = [] } = options;
  const clean = make();
  const once = prepare(clean);
  once();
  const wanted = plain(clean.picture());
  clean.end();

  const failed: string[] = [];
  for (let n = 1; n <= MOST_STEPS; n++) {
    const stage = make();
    const act = prepare(stage);
    const before = plain(stage.picture());
    stage.faults.failAt(n, code);
    const refusal = refusalOf(act);
    const { fired } = stage.faults;
    stage.faults.disarm();
    if (fired === undefined) {
      expect(refusal).toBeUndefined();
      stage.end();
      return failed;
    }
    failed.push(fired);
    const where = `step ${n}, ${fired}, failed`;
    if (refusal === undefined) {
      expect(survives, `${where}, and the call did not`).toContain(fired);
    } else {
      same(stage.picture(), before, `${where}: something changed`);
      act();
      same(stage.picture(), wanted, `${where}, and the same call afterwards leaves something else`);
    }
    stage.end();
  }
  throw new Error(`more than ${MOST_STEPS} steps`);
}

/** The call is refused with `code` for a reason of its own, and nothing has changed; then everything is given back. */
export function refusedCleanly<S extends Stage>(stage: S, act: () => unknown, code: ErrnoName): void {
  const before = plain(stage.picture());
  expect(refusalOf(act)?.code).toBe(code);
  same(stage.picture(), before, 'the call was refused and something changed');
}

function refusalOf(act: () => unknown): KernelError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}

function same(picture: unknown, wanted: string, words: string): void {
  const found = plain(picture);
  if (found !== wanted) expect(JSON.parse(found), words).toEqual(JSON.parse(wanted));
}

function plain(picture: unknown): string {
  return JSON.stringify(picture, (_, value) =>
    typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
  );
}
