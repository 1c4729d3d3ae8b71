import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AbiFile, entriesOf, FIELDS, fieldOf } from './entry.ts';
import { parseAbiFile } from './parse.ts';
import { entryText, kernelDocuments, kernelTree, NO_KERNEL_TREE } from './testing.ts';

const parse = (text: string, file = 'testing/sysfs-example') => parseAbiFile(file, text);

describe('a document', () => {
  it('gives an entry with every field and the line it stands on', () => {
    const { entries, malformations, level } = parse(entryText());
    expect(level).toBe('testing');
    expect(malformations).toEqual([]);
    expect(entries).toHaveLength(1);
    expect(entries[0]!.what).toEqual([{ text: '/sys/kernel/example', line: 1 }]);
    expect(entries[0]!.fields.map(({ name, line, textLine }) => [name, line, textLine])).toEqual([
      ['date', 2, 2],
      ['kernelversion', 3, 3],
      ['contact', 4, 4],
      ['description', 5, 5],
    ]);
  });

  it('takes several What in a row for one entry, and a What behind a field for the next', () => {
    const { entries } = parse('What: /a\nWhat: /b\nDescription: x\nWhat: /c\nDescription: y\n');
    expect(entries.map(({ what }) => what.map(({ text }) => text))).toEqual([['/a', '/b'], ['/c']]);
  });

  it('takes a comma, full stop or semicolon off the end of a What', () => {
    const { entries } = parse('What: /a,\nWhat: /b.\nWhat: /c;\nWhat: /d...\n');
    expect(entries[0]!.what.map(({ text }) => text)).toEqual(['/a', '/b', '/c', '/d..']);
  });

  it('keeps the paths that continue a What, a line each', () => {
    const { entries } = parse('What:\t\t/a\n\t\t/b\n\nDescription: x\n');
    expect(entries[0]!.what).toEqual([{ text: '/a\n/b', line: 1 }]);
  });

  it('takes the indentation of the first line off a description, and leaves what is beyond it', () => {
    const { entries } = parse('What: /a\nDescription:\n\n\t\tOne\n\t\t  two\n\n\tthree\n');
    const field = fieldOf(entries[0]!, 'description') as (typeof entries)[0]['fields'][0];
    expect(field.text).toBe('One\n  two\n\nthree');
    expect(field.line).toBe(2);
    expect(field.textLine).toBe(4);
  });

  it('leaves words with a colon in a description alone (Values:, Note(s):, Example:)', () => {
    const { entries, malformations } = parse('What: /a\nDescription: x\nValues: 0, 1\nNote(s): y\n');
    expect(malformations).toEqual([]);
    expect(fieldOf(entries[0]!, 'description')?.text).toBe('x\nValues: 0, 1\nNote(s): y');
  });

  it('keeps UTF-8, CR LF, no line end at the end, and mixed blanks behind the colon', () => {
    const { entries } = parse('What: \t/a\r\nContact:\t Jörg <j@example.org>\r\nDescription: ü');
    expect(fieldOf(entries[0]!, 'contact')?.text).toBe('Jörg <j@example.org>');
    expect(fieldOf(entries[0]!, 'description')?.text).toBe('ü');
  });

  it('keeps what stands before the first What', () => {
    const { preface, entries } = parse('rfkill\n\nWhat: /a\nDescription: x\n');
    expect(preface).toEqual([{ text: 'rfkill', line: 1 }]);
    expect(entries).toHaveLength(1);
  });

  it.each([
    ['what: /a\nDescription: x\n', 'lower-case', 1],
    ['What: /a\ncontact: x\n', 'lower-case', 2],
    ['Where: /a\nDescription: x\n', 'where', 1],
    ['What: /a\nWDate: Mar 2022\n', 'odd-tag', 2],
    ['What: /a\nDate: May 2012\nVersion: 3\n', 'unknown-tag', 3],
    ['Date: May 2012\nWhat: /a\n', 'no-what', 1],
  ])('%j has the malformation %s in line %i, and loses nothing', (text, kind, line) => {
    const { entries, malformations } = parse(text);
    expect(malformations.map((found) => [found.kind, found.line])).toEqual([[kind, line]]);
    expect(entries[0]!.what[0]!.text).toBe('/a');
  });

  it('takes the last of a field given twice, and all descriptions', () => {
    const { entries } = parse('What: /a\nContact: x\nContact: y\nDescription: one\nDescription: two\n');
    expect(fieldOf(entries[0]!, 'contact')?.text).toBe('y');
    expect(fieldOf(entries[0]!, 'description')?.text).toBe('one\ntwo');
  });
});

/** Everything of a file that is text, in one. */
function said(file: AbiFile): string {
  return JSON.stringify([file.preface, file.entries, file.malformations]);
}

const line = fc.oneof(
  fc.constantFrom(
    'What:',
    'Date:',
    'Description:',
    'Where: /x',
    'Users:',
    'WDate: 1',
    'User:',
    'odd: y',
    '',
    '\t',
  ),
  fc.string({ unit: 'binary' }),
  fc.string(),
);

describe('junk', () => {
  it('of any kind is read, every place is in the file, and every word is somewhere', () => {
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\n', '\r\n'), (lines, end) => {
        const text = lines.join(end);
        const count = text.split('\n').length;
        const file = parse(text);
        const places = [
          ...file.preface,
          ...file.malformations,
          ...file.entries.flatMap(({ what, fields }) => [...what, ...fields]),
        ];
        for (const place of places) expect(place.line >= 1 && place.line <= count).toBe(true);
        for (const { fields } of file.entries)
          for (const field of fields)
            expect(field.textLine >= field.line && field.textLine <= count).toBe(true);
        const all = said(file);
        for (const word of text.match(/[A-Za-z]{3,}/g) ?? [])
          if (word !== 'What') expect(all).toContain(word);
      }),
    );
  });
});

describe.runIf(kernelTree !== undefined)(`Documentation/ABI of Linux 6.12${NO_KERNEL_TREE}`, () => {
  const tree = kernelDocuments();
  const entries = [...entriesOf(tree)];
  const levels = ['stable', 'testing', 'obsolete', 'removed'];
  const byLevel = <T>(count: (level: string) => T) => levels.map(count);

  it('has 620 files, 5742 What lines, 4514 entries', () => {
    expect(byLevel((level) => tree.files.filter((file) => file.level === level).length)).toEqual([
      47, 537, 21, 15,
    ]);
    const whats = (level: string) =>
      entries.filter((entry) => entry.level === level).reduce((sum, { what }) => sum + what.length, 0);
    expect(byLevel(whats)).toEqual([710, 4837, 180, 15]);
    expect(byLevel((level) => entries.filter((entry) => entry.level === level).length)).toEqual([
      538, 3847, 114, 15,
    ]);
    expect(tree.files.every((file) => file.entries.length > 0)).toBe(true);
  });

  it.each([
    // The facts have 555: they count the one entry dated by `WDate:` as undated.
    ['date', [81, 554, 8, 0]],
    ['kernelversion', [161, 1654, 100, 11]],
    ['contact', [33, 357, 1, 1]],
    ['description', [0, 0, 0, 0]],
    ['users', [463, 3664, 22, 9]],
  ] as const)('lacks %s as often as the facts say', (name, missing) => {
    const lacking = (level: string) =>
      entries.filter((entry) => entry.level === level && fieldOf(entry, name) === undefined).length;
    expect(byLevel(lacking)).toEqual(missing);
  });

  it('has 3873 Date and a WDate, 2590 KernelVersion, 4131 Contact, 4517 Description, 356 Users', () => {
    const count = (name: (typeof FIELDS)[number]) =>
      entries.reduce((sum, { fields }) => sum + fields.filter((field) => field.name === name).length, 0);
    expect(FIELDS.map(count)).toEqual([3874, 2590, 4131, 4517, 356]);
  });

  it('has 10 tags in lower case, one WDate, and no other malformation', () => {
    const kinds = tree.files.flatMap(({ malformations }) => malformations.map(({ kind }) => kind)).sort();
    expect(kinds).toEqual([...Array(10).fill('lower-case'), 'odd-tag']);
  });

  it('has 19 empty KernelVersion, no empty Date, and one Description without text', () => {
    const empty = (name: string) =>
      entries.flatMap(({ fields }) => fields.filter((field) => field.name === name && field.text === ''))
        .length;
    expect(['kernelversion', 'date', 'description'].map(empty)).toEqual([19, 0, 1]);
  });

  it('has no What twice', () => {
    const whats = entries.flatMap(({ what }) => what.map(({ text }) => text));
    expect(new Set(whats).size).toBe(whats.length);
  });
});
