import { expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { LACK_NAMES, parseLacks, unaccepted } from './lacks.ts';

test('every lack can be accepted by its name, and only by that', () => {
  expect([...parseLacks(LACK_NAMES, 'policy')]).toEqual(LACK_NAMES);
  for (const name of ['', 'NOMSI', 'nothing', 'constructor', '__proto__']) {
    expect(() => parseLacks(['nomsi', name], 'isolation=')).toThrow(InputError);
  }
  expect(() => parseLacks(['no'], 'isolation=')).toThrow(
    "isolation=: there is no lack 'no'; there are nomsi, nop2p",
  );
});

test('what is not accepted is left, in order', () => {
  const lacks = LACK_NAMES.map((lack) => ({ lack, why: '' }));
  expect(unaccepted(lacks, new Set())).toEqual(lacks);
  expect(unaccepted(lacks, new Set(['nop2p'])).map(({ lack }) => lack)).toEqual(['nomsi', 'disputed']);
});
