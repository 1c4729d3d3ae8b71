import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dotLabel, oneLine, prometheusLabel, wellFormed, xml, xmlComment, yamlScalar } from './escape.ts';
import { yaml } from './yaml.ts';

const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.stringMatching(/^[-<>&"'\\\n#: ]{0,12}$/),
);

describe('names of others', () => {
  test('one line is one line of Unicode text, and changes nothing that is one', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const line = oneLine(text);
        expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\ufffe\uffff\p{Surrogate}]/u);
        expect(oneLine(line)).toBe(line);
      }),
    );
    expect(oneLine('GP104 [GeForce GTX 1080] “é”')).toBe('GP104 [GeForce GTX 1080] “é”');
    expect(oneLine('a\u0000\r\nb')).toBe('a b');
  });

  test('XML: no markup gets through, and what it means is the text', () => {
    const entity: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
    fc.assert(
      fc.property(anything, (text) => {
        expect(xml(text)).toMatch(/^(?:[^<>"'&]|&(?:amp|lt|gt|quot|apos);)*$/);
        expect(xml(text).replace(/&(\w+);/g, (_, name) => entity[name]!)).toBe(oneLine(text));
      }),
    );
  });

  test('XML comments: two hyphens never meet, nor one with the end', () => {
    fc.assert(
      fc.property(anything, (text) => {
        expect(xmlComment(text)).not.toMatch(/--|-$/);
        expect(xmlComment(text).replaceAll(' ', '')).toBe(oneLine(text).replaceAll(' ', ''));
      }),
    );
  });

  test('Prometheus and dot: quotes and backslashes come back as they were', () => {
    const back = (text: string): string => text.replace(/\\(.)/g, '$1');
    fc.assert(
      fc.property(anything, (text) => {
        expect(prometheusLabel(text)).toMatch(/^(?:[^"\\\n]|\\["\\])*$/);
        expect(back(prometheusLabel(text))).toBe(oneLine(text));
        expect(dotLabel(text)).toMatch(/^(?:[^"\\\n]|\\["\\])*$/);
        expect(back(dotLabel(text)).replaceAll('&amp;', '&')).toBe(oneLine(text));
      }),
    );
  });

  test('YAML: quoted as JSON, or so plain that it can be nothing else', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const scalar = yamlScalar(text);
        if (scalar.startsWith('"')) expect(JSON.parse(scalar)).toBe(wellFormed(text));
        else expect(scalar).toMatch(/^[A-Za-z](?:[\w./-]*[A-Za-z0-9])?$/);
      }),
    );
    for (const word of [
      'yes',
      'No',
      'null',
      'true',
      'off',
      'y',
      '',
      '-',
      '0x10',
      '10',
      '1e3',
      'a: b',
      '# a',
      '~',
    ])
      expect(yamlScalar(word)).toBe(JSON.stringify(word));
    expect(yamlScalar('vfio-pci')).toBe('vfio-pci');
  });
});

describe('yaml', () => {
  test('nested maps and lists in block style', () => {
    expect(yaml({ a: 1, b: { c: ['x', { d: 'no', e: [] }, ['z']], f: {} }, g: true })).toBe(`\
a: 1
b:
  c:
    - x
    - d: "no"
      e: []
    - - z
  f: {}
g: true
`);
  });
});
