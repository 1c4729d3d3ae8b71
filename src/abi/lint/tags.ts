/** Tags that are none, are misspelt, or stand in the wrong place. */

import { entriesOf } from '../entry.ts';
import { malformed, quoted } from './each.ts';
import type { Rule } from './rule.ts';

export const UNREADABLE: Rule = {
  id: 'unreadable',
  severity: 'error',
  on: true,
  explain: 'A file that cannot be read, is too large or is not text.',
  *check({ tree }) {
    for (const { file, text, line } of malformed(tree, 'unreadable')) {
      yield { file: file.file, line, message: `the file ${text}` };
    }
  },
};

export const UNKNOWN_TAG: Rule = {
  id: 'unknown-tag',
  severity: 'error',
  on: true,
  explain: 'A word with a colon at the beginning of a line, outside a description, that is no tag.',
  *check({ tree }) {
    for (const { file, text, line } of malformed(tree, 'unknown-tag')) {
      const tag = text.slice(0, text.indexOf(':'));
      yield {
        file: file.file,
        line,
        message: `${quoted(tag)} is no tag`,
        fix: 'use What, Date, KernelVersion, Contact, Description or Users; indent the line if it is text',
      };
    }
  },
};

export const WHERE_TAG: Rule = {
  id: 'where-tag',
  severity: 'error',
  on: true,
  explain: '`Where:` for `What:`.',
  *check({ tree }) {
    for (const { file, line } of malformed(tree, 'where')) {
      yield { file: file.file, line, message: "'Where:' is no tag", fix: 'write What:' };
    }
  },
};

export const ODD_TAG: Rule = {
  id: 'odd-tag',
  severity: 'warning',
  on: true,
  explain: 'A tag with letters around it, such as `WDate:`; the kernel takes it for the tag.',
  *check({ tree }) {
    for (const { file, text, line } of malformed(tree, 'odd-tag')) {
      const tag = text.slice(0, text.indexOf(':') + 1);
      yield {
        file: file.file,
        line,
        message: `${quoted(tag)} is taken for a tag`,
        fix: 'spell the tag as the README does; indent the line if it is text',
      };
    }
  },
};

export const LOWER_CASE_TAG: Rule = {
  id: 'lower-case-tag',
  severity: 'note',
  on: false,
  explain: 'A tag in other letters than the README has, such as `contact:`.',
  *check({ tree }) {
    for (const { file, text, line } of malformed(tree, 'lower-case')) {
      const tag = text.slice(0, text.indexOf(':') + 1);
      yield { file: file.file, line, message: `${quoted(tag)} is not spelled as in the README` };
    }
  },
};

export const WHAT_FIRST: Rule = {
  id: 'what-first',
  severity: 'error',
  on: true,
  explain: 'A field before the first `What:` belongs to no entry.',
  *check({ tree }) {
    for (const { file, text, line } of malformed(tree, 'no-what')) {
      yield {
        file: file.file,
        line,
        message: `${quoted(text)} comes before any What, and belongs to no entry`,
        fix: 'put What: above it',
      };
    }
  },
};

/** Near enough to a tag that nothing else can be meant. */
const NEARLY = /^(User|Contacts|Dates|Whats|Descr?|Kernel ?Ver|Kernel [Vv]ersion|Version):/;

export const NEARLY_A_TAG: Rule = {
  id: 'nearly-a-tag',
  severity: 'warning',
  on: true,
  explain: 'A word that was meant for a tag, such as `User:`, and is read as part of the description.',
  *check({ tree }) {
    for (const { file, field, text, line } of linesOfFields(tree)) {
      const tag = field === 'description' ? NEARLY.exec(text)?.[1] : undefined;
      if (tag === undefined) continue;
      yield {
        file,
        line,
        message: `'${tag}:' is no tag: the line is part of the description`,
        fix: `write ${MEANT[tag[0]!]}:`,
      };
    }
  },
};

const MEANT: Readonly<Record<string, string>> = {
  U: 'Users',
  C: 'Contact',
  D: 'Description',
  W: 'What',
  K: 'KernelVersion',
  V: 'KernelVersion',
};

const NO_COLON = /^(What|Date|Kernel ?Version|Contact|Description|Users)(?:\s+\S|$)/;

export const NO_COLON_TAG: Rule = {
  id: 'no-colon',
  severity: 'error',
  on: true,
  explain: 'A tag without its colon: the line is read as part of the field above, and its own is lost.',
  *check({ tree }) {
    for (const entry of entriesOf(tree)) {
      for (const what of entry.what) yield* lost(entry.file, what.text, what.line, 'What');
    }
    for (const { file, field, tag, text, line } of linesOfFields(tree)) {
      if (field !== 'description') yield* lost(file, `\n${text}`, line - 1, tag);
    }
  },
};

function* lost(file: string, text: string, first: number, above: string) {
  for (const [at, line] of text.split('\n').entries()) {
    const tag = at === 0 ? undefined : NO_COLON.exec(line)?.[1];
    if (tag === undefined) continue;
    yield {
      file,
      line: first + at,
      message: `'${tag}' has no colon: ${quoted(line)} is read as part of ${above}`,
      fix: `write ${tag.replace(/\s/g, '')}:`,
    };
  }
}

function* linesOfFields(tree: Parameters<typeof entriesOf>[0]) {
  for (const entry of entriesOf(tree)) {
    for (const { name, tag, text, textLine, line } of entry.fields) {
      const lines = text.split('\n');
      for (const [at, one] of lines.entries()) {
        // What stands behind the tag itself is its text, whatever word it begins with.
        if (at > 0 || textLine > line)
          yield { file: entry.file, field: name, tag, text: one, line: textLine + at };
      }
    }
  }
}
