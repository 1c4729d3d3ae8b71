import { describe, expect, it } from 'vitest';
import { compareTrees } from './moves.ts';
import { entryText, kernelDocuments, kernelTree, NO_KERNEL_TREE, treeOf } from './testing.ts';

const latest = { year: 2026, month: 11 };
const compare = (
  before: Record<string, string>,
  after: Record<string, string>,
  now?: { year: number; month: number },
) => compareTrees(treeOf(before), treeOf(after), { latest, ...(now !== undefined && { now }) });

const NOTICE = 'Replaced by /sys/b. It will be removed in 2030.';

describe('two trees', () => {
  it('that are the same have no moves', () => {
    const files = { 'stable/a': entryText(), 'obsolete/b': entryText({ What: '/sys/b' }) };
    expect(compare(files, files)).toEqual({ added: [], removed: [], moved: [], changed: [], breaks: [] });
  });

  it('tell what was added, changed, moved and removed', () => {
    const moves = compare(
      {
        'testing/a': entryText({ What: '/sys/a' }),
        'testing/b': entryText({ What: '/sys/bX' }),
        'obsolete/c': entryText({ What: '/sys/c' }),
      },
      {
        'stable/a': entryText({ What: '/sys/a', Contact: 'x@y' }),
        'testing/other': entryText({ What: '/sys/b<n>' }),
        'testing/d': entryText({ What: '/sys/d' }),
      },
    );
    expect(moves.added.map(({ what, level, file, line }) => [what, level, file, line])).toEqual([
      ['/sys/d', 'testing', 'testing/d', 1],
    ]);
    expect(moves.moved.map(({ what, from, to }) => [what, from.level, to.level])).toEqual([
      ['/sys/a', 'testing', 'stable'],
    ]);
    expect(moves.changed.map(({ what, fields }) => [what, fields])).toEqual([
      ['/sys/a', ['contact']],
      ['/sys/b<n>', ['what']],
    ]);
    expect(moves.removed.map(({ what, level }) => [what, level])).toEqual([['/sys/c', 'obsolete']]);
    expect(moves.breaks.map(({ rule, severity, tree }) => [rule, severity, tree])).toEqual([
      ['no-trace', 'warning', 'old'],
    ]);
  });

  it('are not different where lines break elsewhere', () => {
    expect(
      compare(
        { 'stable/a': entryText({ Description: 'a b' }) },
        { 'stable/a': entryText({ Description: 'a\n\t\tb' }) },
      ).changed,
    ).toEqual([]);
  });
});

describe('a move', () => {
  const breaks = (from: string, to: string | undefined, fields: Record<string, string> = {}, now = latest) =>
    compare(
      { [`${from}/a`]: entryText(fields) },
      to === undefined ? { 'stable/z': entryText({ What: '/sys/z' }) } : { [`${to}/a`]: entryText(fields) },
      now,
    ).breaks.map(({ rule, severity }) => `${rule} ${severity}`);

  it.each([
    ['testing', 'stable'],
    ['testing', 'obsolete'],
    ['obsolete', 'removed'],
    ['obsolete', 'testing'],
    ['removed', 'testing'],
    ['stable', 'obsolete'],
  ])('from %s to %s is allowed, with notice', (from, to) => {
    expect(breaks(from, to, { Description: to === 'removed' ? 'Gone.' : NOTICE })).toEqual([]);
  });

  it.each([
    ['testing', 'removed', ['testing-to-removed error']],
    ['testing', undefined, ['testing-to-removed error']],
    ['stable', 'removed', ['stable-without-notice error']],
    ['stable', undefined, ['stable-without-notice error']],
    ['stable', 'testing', ['stable-without-notice error']],
    ['obsolete', undefined, ['no-trace warning']],
    ['removed', undefined, []],
  ])('from %s to %s: %j', (from, to, rules) => {
    expect(breaks(from, to)).toEqual(rules);
  });

  it('from stable to obsolete says why and when', () => {
    expect(breaks('stable', 'obsolete')).toEqual(['no-notice error']);
    expect(breaks('stable', 'obsolete', { Description: 'Replaced by /sys/b.' })).toEqual(['no-notice error']);
  });

  it('out of stable comes two years after its date at the earliest', () => {
    const fields = { Date: 'May 2025', Description: 'Replaced by /sys/b. It will be removed in June 2026.' };
    expect(breaks('stable', 'obsolete', fields)).toEqual(['less-than-two-years error']);
    expect(breaks('stable', 'obsolete', { ...fields, Description: NOTICE })).toEqual([]);
    expect(breaks('stable', 'removed', { Date: 'December 2024' })).toContain('less-than-two-years error');
    expect(breaks('stable', 'removed', { Date: 'November 2024' })).toEqual(['stable-without-notice error']);
  });

  it('out of obsolete comes no earlier than announced', () => {
    expect(breaks('obsolete', 'removed', { Description: 'It will be removed in December 2026.' })).toEqual([
      'removed-too-early error',
    ]);
    expect(breaks('obsolete', 'removed', { Description: 'It will be removed in 2026.' })).toEqual([]);
  });

  it('is doubtful between the latest date in the new tree and today, where no month is given', () => {
    const gone = (newest: string) =>
      compare(
        { 'obsolete/a': entryText({ Description: 'To be removed in 2020.' }) },
        { 'removed/a': entryText(), 'stable/z': entryText({ What: '/sys/z', Date: newest }) },
      ).breaks.map(({ rule, severity }) => `${rule} ${severity}`);
    expect(gone('May 2019')).toEqual(['removed-too-early warning']);
    expect(gone('May 2020')).toEqual([]);
    // No tree is of the future; what else it holds is of May 2012.
    expect(gone('May 2199')).toEqual(['removed-too-early warning']);
  });

  it('of a renamed place-holder is none', () => {
    const { breaks: found, changed } = compare(
      { 'testing/a': entryText({ What: '/sys/x/<a>/b' }) },
      { 'testing/a': entryText({ What: '/sys/x/<c>/b' }) },
    );
    expect([found, changed.map(({ fields }) => fields)]).toEqual([[], [['what']]]);
  });
});

describe.runIf(kernelTree !== undefined)(`Documentation/ABI of Linux 6.12${NO_KERNEL_TREE}`, () => {
  it('has not moved since itself', () => {
    const tree = kernelDocuments();
    expect(compareTrees(tree, tree, { latest })).toEqual({
      added: [],
      removed: [],
      moved: [],
      changed: [],
      breaks: [],
    });
  });
});
