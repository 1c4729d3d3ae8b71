import { describe, expect, it } from 'vitest';
import { Indented } from './indented.ts';

function text(lines: string[], keep = true): string {
  const body = new Indented(keep);
  for (const line of lines) body.add(line);
  return body.text();
}

describe('the text of a field', () => {
  it('counts a tab to the next multiple of eight', () => {
    expect(text(['        one', '\ttwo', '    \tthree', '\t  four'])).toBe('one\ntwo\nthree\n  four');
  });

  it('loses no letters of a line that is indented less than the first', () => {
    expect(text(['\t\tone', '\ttwo', 'three'])).toBe('one\ntwo\nthree');
  });

  it('keeps empty lines within, and tells how many came before', () => {
    const body = new Indented(true);
    for (const line of ['', '  ', 'one', '', 'two', '']) body.add(line);
    expect(body.text()).toBe('one\n\ntwo');
    expect(body.emptyBefore()).toBe(2);
  });

  it('drops all indentation where that means nothing', () => {
    expect(text(['  one', '\t\ttwo '], false)).toBe('one\ntwo');
  });
});
