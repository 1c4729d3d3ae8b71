/** What the level of an entry asks for. */

import { LEVELS } from '../entry.ts';
import { noticeOf } from '../notice.ts';
import { whatLines } from '../shape.ts';
import { quoted } from './each.ts';
import type { Rule } from './rule.ts';

export const NO_SUCH_LEVEL: Rule = {
  id: 'no-such-level',
  severity: 'error',
  on: true,
  explain: 'A document outside stable/, testing/, obsolete/ and removed/.',
  *check({ tree }) {
    for (const { file, level } of tree.files) {
      if (LEVELS.some((known) => known === level) && file.split('/').length === 2) continue;
      const where = level === '' ? 'is in no level' : `is in '${file.split('/').slice(0, -1).join('/')}'`;
      yield {
        file,
        line: 1,
        message: `the document ${where}`,
        fix: `move it to one of ${LEVELS.join(', ')}`,
      };
    }
  },
};

export const NO_ENTRY: Rule = {
  id: 'no-entry',
  severity: 'error',
  on: true,
  explain: 'A document without any `What:`.',
  *check({ tree }) {
    for (const { file, entries, malformations } of tree.files) {
      if (entries.length > 0 || malformations.some(({ kind }) => kind === 'unreadable')) continue;
      yield { file, line: 1, message: 'the document has no What', fix: 'begin each entry with What:' };
    }
  },
};

export const OBSOLETE_WITHOUT_WHY: Rule = obsolete('obsolete-without-why', 'why', 'why it is obsolete');
export const OBSOLETE_WITHOUT_WHEN: Rule = obsolete(
  'obsolete-without-when',
  'when',
  'when it will be removed',
);

/** Told once for a run of entries of one document, which mostly share the reason and lack the same. */
function obsolete(id: string, part: 'why' | 'when', what: string): Rule {
  return {
    id,
    severity: 'warning',
    on: true,
    explain: `A document in obsolete/ whose text does not say ${what}.`,
    *check({ tree }) {
      for (const file of tree.files) {
        if (file.level !== 'obsolete') continue;
        const silent = file.entries.filter((entry) => !noticeOf(entry, file)[part]);
        const [first] = silent;
        if (first === undefined) continue;
        const others = silent.length > 1 ? `, nor do ${silent.length - 1} more entries of this file` : '';
        yield {
          file: file.file,
          line: first.what[0]!.line,
          message: `${quoted(first.what[0]!.text)} does not say ${what}${others}`,
          fix: `add ${what} to the Description`,
        };
      }
    },
  };
}

export const REMOVED_BUT_PRESENT: Rule = {
  id: 'removed-but-present',
  severity: 'error',
  on: true,
  explain: 'An entry in removed/ whose file this machine still has.',
  *check({ tree, exists }) {
    if (exists === undefined) return;
    for (const file of tree.files) {
      if (file.level !== 'removed') continue;
      for (const entry of file.entries) {
        for (const { text, line } of whatLines(entry)) {
          const path = /^\/[\w./:-]+/.exec(text)?.[0];
          const rest = text.slice(path?.length ?? 0);
          // A path with place-holders can be anything; words behind it are a remark.
          if (path === undefined || /^[^\s]/.test(rest) || !exists(path)) continue;
          yield {
            file: file.file,
            line,
            message: `${quoted(path)} is said to be removed, and is there`,
            fix: 'move the entry to obsolete/, or remove the interface',
          };
        }
      }
    }
  },
};
