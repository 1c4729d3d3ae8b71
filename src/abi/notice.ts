/** Notice: whether the text of an entry says why an interface goes away, and when. */

import { monthCount } from './date.ts';
import type { AbiEntry, AbiFile } from './entry.ts';
import { fieldOf } from './entry.ts';

const WHY =
  /\b(because|since|replaced|replac\w+|superseded|supersed\w+|instead|renamed|moved|duplicat\w+|redundant|unused|never used|no longer|not used|no users|broken|insecure|dangerous|deprecated (in favou?r|by|due|as)|in favou?r of|new (interface|location|driver|file|abi)|use the|please use|see\b|due to|obsoleted by|was introduced|doesn't|does not|unsafe|meaningless|no effect|useless|ignored|legacy|not work|incorrect\w*|wrong\w*|unmaintained|prefer\w*|pointless)\b/i;
/** A sentence that speaks of the end. */
const ENDS =
  /\b(remov\w*|delet\w*|drop(ped)?|obsolet\w*|deprecat\w*|disappear\w*|go(es|ing)? away|phased out|scheduled|end of life)\b/i;
const WHEN =
  /\b(19|20)\d\d\b|\bv?\d\.\d+(\.\d+)?\b|\b(years?|releases?|kernel version|months?|once|after|until|as soon as|when|eventually|soon|any ?time|some (point|day)|future|by then|later|next|upcoming)\b/i;

/** What an entry says of its end, with what stands at the top of its file. */
export function noticeOf(entry: AbiEntry, file?: AbiFile): { why: boolean; when: boolean } {
  const text = [
    ...(file?.preface.map((line) => line.text) ?? []),
    fieldOf(entry, 'description')?.text ?? '',
  ].join('\n');
  const sentences = text.replace(/\s+/g, ' ').split(/(?<=[a-z)][.!?]) /);
  return {
    why: WHY.test(text),
    when: sentences.some((sentence) => ENDS.test(sentence) && WHEN.test(sentence)),
  };
}

const END =
  /\b(?:remov\w*|delet\w*|drop\w*|go(?:es)? away)\b[^.]*?\b(?:(?<month>[A-Z][a-z]+)\s+)?(?<year>20\d\d)\b/;
const MONTH = /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)/i;

/** The year, or month, that the text gives for the removal: as a count of months. */
export function announcedEnd(text: string): { count: number; text: string } | undefined {
  const found = END.exec(text)?.groups;
  if (found === undefined) return undefined;
  const year = Number(found.year);
  const name = found.month ?? '';
  const month = MONTH.test(name)
    ? 1 + 'janfebmaraprmayjunjulaugsepoctnovdec'.indexOf(name.slice(0, 3).toLowerCase()) / 3
    : 1;
  return {
    count: monthCount({ year, month }),
    text: MONTH.test(name) ? `${name} ${year}` : `${year}`,
  };
}
