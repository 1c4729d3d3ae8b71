/** Events of the machine as they happen, from the server's watch. */

import { useEffect, useState } from 'preact/hooks';
import type { SessionPicture } from '../../src/guest/sessions.ts';
import type { LiveEvent } from '../../src/server/live.ts';

/** So many are kept for reading. */
const KEPT = 200;

/** `stamp` changes when something happened: what was asked is to be asked again. */
export function useEvents(live: boolean): { events: LiveEvent[]; stamp: number } {
  const [events, setEvents] = useState<LiveEvent[]>([]);
  const [stamp, setStamp] = useState(0);
  useEffect(() => {
    if (!live || !location.protocol.startsWith('http')) return;
    const source = new EventSource('/api/events');
    source.addEventListener('happened', (message) => {
      const told = JSON.parse((message as MessageEvent<string>).data) as LiveEvent[];
      setEvents((old) => [...told.reverse(), ...old].slice(0, KEPT));
      setStamp((old) => old + 1);
    });
    return () => source.close();
  }, [live]);
  return { events, stamp };
}

/** Sessions of `ringfence run --trace`, as they change. */
export function useSessions(): SessionPicture[] {
  const [sessions, setSessions] = useState<SessionPicture[]>([]);
  useEffect(() => {
    if (!location.protocol.startsWith('http')) return;
    const source = new EventSource('/api/events');
    // Asked when changes are told already, so that none is missed; anew after the connection was lost.
    source.addEventListener('ready', () => {
      fetch('/api/sessions')
        .then(async (answer) => answer.ok && setSessions(await answer.json()))
        .catch(() => {});
    });
    source.addEventListener('sessions', (message) => {
      setSessions(JSON.parse((message as MessageEvent<string>).data) as SessionPicture[]);
    });
    return () => source.close();
  }, []);
  return sessions;
}

export function Events({ events, onSelect }: { events: readonly LiveEvent[]; onSelect(name: string): void }) {
  return (
    <section aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      {events.length === 0 && (
        <p class="hint">Nothing happened yet. Devices, drivers and groups are watched.</p>
      )}
      <ol class="events" aria-live="polite">
        {events.map((event, index) => (
          <li key={events.length - index}>
            <time dateTime={event.time}>{new Date(event.time).toLocaleTimeString()}</time>{' '}
            <b>{event.event}</b>{' '}
            {'device' in event && (
              <button type="button" class="link" onClick={() => onSelect(event.device)}>
                {event.device}
              </button>
            )}{' '}
            {eventWords(event)}
          </li>
        ))}
      </ol>
    </section>
  );
}

function eventWords(event: LiveEvent): string {
  switch (event.event) {
    case 'bind':
      return `to ${event.driver}`;
    case 'unbind':
      return `from ${event.driver}`;
    case 'add':
    case 'remove':
      return [event.ids, event.group === null ? '' : `group ${event.group}`].filter(Boolean).join(', ');
    case 'move':
      return `from group ${event.before ?? 'none'} to ${event.after ?? 'none'}`;
    case 'group-type':
    case 'owner':
      return `group ${event.group}: ${event.before ?? 'nobody'} → ${event.after ?? 'nobody'}`;
    case 'group-add':
    case 'group-remove':
      return `group ${event.group}`;
  }
}
