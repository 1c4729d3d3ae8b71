/** What is open and chosen, in the address of the page: a link shows another what one sees. */

export interface Place {
  /** Number of the machine in front, and of the one beside it. */
  machine: number;
  beside: number | undefined;
  device: string | undefined;
  search: string;
  collapsed: string[];
  /** Changes of "what if", as the command takes them. */
  changes: string[];
  /** With changes: what is drawn. */
  view: 'before' | 'after';
}

export const NOWHERE: Place = {
  machine: 0,
  beside: undefined,
  device: undefined,
  search: '',
  collapsed: [],
  changes: [],
  view: 'after',
};

export function readPlace(hash: string): Place {
  const words = new URLSearchParams(hash.replace(/^#/, ''));
  const beside = words.get('beside');
  return {
    machine: number(words.get('machine')) ?? 0,
    beside: beside === null ? undefined : number(beside),
    device: words.get('device') ?? undefined,
    search: words.get('search') ?? '',
    collapsed: words.getAll('closed').slice(0, 1000),
    changes: words.getAll('if').slice(0, 64),
    view: words.get('view') === 'before' ? 'before' : 'after',
  };
}

export function writePlace(place: Place): string {
  const words = new URLSearchParams();
  if (place.machine !== 0) words.set('machine', String(place.machine));
  if (place.beside !== undefined) words.set('beside', String(place.beside));
  if (place.device !== undefined) words.set('device', place.device);
  if (place.search !== '') words.set('search', place.search);
  for (const name of place.collapsed) words.append('closed', name);
  for (const change of place.changes) words.append('if', change);
  if (place.changes.length > 0 && place.view === 'before') words.set('view', 'before');
  return words.size === 0 ? '' : `#${words.toString().replaceAll('%3A', ':')}`;
}

function number(text: string | null): number | undefined {
  return text !== null && /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}
