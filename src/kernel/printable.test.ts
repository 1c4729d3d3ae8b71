import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable, printableData, printableLines } from './printable.ts';

describe('printable', () => {
  test.each([
    ['vfio-pci', 'vfio-pci'],
    ['Grüße … ←', 'Grüße … ←'],
    ['\u001b[31mred', '?[31mred'],
    ['\u001b]0;title\u0007x', '?]0;title?x'],
    ['two\nlines\r\tand\u2028more\u0085', 'two lines  and more '],
    ['\u009b2J\u007f', '?2J?'],
    ['a\u202eb\u2066c\u200bd\ufeff', 'a?b?c?d?'],
  ])('%j', (text, shown) => expect(printable(text)).toBe(shown));

  test('leaves nothing a terminal obeys, keeps the length, and settles at once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = printable(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
        expect(shown).toHaveLength(text.length);
        expect(printable(shown)).toBe(shown);
      }),
    );
  });
});

test('lines stay lines', () => expect(printableLines('a\u001b\nb\n')).toBe('a?\nb\n'));

describe('printableData', () => {
  test('every string of a report, however deep, and nothing else', () => {
    const report = { id: 1, none: null, on: true, list: [{ name: 'a\u001b' }, 'b\n'], 'k\u0007': 'v' };
    expect(printableData(report)).toEqual({
      id: 1,
      none: null,
      on: true,
      list: [{ name: 'a?' }, 'b '],
      'k?': 'v',
    });
    expect(report.list[1], 'the report itself stays').toBe('b\n');
  });

  test('what is fit already is not copied', () => {
    const report = { list: [{ name: 'a' }], nothing: undefined };
    expect(printableData(report)).toBe(report);
  });
});
