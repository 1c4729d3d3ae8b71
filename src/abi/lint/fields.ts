/** Fields that are missing or say nothing. */

import { entriesOf } from '../entry.ts';
import { entriesWithout, fieldsNamed, quoted, TAGS } from './each.ts';
import type { Rule } from './rule.ts';

export const NO_DESCRIPTION: Rule = {
  id: 'no-description',
  severity: 'error',
  on: true,
  explain: 'An entry without a `Description:`.',
  *check({ tree }) {
    for (const { entry, ...remark } of entriesWithout(tree, 'description')) {
      const only = entry.fields.length === 0 ? ', nor any other field' : '';
      yield { ...remark, message: remark.message + only, fix: 'say what it is and how it is used' };
    }
  },
};

export const EMPTY_DESCRIPTION: Rule = {
  id: 'empty-description',
  severity: 'error',
  on: true,
  explain: 'A `Description:` with no text.',
  *check({ tree }) {
    for (const entry of entriesOf(tree)) {
      const described = entry.fields.filter(({ name }) => name === 'description');
      if (described.length === 0 || described.some(({ text }) => text !== '')) continue;
      yield {
        file: entry.file,
        line: described[0]!.line,
        message: `the Description of ${quoted(entry.what[0]!.text)} is empty`,
        fix: 'say what it is and how it is used',
      };
    }
  },
};

/** Nobody need use an interface, so that Users may be there and empty. */
const NOT_EMPTY = new Set(['date', 'kernelversion', 'contact']);

export const EMPTY_FIELD: Rule = {
  id: 'empty-field',
  severity: 'note',
  on: false,
  explain: '`Date:`, `KernelVersion:` or `Contact:` with no text.',
  *check({ tree }) {
    for (const { file, fields } of entriesOf(tree)) {
      for (const { name, text, line } of fields) {
        if (text !== '' || !NOT_EMPTY.has(name)) continue;
        yield { file, line, message: `${TAGS[name]} is empty`, fix: 'fill it in, or leave the tag out' };
      }
    }
  },
};

export const REPEATED_FIELD: Rule = {
  id: 'repeated-field',
  severity: 'warning',
  on: true,
  explain: 'A field twice in an entry; of all but descriptions only the last counts.',
  *check({ tree }) {
    for (const { file, fields } of entriesOf(tree)) {
      const seen = new Map<string, number>();
      const again = fields.filter(({ name, line }) => {
        const repeated = seen.has(name);
        if (!repeated) seen.set(name, line);
        return repeated;
      });
      const [first] = again;
      if (first === undefined) continue;
      const one = again.every(({ name }) => name === first.name);
      yield {
        file,
        line: first.line,
        message: `${TAGS[first.name]}${one ? '' : ' and others'} again, after line ${seen.get(first.name)}`,
        fix: one ? `put all into one ${TAGS[first.name]}:` : 'a What: seems to be missing above this line',
      };
    }
  },
};

export const NO_DATE = missing('no-date', 'date', 'when the interface came, as `May 2012`');
export const NO_VERSION = missing('no-version', 'kernelversion', 'the first version that has it');
export const NO_CONTACT = missing('no-contact', 'contact', 'a person or a list to write to');

function missing(id: string, name: 'date' | 'kernelversion' | 'contact', what: string): Rule {
  return {
    id,
    severity: 'note',
    on: false,
    explain: `An entry without \`${TAGS[name]}:\`.`,
    *check({ tree }) {
      for (const { entry, ...remark } of entriesWithout(tree, name)) yield { ...remark, fix: `add ${what}` };
    },
  };
}

export const NO_USERS: Rule = {
  id: 'no-users',
  severity: 'note',
  on: false,
  explain: 'An entry in testing/ without `Users:`, which is how they hear of changes.',
  *check({ tree }) {
    for (const { entry, ...remark } of entriesWithout(tree, 'users')) {
      if (entry.level === 'testing') yield { ...remark, fix: 'add Users:, empty if there are none yet' };
    }
  },
};

/** An address, a list's name, a web page. */
const REACHABLE = /\S+@\S+|\bat\b.*\bdot\b|https?:\/\//i;

export const ODD_CONTACT: Rule = {
  id: 'odd-contact',
  severity: 'note',
  on: false,
  explain: 'A `Contact:` with no address to write to.',
  *check({ tree }) {
    for (const { entry, field } of fieldsNamed(tree, 'contact')) {
      if (REACHABLE.test(field.text)) continue;
      yield {
        file: entry.file,
        line: field.textLine,
        message: `${quoted(field.text)} is no address`,
        fix: 'write Name <address>',
      };
    }
  },
};
