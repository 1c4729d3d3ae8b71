/** Bytes of a process through `/proc/PID/mem`, of a file through a descriptor: as much as can be moved. */

import { readSync, writeSync } from 'node:fs';

/**
 * How it ended: `short` part of it could not be moved, because nothing is mapped there or the file does not take it;
 * `gone` the process has ended or runs another program.
 */
export type Moved = 'all' | 'short' | 'gone';

/** Positions are Numbers: `writeSync` takes nothing else, and user addresses are below 2^47. */
export function readAt(fd: number, position: number, into: Uint8Array): Moved {
  return moveAll(into.length, (done) => readSync(fd, into, done, into.length - done, position + done));
}

export function writeAt(fd: number, position: number, from: Uint8Array): Moved {
  return moveAll(from.length, (done) => writeSync(fd, from, done, from.length - done, position + done));
}

function moveAll(length: number, move: (done: number) => number): Moved {
  for (let done = 0; done < length; ) {
    const moved = tryMove(() => move(done));
    if (moved < 0) return 'short';
    if (moved === 0) return done === 0 ? 'gone' : 'short';
    done += moved;
  }
  return 'all';
}

/** Whatever is in the way, the pages are not there for us: EIO nothing is mapped, EINVAL a file that takes no writes. */
function tryMove(move: () => number): number {
  try {
    return move();
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code === 'string') return -1;
    throw error;
  }
}
