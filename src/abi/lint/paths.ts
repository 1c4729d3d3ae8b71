/** Whats whose path cannot be right. */

import { type AbiTree, entriesOf } from '../entry.ts';
import { shapeOf, whatLines } from '../shape.ts';
import { quoted } from './each.ts';
import type { Rule } from './rule.ts';

const ROOTS = /^(\/(sys|proc|dev|config)(\/|$)|\.\.\.\/|\$\()/;

export const NO_PATH: Rule = {
  id: 'no-path',
  severity: 'note',
  on: false,
  explain: 'A What that is no path below /sys, /proc, /dev or /config.',
  *check({ tree }) {
    for (const { file, text, line } of whats(tree)) {
      if (!ROOTS.test(text))
        yield { file, line, message: `${quoted(text)} is no path that user space knows` };
    }
  },
};

export const EMPTY_WHAT: Rule = {
  id: 'empty-what',
  severity: 'error',
  on: true,
  explain: '`What:` with nothing behind it.',
  *check({ tree }) {
    for (const { file, text, line } of whats(tree)) {
      if (text.trim() === '') yield { file, line, message: 'What is empty', fix: 'name the interface' };
    }
  },
};

export const MALFORMED_PATH: Rule = {
  id: 'malformed-path',
  severity: 'warning',
  on: true,
  explain: 'A path with a place-holder left open, words behind it, an empty part, no root.',
  *check({ tree }) {
    for (const { file, text, line } of whats(tree)) {
      const wrong = wrongWith(text);
      if (wrong !== undefined) yield { file, line, message: `${quoted(text)} ${wrong.what}`, fix: wrong.fix };
    }
  },
};

function wrongWith(text: string): { what: string; fix: string } | undefined {
  const path = text.replace(/\s+=.*$/s, '').trim();
  if (/^\w+(\/[\w<>*-]+){2,}$/.test(path)) return { what: 'does not say where', fix: `write the whole path` };
  if (!path.startsWith('/')) return undefined;
  if (openPlaceholder(path)) return { what: 'leaves a place-holder open', fix: 'close it' };
  if (path.includes('//')) return { what: 'has an empty part', fix: 'take one slash away' };
  const bare = path.replace(/<[^<>]*>|\{[^{}]*\}|\[[^[\]]*\]/g, '');
  if (/\s/.test(bare)) return { what: 'has words behind the path', fix: 'put them into the Description' };
  return undefined;
}

function openPlaceholder(path: string): boolean {
  const open: string[] = [];
  for (const char of path) {
    if ('<{['.includes(char)) open.push(char);
    else if ('>}]'.includes(char) && '<{['['>}]'.indexOf(char)] !== open.pop()) return true;
  }
  return open.length > 0;
}

export const LACKS_COMPONENT: Rule = {
  id: 'lacks-component',
  severity: 'warning',
  on: true,
  explain: 'A file directly in a directory of many things, where the others are one directory further down.',
  *check({ tree }) {
    const below = new Map<string, string>();
    for (const { text } of whats(tree)) {
      const parts = shapeOf(text).split('/');
      if (parts.at(-2) !== '*') continue;
      const whole = text.replace(/\/+$/, '').split('/');
      // A slash inside a place-holder makes two of one; such are no pattern to go by.
      if (whole.length === parts.length) below.set(parts.slice(0, -2).join('/'), whole.at(-2)!);
    }
    for (const { file, text, line } of whats(tree)) {
      const parts = shapeOf(text).split('/');
      const [directory = '', leaf = ''] = parts.slice(-2);
      const missing = below.get(parts.slice(0, -1).join('/'));
      if (missing === undefined || !MANY.test(directory) || OF_ALL.test(leaf) || text.endsWith('/')) continue;
      yield {
        file,
        line,
        message: `${quoted(text)} lacks the ${missing} that others in ${directory}/ have`,
        fix: `write ${directory}/${missing}/${leaf}`,
      };
    }
  },
};

/** A directory of things of one kind. */
const MANY = /^[a-z][a-z_]*[^s\W]s$/;
/** Names of files that speak of all of them together, and directories of things. */
const OF_ALL =
  /[*{]|^\.{3}$|^(nr|num|total|max|min|available|current|possible|default|all)_|^(README|features|control|version|count|autoprobe)$|^[a-z]*probe[a-z]*$/;

function* whats(tree: AbiTree) {
  for (const entry of entriesOf(tree)) {
    for (const { text, line } of whatLines(entry)) yield { file: entry.file, text, line };
  }
}
