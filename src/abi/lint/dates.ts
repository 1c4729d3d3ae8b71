/** Dates that are none, or never were. */

import { dateText, monthCount, nearestMonth, readDate } from '../date.ts';
import { fieldsNamed, quoted } from './each.ts';
import type { Remark, Rule } from './rule.ts';

/** Linux was announced in August 1991. */
const FIRST = { year: 1991, month: 8 };
/** Words for a time that nobody knows to the month. */
const UNDATED = /^(pre-git|before git|removed in|finally removed)/i;

export const NO_SUCH_DATE: Rule = {
  id: 'malformed-date',
  severity: 'error',
  on: true,
  explain: 'A `Date:` that is no date: a misspelt month, words, a time of day.',
  *check({ tree }) {
    for (const { entry, field } of fieldsNamed(tree, 'date')) {
      const read = readDate(field.text);
      if (read !== undefined && 'date' in read) continue;
      if (read === undefined && UNDATED.test(field.text)) continue;
      const place = { file: entry.file, line: field.textLine };
      if (read === undefined) {
        yield {
          ...place,
          message: `${quoted(field.text)} is no date`,
          fix: 'write month and year: May 2012',
        };
        continue;
      }
      const near = nearestMonth(read.noMonth);
      yield {
        ...place,
        message: `'${read.noMonth}' is no month`,
        fix: `write ${near ?? 'the month'} ${read.year}`,
      };
    }
  },
};

export const IMPOSSIBLE_DATE: Rule = {
  id: 'impossible-date',
  severity: 'error',
  on: true,
  explain: 'A `Date:` in the future, before Linux, or not in the calendar.',
  *check({ tree, now }) {
    for (const { entry, field } of fieldsNamed(tree, 'date')) {
      const read = readDate(field.text);
      if (read === undefined || !('date' in read)) continue;
      const { date } = read;
      const remark = (message: string): Remark => ({
        file: entry.file,
        line: field.textLine,
        message,
        fix: 'write the month in which it came',
      });
      const { year, month, day } = date;
      if (month !== undefined && (month < 1 || month > 12)) yield remark(`there is no month ${month}`);
      else if (day !== undefined && (day < 1 || day > daysIn(year, month ?? 1)))
        yield remark(`${dateText(date)} has no day ${day}`);
      else if (year < FIRST.year || (month !== undefined && monthCount(date) < monthCount(FIRST)))
        yield remark(`${dateText(date)} is before Linux`);
      // What is scheduled may lie ahead.
      else if (monthCount(date) > monthCount(now) && !/scheduled|planned/i.test(field.text))
        yield remark(`${dateText(date)} is in the future`);
    }
  },
};

export const ODD_DATE: Rule = {
  id: 'odd-date',
  severity: 'note',
  on: false,
  explain: 'A `Date:` in another form than month and year.',
  *check({ tree }) {
    for (const { entry, field } of fieldsNamed(tree, 'date')) {
      const read = readDate(field.text);
      if (read === undefined || !('date' in read) || read.date.plain) continue;
      const { date } = read;
      const valid = date.month === undefined || (date.month >= 1 && date.month <= 12);
      yield {
        file: entry.file,
        line: field.textLine,
        message: `${quoted(field.text)} is not month and year`,
        ...(date.month !== undefined && valid && { fix: `write ${dateText(date)}` }),
      };
    }
  },
};

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
