/** Whats compared by what they mean: two that differ in the name of a place-holder only are the same interface. */

import type { AbiEntry, Located } from './entry.ts';

const PLACEHOLDER =
  /<[^<>]*>|\{[^{}]*\}|\[[^[\]]*\][+*]?|\.{3}|\*+|#|(?<![A-Za-z])[XYZN]{1,4}(?![A-Za-z])|(?<=[a-z])[XYZN](?![A-Za-z])/g;
const CHOICES = /^[\w.:+-]*(?:[|,]\s*[\w.:+-]*)+$/;

/** A path with each place-holder as `*`, `...` as it is, and choices in one order; other text as it stands. */
export function shapeOf(what: string): string {
  const text = what.replace(/\s+=.*$/s, '').trim();
  if (!text.startsWith('/')) return text;
  return text.replace(/(?<=.)\/+$/, '').replace(PLACEHOLDER, (found) => {
    if (found === '...') return found;
    const inside = /^[<{[](.*)[>}\]]/s.exec(found)?.[1] ?? '';
    if (!CHOICES.test(inside)) return '*';
    const choices = inside.split(/[|,]/).map((choice) => choice.trim());
    return `{${choices.sort().join(',')}}`;
  });
}

/** What an entry speaks of, one line each: some list several paths below a single `What:`. */
export function* whatLines(entry: AbiEntry): Generator<Located> {
  for (const what of entry.what) {
    for (const [at, text] of what.text.split('\n').entries()) {
      // A continued line that is no path is a note, or a tag that has lost its colon.
      if (at === 0 || text.startsWith('/')) yield { text, line: what.line + at };
    }
  }
}
