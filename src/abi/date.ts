/** Months as people write them in `Date:`: `May 2012`, `Sept 14, 2022`, `05-Jan-2017`, `2019-04-17`, `2013/01/08`. */

const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];

export interface AbiDate {
  year: number;
  /** 1 to 12; absent where only the year is given. */
  month?: number;
  day?: number;
  /** Month in full and year, nothing else: what the README asks for. */
  plain: boolean;
}

/** A date, or the word in it that is no month. */
export type ReadDate = { date: AbiDate } | { noMonth: string; year: number } | undefined;

const FORMS: readonly RegExp[] = [
  /^(?<month>[A-Za-z]+)[.,]?\s+(?<year>\d{4})(?!\d)/,
  /^(?<month>[A-Za-z]+)[.,]?\s+(?<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?<year>\d{4})(?!\d)/,
  /^(?<day>\d{1,2})[-\s](?<month>[A-Za-z]+)[-\s](?<year>\d{4})(?!\d)/,
  /^(?<year>\d{4})[-/](?<number>\d{1,2})(?:[-/](?<day>\d{1,2}))?(?!\d)/,
  /^(?<year>\d{4})(?!\d)/,
];

/** The first date in the text, which must begin with it; what follows is left alone. `undefined`: there is none. */
export function readDate(text: string): ReadDate {
  const line = text.split('\n')[0]!.trim();
  for (const form of FORMS) {
    const parts = form.exec(line)?.groups;
    if (parts === undefined) continue;
    const year = Number(parts.year);
    const month = parts.number === undefined ? monthOf(parts.month) : Number(parts.number);
    if (parts.month !== undefined && month === undefined) return { noMonth: parts.month, year };
    return {
      date: {
        year,
        ...(month !== undefined && { month }),
        ...(parts.day !== undefined && { day: Number(parts.day) }),
        plain: /^[A-Z][a-z]+ \d{4}$/.test(line) && MONTHS.includes(parts.month?.toLowerCase() ?? ''),
      },
    };
  }
  return undefined;
}

/** In full, or its first three letters; and `Sept`. */
function monthOf(word: string | undefined): number | undefined {
  const lower = word?.toLowerCase();
  const at = MONTHS.findIndex((month) => month === lower || month.slice(0, 3) === lower);
  if (at >= 0) return at + 1;
  return lower === 'sept' ? 9 : undefined;
}

/** The month that a misspelt word is nearest to; `undefined` where none is near. */
export function nearestMonth(word: string): string | undefined {
  const lower = word.toLowerCase();
  const inFull = nearest(MONTHS, lower);
  const short = nearest(
    MONTHS.map((month) => month.slice(0, 3)),
    lower,
  );
  const near = short.off < inFull.off ? short : inFull;
  return near.off <= 2 && near.off < lower.length ? monthName(near.at + 1) : undefined;
}

function nearest(words: readonly string[], word: string): { at: number; off: number } {
  const off = words.map((other) => edits(word, other));
  const least = Math.min(...off);
  return { at: off.indexOf(least), off: least };
}

/** @param month 1 to 12 */
export function monthName(month: number): string {
  const name = MONTHS[month - 1]!;
  return name[0]!.toUpperCase() + name.slice(1);
}

/** How many letters to change, add or take away. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= Math.min(a.length, 32); i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Months since year 0, to compare by; a year alone counts from its January. */
export function monthCount({ year, month = 1 }: Pick<AbiDate, 'year' | 'month'>): number {
  return year * 12 + month - 1;
}

/** `May 2012`. */
export function dateText({ year, month }: Pick<AbiDate, 'year' | 'month'>): string {
  return month === undefined ? `${year}` : `${monthName(month)} ${year}`;
}
