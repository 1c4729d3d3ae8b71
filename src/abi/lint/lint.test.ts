import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryText, kernelDocuments, kernelTree, NO_KERNEL_TREE, treeOf } from '../testing.ts';
import { lint, readSwitches } from './lint.ts';
import type { LintInput } from './rule.ts';
import { RULES } from './rules.ts';

const now = { year: 2026, month: 11 };
const ALL = readSwitches(['all']);

/** Rule and place of every finding, with every rule on. */
function found(files: Record<string, string>, more: Partial<LintInput> = {}): string[] {
  return lint({ tree: treeOf(files), now, ...more }, ALL).map(
    ({ rule, file, line }) => `${rule} ${file}:${line}`,
  );
}

/** Findings on one entry of stable/ that is well but for these fields. */
function rulesOn(fields: Record<string, string | undefined>): string[] {
  return lint({ tree: treeOf({ 'stable/a': entryText(fields) }), now }, ALL).map(
    ({ rule, line }) => `${rule} ${line}`,
  );
}

describe('an entry', () => {
  it('that is as the README wants it has no finding, whatever rules are on', () => {
    expect(rulesOn({})).toEqual([]);
  });

  it.each([
    [{ Date: undefined }, ['no-date 1']],
    [{ KernelVersion: undefined }, ['no-version 1']],
    [{ Contact: undefined }, ['no-contact 1']],
    [{ Description: undefined }, ['no-description 1']],
    [{ Description: '' }, ['empty-description 5']],
    [{ KernelVersion: '' }, ['empty-field 3']],
    [{ Contact: 'somebody' }, ['odd-contact 4']],
    [{ What: '' }, ['empty-what 1', 'no-path 1']],
    [{ Description: 'Text\nUser: nobody' }, ['nearly-a-tag 6']],
    [{ Date: 'May 2012\nKernelVersion 6.7' }, ['no-colon 3']],
    [{ What: '/sys/x\nDate\t\tMay 2012' }, ['no-colon 2']],
    [{ Contact: 'a@b\nContact: c@d' }, ['repeated-field 5']],
  ])('with %j: %j', (fields, rules) => {
    expect(rulesOn(fields)).toEqual(rules);
  });

  it.each(['May 2012', 'December 1999', 'September 1991', 'November 2026'])(
    'dated %s is as it should be',
    (date) => {
      expect(rulesOn({ Date: date })).toEqual([]);
    },
  );

  it.each([
    'Sept 14, 2022',
    'Dec. 2015',
    'May, 2012',
    '05-Jan-2017',
    '2019-04-17',
    '2013/01/08',
    '2016',
    'Nov 16 2022',
    'July 2014(documented, existed before August 2008)',
    '12-March-2010',
  ])('dated %s is odd, and no error', (date) => {
    expect(rulesOn({ Date: date })).toEqual(['odd-date 2']);
  });

  it.each(['Mai 2012', 'Januarry 2022', 'Januar 2011', 'November 20:15', 'soon', '3.14'])(
    'dated %s has no date',
    (date) => {
      expect(rulesOn({ Date: date })).toEqual(['malformed-date 2']);
    },
  );

  it.each(['December 2026', 'May 2205', 'May 1982', 'July 1991'])('dated %s is impossible', (date) => {
    expect(rulesOn({ Date: date })).toEqual(['impossible-date 2']);
  });

  it.each(['2020-13-01', '2020-00', '31-Feb-2020', 'June 31, 2020'])(
    'dated %s is not in the calendar',
    (date) => {
      expect(rulesOn({ Date: date })).toContain('impossible-date 2');
    },
  );

  it('names the month that was meant', () => {
    const fixOf = (date: string) =>
      lint({ tree: treeOf({ 'stable/a': entryText({ Date: date }) }), now })[0]?.fix;
    expect(['Mai 2012', 'Januarry 2022', 'Febuary 2019', 'Sptember 2001'].map(fixOf)).toEqual([
      'write May 2012',
      'write January 2022',
      'write February 2019',
      'write September 2001',
    ]);
  });

  it.each(['2.6.39', '2.4.14', '3.0', '3.19', '4.20', 'v5.19', '6.12', '6.19', '7.1', '2.6.27.62'])(
    'of %s is of a version there was',
    (KernelVersion) => {
      expect(rulesOn({ KernelVersion }).filter((rule) => !rule.startsWith('odd-version'))).toEqual([]);
    },
  );

  it.each(['2.6.40', '2.7', '3.20', '3.21.4', '4.21', '5.20', 'v6.20', '1.4'])(
    'of %s is of a version there never was',
    (KernelVersion) => {
      expect(rulesOn({ KernelVersion })).toContain('impossible-version 3');
    },
  );

  it.each(['TBD', '?.?', 'not yet upstreamed'])('of %s has no version', (KernelVersion) => {
    expect(rulesOn({ KernelVersion })).toEqual(['malformed-version 3']);
  });

  it.each(['/sys/class/<x/y', '/sys/class/x>/y', '/sys//class', '/sys/a b', 'security/secrets/coco'])(
    'for %s has a malformed path',
    (What) => {
      expect(rulesOn({ What })).toContain('malformed-path 1');
    },
  );

  it.each(['/sys/<a b>/c', '/sys/x = 1', '/sys/.../x', '$(readlink -f /sys/a)/b'])(
    'for %s has a path',
    (What) => {
      expect(rulesOn({ What })).toEqual([]);
    },
  );
});

describe('a document', () => {
  it('is reported for what the reader could not place', () => {
    expect(found({ 'stable/a': `Date: May 2012\n${entryText()}` })).toContain('what-first stable/a:1');
    expect(found({ 'stable/a': entryText().replace('What', 'Where') })).toEqual(['where-tag stable/a:1']);
    expect(found({ 'stable/a': entryText().replace('Contact', 'Odd: x\nContact') })).toEqual([
      'odd-version stable/a:3',
      'unknown-tag stable/a:4',
    ]);
    expect(found({ 'stable/a': entryText().replace('Date', 'WDate') })).toEqual(['odd-tag stable/a:2']);
    expect(found({ 'stable/a': entryText().replace('Date', 'date') })).toEqual(['lower-case-tag stable/a:2']);
  });

  it('is reported without any What, and outside the four levels', () => {
    expect(found({ 'stable/a': 'Words.\n' })).toEqual(['no-entry stable/a:1']);
    expect(found({ 'stable/deep/a': entryText() })).toEqual(['no-such-level stable/deep/a:1']);
    expect(found({ a: entryText() })).toEqual(['no-such-level a:1']);
  });

  it('that seems to lack a What between two entries is told once', () => {
    const text = entryText() + entryText().replace(/^What.*\n/, '');
    expect(found({ 'stable/a': text })).toEqual(['repeated-field stable/a:6']);
  });
});

describe('two Whats', () => {
  const two = (a: string, b: string, level = 'stable') =>
    found({ 'stable/a': entryText({ What: a }), [`${level}/b`]: entryText({ What: b, Users: '' }) });

  it('that are the same, in one file or two, are a duplicate', () => {
    expect(two('/sys/a', '/sys/a')).toEqual(['duplicate-what stable/b:1']);
    expect(two('/sys/x\n/sys/a', '/sys/a')).toEqual(['duplicate-what stable/b:1']);
  });

  it('that differ in a letter for a number overlap', () => {
    expect(two('/sys/cpuX/a', '/sys/cpuY/a')).toEqual(['overlapping-what stable/b:1']);
  });

  it('that differ in the name of a place-holder are ambiguous', () => {
    expect(two('/sys/<afu>/a', '/sys/<card>/a')).toEqual(['ambiguous-what stable/b:1']);
  });

  it('that mean the same in two levels contradict each other', () => {
    expect(two('/sys/cpuX/a', '/sys/cpuY/a', 'testing')).toEqual(['two-levels testing/b:1']);
  });

  it('that differ in a value, a range or choices are two', () => {
    expect(two('/sys/x = 1', '/sys/x = 2')).toEqual([]);
    expect(two('/sys/x[0:1]', '/sys/x[0:7]')).toEqual([]);
    expect(two('/sys/{a,b}', '/sys/{c,d}')).toEqual([]);
  });
});

describe('a path', () => {
  const whats = (...paths: string[]) =>
    found({ 'testing/a': paths.map((What) => entryText({ What, Users: '' })).join('\n') });

  it('that lacks the component which others have there is told, as reserved_regions of IOMMU groups', () => {
    expect(
      whats('/sys/kernel/iommu_groups/reserved_regions', '/sys/kernel/iommu_groups/<grp_id>/type'),
    ).toEqual(['lacks-component testing/a:1']);
  });

  it('that speaks of all of them is not', () => {
    expect(whats('/sys/k/kdamonds/nr_kdamonds', '/sys/k/kdamonds/<K>/state')).toEqual([]);
    expect(whats('/sys/class/things/', '/sys/class/things/<t>/state')).toEqual([]);
    expect(whats('/sys/block/<disk>/stat', '/sys/block/<disk>/<partition>/stat')).toEqual([]);
  });
});

describe('a level', () => {
  const obsolete = (Description: string) => found({ 'obsolete/a': entryText({ Description }) });

  it('obsolete wants why and when', () => {
    expect(obsolete('A file.')).toEqual([
      'obsolete-without-when obsolete/a:1',
      'obsolete-without-why obsolete/a:1',
    ]);
    expect(obsolete('Replaced by /sys/b.')).toEqual(['obsolete-without-when obsolete/a:1']);
    expect(obsolete('It will be removed in 2027.')).toEqual(['obsolete-without-why obsolete/a:1']);
    expect(obsolete('Replaced by /sys/b. It will be removed after Linux 7.2.')).toEqual([]);
  });

  it('obsolete takes what stands at the top of the file for all of it, and tells of each file once', () => {
    const body = entryText() + entryText({ What: '/sys/b' });
    expect(found({ 'obsolete/a': body })).toHaveLength(2);
    expect(found({ 'obsolete/a': `Moved to /sys/c, to be removed in 2027.\n\n${body}` })).toEqual([]);
  });

  it('removed is held against the machine', () => {
    const files = {
      'removed/a': entryText({ What: '/sys/o2cb symlink' }) + entryText({ What: '/sys/x/<y>' }),
    };
    const here = lint({ tree: treeOf(files), now, exists: (path) => path === '/sys/o2cb' });
    expect(here.map(({ rule, line }) => `${rule} ${line}`)).toContain('removed-but-present 1');
    expect(found(files, { exists: () => undefined })).not.toContain('removed-but-present removed/a:1');
    expect(found(files, { exists: () => true })).not.toContain('removed-but-present removed/a:6');
  });

  it('testing wants its users', () => {
    expect(found({ 'testing/a': entryText() })).toEqual(['no-users testing/a:1']);
  });
});

describe('rules', () => {
  it('have names of their own, a sentence, and a severity', () => {
    expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
    for (const { id, explain } of RULES) {
      expect(id).toMatch(/^[a-z-]+$/);
      expect(explain).toMatch(/\.$/);
    }
  });

  it('are switched by name, one and all', () => {
    const tree = treeOf({ 'stable/a': entryText({ Date: undefined, Description: undefined }) });
    const rules = (...words: string[]) =>
      lint({ tree, now }, readSwitches(words)).map(({ rule, severity }) => `${rule} ${severity}`);
    expect(rules()).toEqual(['no-description error']);
    expect(rules('no-date')).toEqual(['no-date note', 'no-description error']);
    expect(rules('no-date=error', 'no-description=off')).toEqual(['no-date error']);
    expect(rules('all=off', 'no-date')).toEqual(['no-date note']);
  });

  it('that do not exist are refused, and values likewise', () => {
    expect(() => readSwitches(['nonsense'])).toThrow(/no rule 'nonsense'/);
    expect(() => readSwitches(['no-date=loud'])).toThrow(/not 'loud'/);
  });

  it('end in findings on any junk, each in a file of the tree and in a line of it', () => {
    const line = fc.oneof(
      fc.constantFrom(
        'What: /sys/<x',
        'What: /sys/bus/things/x',
        'Date: Mai 20:15',
        'Date: 99-99-9999',
        'KernelVersion: 9999999999999.99999999999.99',
        'Description:',
        'User: x',
        'Date x',
        'Where: {,}[|]<>',
        '/sys/a',
      ),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('stable/a', 'obsolete/a', 'x/y/z', 'a'), (lines, file) => {
        const text = lines.join('\n');
        for (const finding of lint({ tree: treeOf({ [file]: text }), now, exists: () => true }, ALL)) {
          expect(finding.file).toBe(file);
          expect(finding.line >= 1 && finding.line <= text.split('\n').length).toBe(true);
        }
      }),
    );
  });
});

describe.runIf(kernelTree !== undefined)(`Documentation/ABI of Linux 6.12${NO_KERNEL_TREE}`, () => {
  const tree = kernelDocuments();
  const findings = lint({ tree, now });
  const of = (rule: string) => findings.filter((finding) => finding.rule === rule);

  it("has nothing that the kernel's own checker reports but what a What goes on to in further lines", () => {
    for (const rule of ['unknown-tag', 'where-tag', 'what-first', 'no-description'])
      expect(of(rule)).toEqual([]);
    expect(of('duplicate-what').map(({ file, line }) => `${file}:${line}`)).toEqual([
      'testing/sysfs-devices-system-cpu:72',
      'testing/sysfs-devices-system-cpu:75',
    ]);
  });

  it('has months and times that are none', () => {
    expect(new Set(of('malformed-date').map(({ message }) => message))).toEqual(
      new Set([
        "'Januar' is no month",
        "'Mai' is no month",
        "'Januarry' is no month",
        "'Januari' is no month",
        "'November 20:15' is no date",
      ]),
    );
  });

  it('has versions between two series', () => {
    const versions = new Set(
      of('impossible-version').map(({ message }) => /no v?([\d.]+)/.exec(message)?.[1]),
    );
    expect([...versions].sort()).toEqual(['3.21', '4.21', '4.22', '5.20', '5.21']);
  });

  it('has 77 tags without a colon, 5 User:, one WDate:', () => {
    expect([of('no-colon').length, of('nearly-a-tag').length, of('odd-tag').length]).toEqual([77, 5, 1]);
  });

  it('lacks the group in reserved_regions, and no other component', () => {
    expect(of('lacks-component').map(({ file, line }) => `${file}:${line}`)).toEqual([
      'testing/sysfs-kernel-iommu_groups:16',
    ]);
  });

  it('is quiet about habits: 175 findings, of which each is an error or a warning', () => {
    expect(findings.length).toBeLessThan(200);
    expect(findings.filter(({ severity }) => severity === 'note')).toEqual([]);
  });
});
