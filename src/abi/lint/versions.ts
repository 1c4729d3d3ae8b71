/** Versions that are none, or never were. */

import { neverReleased, readVersion } from '../kernel-version.ts';
import { fieldsNamed, quoted } from './each.ts';
import type { Rule } from './rule.ts';

export const NO_SUCH_VERSION: Rule = {
  id: 'malformed-version',
  severity: 'error',
  on: true,
  explain: 'A `KernelVersion:` without a version: `TBD`, `?.?`.',
  *check({ tree }) {
    for (const { entry, field } of fieldsNamed(tree, 'kernelversion')) {
      if (readVersion(field.text) !== undefined) continue;
      yield {
        file: entry.file,
        line: field.textLine,
        message: `${quoted(field.text)} is no version`,
        fix: 'write the first version that has it, or leave the tag out',
      };
    }
  },
};

export const IMPOSSIBLE_VERSION: Rule = {
  id: 'impossible-version',
  severity: 'error',
  on: true,
  explain: 'A `KernelVersion:` that Linux never had.',
  *check({ tree }) {
    for (const { entry, field } of fieldsNamed(tree, 'kernelversion')) {
      const version = readVersion(field.text);
      const why = version === undefined ? undefined : neverReleased(version);
      if (why === undefined) continue;
      yield {
        file: entry.file,
        line: field.textLine,
        message: `there was no ${version!.text}: ${why}`,
        fix: 'write the first version that has it',
      };
    }
  },
};

export const ODD_VERSION: Rule = {
  id: 'odd-version',
  severity: 'note',
  on: false,
  explain: 'A `KernelVersion:` with more than the version in it.',
  *check({ tree }) {
    for (const { entry, field } of fieldsNamed(tree, 'kernelversion')) {
      const version = readVersion(field.text);
      if (version === undefined || version.text === field.text) continue;
      yield {
        file: entry.file,
        line: field.textLine,
        message: `${quoted(field.text)} is more than a version`,
        fix: `write ${version.text}`,
      };
    }
  },
};
