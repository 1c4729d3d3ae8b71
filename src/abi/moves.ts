/** Two trees of documents compared: what came, what changed, what went to another level, and which moves broke the rules. */

import { dateText, monthCount, readDate } from './date.ts';
import {
  type AbiEntry,
  type AbiFile,
  type AbiTree,
  entriesOf,
  FIELDS,
  type FieldName,
  fieldOf,
} from './entry.ts';
import { breaksOf, type MoveBreak } from './move-rules.ts';
import { shapeOf, whatLines } from './shape.ts';

/** One interface in one tree. */
export interface Documented {
  what: string;
  level: string;
  /** Below its tree. */
  file: string;
  line: number;
}

export interface Moved {
  what: string;
  from: Documented;
  to: Documented;
}

export interface Changed extends Documented {
  /** `what`: place-holders are spelled otherwise. */
  fields: ('what' | FieldName)[];
}

export interface Moves {
  added: Documented[];
  removed: Documented[];
  moved: Moved[];
  changed: Changed[];
  breaks: MoveBreak[];
}

/** An interface with all that is known of it. */
export interface Known extends Documented {
  entry: AbiEntry;
  document: AbiFile;
}

/**
 * @param now month of the new tree. Where it is not given, it is between the latest `Date` in it and `latest`: what
 *   breaks a rule at the one and not at the other is a warning.
 * @param latest this month
 */
export function compareTrees(
  before: AbiTree,
  after: AbiTree,
  { now, latest }: { now?: { year: number; month: number }; latest: { year: number; month: number } },
): Moves {
  const olds = interfacesOf(before);
  const news = interfacesOf(after);
  const last = monthCount(now ?? latest);
  const first = now === undefined ? newestDate(after, last) : last;
  const moves: Moves = { added: [], removed: [], moved: [], changed: [], breaks: [] };
  for (const [shape, to] of news) if (!olds.has(shape)) moves.added.push(plain(to));
  for (const [shape, from] of olds) {
    const to = news.get(shape);
    if (to === undefined) moves.removed.push(plain(from));
    else if (from.level !== to.level) moves.moved.push({ what: to.what, from: plain(from), to: plain(to) });
    const fields = to === undefined ? [] : changedFields(from, to);
    if (to !== undefined && fields.length > 0) moves.changed.push({ ...plain(to), fields });
    if (to === undefined || from.level !== to.level)
      moves.breaks.push(...breaksBetween(from, to, first, last));
  }
  return moves;
}

function breaksBetween(from: Known, to: Known | undefined, first: number, last: number): MoveBreak[] {
  const certain = [...breaksOf(from, to, last)];
  if (first === last) return certain;
  const rules = new Set(certain.map(({ rule }) => rule));
  const doubtful = [...breaksOf(from, to, first)].filter(({ rule }) => !rules.has(rule));
  const asOf = `as of ${dateText({ year: Math.floor(first / 12), month: (first % 12) + 1 })}, the latest date in the new tree`;
  return [
    ...certain,
    ...doubtful.map((found) => ({
      ...found,
      severity: 'warning' as const,
      message: `${asOf}: ${found.message}`,
      fix: `${found.fix}; --date tells which month it is of`,
    })),
  ];
}

/** By what they mean. Where two levels have one, the stronger promise counts, which is read first. */
function interfacesOf(tree: AbiTree): Map<string, Known> {
  const found = new Map<string, Known>();
  const documents = new Map(tree.files.map((file) => [file.file, file]));
  for (const entry of entriesOf(tree)) {
    for (const { text, line } of whatLines(entry)) {
      const shape = shapeOf(text);
      const known = { what: text, level: entry.level, file: entry.file, line, entry };
      const there = found.get(shape);
      if (there === undefined || STRENGTH.indexOf(known.level) > STRENGTH.indexOf(there.level)) {
        found.set(shape, { ...known, document: documents.get(entry.file)! });
      }
    }
  }
  return found;
}

const STRENGTH = ['removed', 'obsolete', 'testing', 'stable'];

function plain({ what, level, file, line }: Known): Documented {
  return { what, level, file, line };
}

function changedFields(from: Known, to: Known): Changed['fields'] {
  const fields: Changed['fields'] = from.what === to.what ? [] : ['what'];
  for (const name of FIELDS) {
    const [old, young] = [fieldOf(from.entry, name)?.text ?? '', fieldOf(to.entry, name)?.text ?? ''];
    if (words(old) !== words(young)) fields.push(name);
  }
  return fields;
}

/** Lines broken elsewhere are no change. */
function words(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function newestDate(tree: AbiTree, latest: number): number {
  let newest = 0;
  for (const entry of entriesOf(tree)) {
    const read = readDate(fieldOf(entry, 'date')?.text ?? '');
    const count = read !== undefined && 'date' in read ? monthCount(read.date) : 0;
    if (count <= latest) newest = Math.max(newest, count);
  }
  return newest === 0 ? latest : newest;
}
