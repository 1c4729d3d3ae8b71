/**
 * Whole processes, as a user starts them. All contestants of one size run in turn, round after round (A B C, A B C,
 * …), so that a machine that slows down slows all of them.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { duration, median, ratio, table } from './stats.ts';

export interface Contestant {
  name: string;
  command: readonly string[];
  /** Fewer rounds than the others have, for what takes minutes. */
  rounds?: number;
}

/** No single run may take longer. */
const LIMIT = 240_000;

interface Times {
  ms: number[];
  /** Took longer than the limit: the time is a lower bound. */
  stopped?: boolean;
  /** Why there is no time. */
  failed?: string;
}

/** Runs them all and prints one table; the ratios are of medians, to the first contestant's. */
export function race(title: string, contestants: readonly Contestant[], rounds: number): void {
  const times = new Map<Contestant, Times>(contestants.map((one) => [one, { ms: [] }]));
  // One round unmeasured: every contestant finds its files in memory.
  for (const one of contestants) if (one.rounds === undefined) run(one, { ms: [] });
  for (let round = 0; round < rounds; round++) {
    for (const [one, result] of times) {
      if (round < (one.rounds ?? rounds) && !result.failed && !result.stopped) run(one, result);
    }
  }
  const first = median(times.get(contestants[0]!)!.ms);
  console.log(title);
  const rows = contestants.map((one) => {
    const { ms, failed, stopped } = times.get(one)!;
    if (failed !== undefined) return [one.name, failed, '', '', '', ''];
    if (stopped === true)
      return [one.name, `stopped at ${duration(LIMIT)}`, '', '', '1', `> ${ratio(LIMIT, first)}`];
    const middle = median(ms);
    const spread = [duration(middle), duration(Math.min(...ms)), duration(Math.max(...ms))];
    return [one.name, ...spread, `${ms.length}`, ratio(middle, first)];
  });
  console.log(table(['', 'median', 'min', 'max', 'runs', 'ratio'], rows));
}

function run(contestant: Contestant, result: Times): void {
  const [program, ...words] = contestant.command;
  const start = performance.now();
  const { status, error } = spawnSync(program!, words, {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: LIMIT,
    maxBuffer: 1 << 28,
  });
  const ms = performance.now() - start;
  if (ms >= LIMIT) result.stopped = true;
  else if (error !== undefined || status !== 0)
    result.failed = `failed: ${error?.message ?? `exit ${status}`}`;
  else result.ms.push(ms);
}

export function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
