/** `ringfence watch` */

import { statSync } from 'node:fs';
import type { Snapshot } from '../../host/snapshot.ts';
import { InputError } from '../../kernel/errors.ts';
import { printableData } from '../../kernel/printable.ts';
import { DriverLinks } from '../../watch/driver-links.ts';
import type { WatchEvent } from '../../watch/events.ts';
import { follow } from '../../watch/follow.ts';
import { type Announcements, listen } from '../../watch/kernel-events.ts';
import type { WatchState } from '../../watch/state.ts';
import { Waker } from '../../watch/waker.ts';
import type { Call, Flags } from '../args.ts';
import { type Context, EXIT } from '../context.ts';
import { watchLine } from '../watch-text.ts';

/** Seconds between looks, without and with announcements of the kernel. */
const POLLING = 2;
const LISTENING = 10;
const DAY = 86_400;

export async function run({ flags, context }: Call): Promise<number> {
  const interval = seconds(flags, 'interval', 0.01);
  const span = seconds(flags, 'for', 0);
  let left = count(flags);
  if (context.host !== undefined && !isDirectory(context.host)) {
    throw new InputError('--host', 'watch follows this machine or a directory; a recording does not change');
  }
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  const timer = span === undefined ? undefined : setTimeout(end, span * 1000);
  const waker = new Waker();
  let listening: Announcements | undefined;
  if (context.host === undefined) {
    listening = listen(
      () => waker.announce(),
      (why) => {
        listening = undefined;
        if (why === 'died') context.note('udevadm ended; looking at regular times instead');
        waker.announce();
      },
    );
  }
  try {
    await follow({
      read: reader(context),
      interval: () => (interval ?? (listening === undefined ? POLLING : LISTENING)) * 1000,
      signal: ending.signal,
      woken: (signal) => waker.woken(signal),
      ready: (_, state) => context.note(`watching ${size(state)}; Ctrl-C ends it`),
      happened: (events, before, after) => {
        const told = events.slice(0, left);
        left -= told.length;
        tell(told, before, after, context);
        return left > 0;
      },
      trouble: (error) =>
        context.note(
          error === undefined ? 'the machine can be read again' : `${error.message}; still trying`,
        ),
    });
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
    clearTimeout(timer);
    waker.stop();
    listening?.stop();
  }
  return EXIT.yes;
}

function reader(context: Context): () => Promise<Snapshot> {
  if (context.host === undefined) return () => context.snapshot('names');
  const links = new DriverLinks(context.host);
  return async () => links.correct(await context.snapshot('names'));
}

function tell(events: WatchEvent[], before: Snapshot, after: Snapshot, context: Context): void {
  const time = new Date();
  if (context.json) {
    for (const event of events) {
      context.out.write(`${JSON.stringify({ time: time.toISOString(), ...event })}\n`);
    }
    return;
  }
  const [old, now] = [context.describer(before), context.describer(after)];
  for (const event of events) {
    const gone = event.event === 'remove' || event.event === 'unbind';
    const title = (name: string): string => (gone ? old : now).shortTitle(name);
    context.out.write(watchLine(printableData(event), time, context.out, title));
  }
}

function size({ devices, groups }: WatchState): string {
  const many = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
  return `${many(devices.size, 'device')} in ${many(groups.size, 'group')}`;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false;
  }
}

function seconds(flags: Flags, name: string, least: number): number | undefined {
  const text = flags.value(name);
  if (text === undefined) return undefined;
  const value = /^\d{1,6}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= DAY) return value;
  throw new InputError(`--${name}`, `expects seconds from ${least} to ${DAY}, got '${text}'`);
}

function count(flags: Flags): number {
  const text = flags.value('count');
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InputError('--count', `expects a number of events, got '${text}'`);
}
