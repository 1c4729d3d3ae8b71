/**
 * Text from other people's files, made fit to stand in a line that people read.
 *
 * Names in a dump or a sysfs copy may hold anything: line ends that break tables, escape sequences that a terminal
 * obeys, marks that turn the direction of writing. JSON escapes them and keeps them; everything else shows blanks
 * and question marks in their place. Letters and widths stay.
 */

/** Controls (C0, DEL, C1), formatting marks (directions, zero widths) and the two separators of Unicode. */
const UNFIT = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;
const ANY_UNFIT = new RegExp(UNFIT.source, 'u');
const BLANK = /[\t-\r\u0085\u2028\u2029]/;

export function printable(text: string): string {
  return ANY_UNFIT.test(text)
    ? text.replace(UNFIT, (char) => (BLANK.test(char) ? ' ' : '?'.repeat(char.length)))
    : text;
}

/** For text that is lines already. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Plain data with every string in it printable, names of fields included. The same object where all of it is. */
export function printableData<T>(value: T): T {
  if (typeof value === 'string') return printable(value) as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(printableData);
    return items.every((item, at) => item === value[at]) ? value : (items as T);
  }
  const entries = Object.entries(value).map(
    ([key, inner]) => [printable(key), printableData(inner)] as const,
  );
  const same = Object.keys(value).every(
    (key, at) => entries[at]![0] === key && entries[at]![1] === (value as Record<string, unknown>)[key],
  );
  return same ? value : (Object.fromEntries(entries) as T);
}
