/** Looks at a machine again and again and tells what changed. */

import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { compareStates } from './compare.ts';
import type { WatchEvent } from './events.ts';
import { type WatchState, watchState } from './state.ts';

export interface Follow {
  /** Reads the machine as it is now. */
  read(): Promise<Snapshot>;
  /** Milliseconds to the next look. */
  interval(): number;
  /** Ends it. */
  signal: AbortSignal;
  /** Resolves when it is time to look before the interval is over; asked anew for each look. */
  woken?(signal: AbortSignal): Promise<void>;
  /** Called once, when the first look is done and changes from then on are told. */
  ready(first: Snapshot, state: WatchState): void;
  /** @returns whether to go on */
  happened(events: WatchEvent[], before: Snapshot, after: Snapshot): boolean;
  /** The machine cannot be read just now (`undefined`: it can again); said once each time. */
  trouble(error: InputError | undefined): void;
}

/** @throws InputError when the machine cannot be read at the start */
export async function follow(options: Follow): Promise<void> {
  const { signal } = options;
  let snapshot = await options.read();
  let state = watchState(snapshot);
  let troubled = false;
  options.ready(snapshot, state);
  while (!signal.aborted) {
    await pause(options);
    if (signal.aborted) return;
    let now: Snapshot;
    try {
      now = await options.read();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (!troubled) options.trouble(error);
      troubled = true;
      continue;
    }
    if (troubled) options.trouble(undefined);
    troubled = false;
    const next = watchState(now);
    const events = compareStates(state, next);
    const goOn = events.length === 0 || options.happened(events, snapshot, now);
    [snapshot, state] = [now, next];
    if (!goOn) return;
  }
}

/** Until the interval is over, somebody wakes us, or it ends. */
async function pause({ interval, signal, woken }: Follow): Promise<void> {
  const over = new AbortController();
  const end = (): void => over.abort();
  signal.addEventListener('abort', end, { once: true });
  const timer = setTimeout(end, interval());
  if (signal.aborted) end();
  const ended = new Promise<void>((resolve) => {
    if (over.signal.aborted) resolve();
    over.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await (woken === undefined ? ended : Promise.race([ended, woken(over.signal)]));
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
  end();
}
