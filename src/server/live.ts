/** Events of the machines that are followed, to every page that listens. Nothing is watched while nobody does. */

import type { Snapshot } from '../host/snapshot.ts';
import type { WatchEvent } from '../watch/events.ts';
import { follow } from '../watch/follow.ts';

/** As `watch --json` prints it, with the machine it is of. */
export type LiveEvent = { machine: number; time: string } & WatchEvent;

export interface Followed {
  machine: number;
  /** Names and drivers are enough. */
  read(): Promise<Snapshot>;
}

type Listener = (events: LiveEvent[]) => void;

/** Milliseconds between looks. */
const INTERVAL = 1000;

export class Live {
  readonly #followed: readonly Followed[];
  readonly #changed: (machine: number) => void;
  readonly #interval: number;
  readonly #listeners = new Set<Listener>();
  #ending: AbortController | undefined;

  /** @param changed called before listeners are, so that what they ask next is fresh */
  constructor(
    followed: readonly Followed[],
    changed: (machine: number) => void,
    interval: number = INTERVAL,
  ) {
    this.#followed = followed;
    this.#changed = changed;
    this.#interval = interval;
  }

  /** @returns ends it */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#ending === undefined) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.stop();
    };
  }

  stop(): void {
    this.#ending?.abort();
    this.#ending = undefined;
  }

  #start(): void {
    const ending = new AbortController();
    this.#ending = ending;
    for (const { machine, read } of this.#followed) {
      follow({
        read,
        interval: () => this.#interval,
        signal: ending.signal,
        // What happened while nobody listened was told to nobody.
        ready: () => this.#changed(machine),
        happened: (events) => {
          this.#changed(machine);
          const time = new Date().toISOString();
          const told = events.map((event) => ({ machine, time, ...event }));
          for (const listener of this.#listeners) listener(told);
          return true;
        },
        trouble: () => {},
      }).catch(() => {
        // A machine that cannot be read at the start is said so by its own page.
      });
    }
  }
}
