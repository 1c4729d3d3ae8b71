/** Standing in for a program: signals go on to it, its end is ours. */

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/** What a caller may send and expect the program to get. */
const HANDED_ON: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
];
/** What a terminal sends to everybody in the foreground, us and the program. */
const OF_TERMINALS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);

export type Ending = { readonly status: number } | { readonly signal: NodeJS.Signals };

/**
 * Waits for a child, and meanwhile hands signals on to it.
 *
 * @throws Error it could not be started
 */
export async function supervise(child: ChildProcess): Promise<Ending> {
  const handlers = HANDED_ON.map((signal) => {
    const handler = () => {
      if (OF_TERMINALS.has(signal) && isInForeground()) return;
      child.kill(signal);
    };
    process.on(signal, handler);
    return { signal, handler };
  });
  try {
    return await ending(child);
  } finally {
    for (const { signal, handler } of handlers) process.off(signal, handler);
  }
}

/** As shells have it: 128 and the signal's number. */
export function exitCode(ending: Ending): number {
  return 'status' in ending ? ending.status : 128 + constants.signals[ending.signal];
}

function ending(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status, signal) => {
      resolve(signal === null ? { status: status ?? 0 } : { signal });
    });
  });
}

/** Who sent a signal cannot be seen from here; in the foreground of a terminal, it was most likely the terminal. */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return terminal !== '0' && group === foreground;
  } catch {
    return false;
  }
}
