/** `watch` for reading: a line an event. */

import type { WatchEvent } from '../watch/events.ts';
import { cut, type Output, type Title } from './output.ts';

/** @param title of a device by name, as it was known when it happened */
export function watchLine(event: WatchEvent, time: Date, out: Output, title: Title): string {
  const clock = time.toTimeString().slice(0, 8);
  const text = words(event, title);
  const room = out.width === undefined ? Number.POSITIVE_INFINITY : out.width - clock.length - 1;
  return `${out.colors.dim(clock)} ${paint(event, out)(cut(text, room, out.unicode))}\n`;
}

function words(event: WatchEvent, title: Title): string {
  switch (event.event) {
    case 'add':
      return `added ${title(event.device)}${event.group === null ? '' : `, group ${event.group}`}`;
    case 'remove':
      return `removed ${title(event.device)}${event.group === null ? '' : `, was in group ${event.group}`}`;
    case 'bind':
      return `bound to ${event.driver}: ${title(event.device)}`;
    case 'unbind':
      return `unbound from ${event.driver}: ${title(event.device)}`;
    case 'move':
      return `${moved(event.before, event.after)}: ${title(event.device)}`;
    case 'group-add':
      return `group ${event.group} formed${event.type === null ? '' : `, type ${event.type}`}`;
    case 'group-remove':
      return `group ${event.group} is gone`;
    case 'group-type':
      return `group ${event.group} changed type from ${event.before ?? 'unknown'} to ${event.after ?? 'unknown'}`;
    case 'owner':
      return event.after === 'vfio'
        ? `group ${event.group} is in the hands of vfio`
        : `group ${event.group} is back from vfio${event.after === 'kernel' ? ', with drivers of the host' : ''}`;
  }
}

function moved(before: number | null, after: number | null): string {
  if (before === null) return `entered group ${after}`;
  return after === null ? `left group ${before}` : `moved from group ${before} to ${after}`;
}

function paint(event: WatchEvent, { colors }: Output): (text: string) => string {
  switch (event.event) {
    case 'add':
    case 'group-add':
      return colors.green;
    case 'remove':
    case 'group-remove':
      return colors.red;
    case 'owner':
    case 'group-type':
      return colors.yellow;
    default:
      return (text) => text;
  }
}
