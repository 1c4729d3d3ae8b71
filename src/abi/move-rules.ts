/** The rules of Documentation/ABI/README on how an interface goes from level to level. */

import { dateText, monthCount, readDate } from './date.ts';
import { fieldOf } from './entry.ts';
import type { Known } from './moves.ts';
import { announcedEnd, noticeOf } from './notice.ts';

export interface MoveBreak {
  rule: string;
  severity: 'error' | 'warning';
  what: string;
  /** Which tree the place is in: the new one, but for what it does not have. */
  tree: 'old' | 'new';
  file: string;
  line: number;
  message: string;
  fix: string;
}

/** What stable promises, in months. */
const STABLE = 24;

/**
 * @param to absent: its document is gone
 * @param at month of the new tree, as a count
 */
export function* breaksOf(from: Known, to: Known | undefined, at: number): Generator<MoveBreak> {
  const gone = to === undefined || to.level === 'removed';
  const { file, line } = to ?? from;
  const broken = (rule: string, message: string, fix: string, severity: MoveBreak['severity'] = 'error') => ({
    rule,
    severity,
    what: from.what,
    tree: to === undefined ? ('old' as const) : ('new' as const),
    file,
    line,
    message,
    fix,
  });
  const where = to === undefined ? 'its entry is gone' : `it is in ${to.level}/`;
  if (from.level === 'testing' && gone) {
    yield broken(
      'testing-to-removed',
      `it was in testing/, and ${where}, without obsolete/ between`,
      FIRST_OBSOLETE,
    );
  }
  if (from.level === 'stable' && to?.level !== 'obsolete') {
    yield broken('stable-without-notice', `it was in stable/, and ${where}, without notice`, FIRST_OBSOLETE);
  }
  if (from.level === 'stable' && to?.level === 'obsolete') {
    const { why, when } = noticeOf(to.entry, to.document);
    const lacks = [...(why ? [] : ['why']), ...(when ? [] : ['when'])].join(' and ');
    if (lacks !== '')
      yield broken(
        'no-notice',
        `it went from stable/ to obsolete/ and does not say ${lacks}`,
        `say ${lacks} it goes away`,
      );
  }
  if (from.level === 'stable') {
    const since = createdAt(from);
    const end = to?.level === 'obsolete' ? (announcedEnd(described(to))?.count ?? at) : at;
    if (since !== undefined && end - since.count < STABLE) {
      yield broken(
        'less-than-two-years',
        `stable/ promises two years, and it came in ${since.text}`,
        `keep it until ${monthAfter(since.count + STABLE)}`,
      );
    }
  }
  if (from.level !== 'obsolete' || !gone) return;
  const announced = announcedEnd(described(from));
  if (announced !== undefined && announced.count > at) {
    yield broken('removed-too-early', `it was announced for ${announced.text}`, 'keep it until then');
  }
  if (to === undefined) {
    yield broken(
      'no-trace',
      'it was in obsolete/, and its entry is gone',
      'leave an entry in removed/',
      'warning',
    );
  }
}

const FIRST_OBSOLETE = 'move it to obsolete/ first, and say why and when it goes away';

function createdAt({ entry }: Known): { count: number; text: string } | undefined {
  const read = readDate(fieldOf(entry, 'date')?.text ?? '');
  if (read === undefined || !('date' in read)) return undefined;
  return { count: monthCount(read.date), text: dateText(read.date) };
}

function described({ entry, document }: Known): string {
  return [...document.preface.map(({ text }) => text), fieldOf(entry, 'description')?.text ?? ''].join('\n');
}

function monthAfter(count: number): string {
  return dateText({ year: Math.floor(count / 12), month: (count % 12) + 1 });
}
