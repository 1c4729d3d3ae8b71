/** Interfaces that are documented more than once. */

import { type AbiTree, entriesOf } from '../entry.ts';
import { shapeOf, whatLines } from '../shape.ts';
import { quoted } from './each.ts';
import type { Remark, Rule } from './rule.ts';

interface Place {
  text: string;
  file: string;
  line: number;
  level: string;
}

export const DUPLICATE_WHAT: Rule = {
  id: 'duplicate-what',
  severity: 'error',
  on: true,
  explain: 'The same What twice: the kernel merges the two entries.',
  *check({ tree }) {
    for (const places of grouped(tree, (text) => text)) yield* later(places, 'is documented', 'join the two');
  },
};

export const TWO_LEVELS: Rule = {
  id: 'two-levels',
  severity: 'error',
  on: true,
  explain: 'An interface in two levels, so that nobody can tell what is promised.',
  *check({ tree }) {
    for (const places of alike(tree)) {
      if (new Set(places.map(({ level }) => level)).size < 2) continue;
      yield* later(places, 'has another level', 'leave it in one of them');
    }
  },
};

export const OVERLAPPING_WHAT: Rule = {
  id: 'overlapping-what',
  severity: 'warning',
  on: true,
  explain: 'Two Whats that differ in a letter which stands for a number, and so are one interface.',
  *check({ tree }) {
    for (const places of alike(tree)) {
      if (new Set(places.map(({ level }) => level)).size > 1 || !sameNames(places)) continue;
      yield* later(places, 'means the same as', 'join the two');
    }
  },
};

export const AMBIGUOUS_WHAT: Rule = {
  id: 'ambiguous-what',
  severity: 'note',
  on: false,
  explain: 'Two Whats that only the names of their place-holders tell apart.',
  *check({ tree }) {
    for (const places of alike(tree)) {
      if (new Set(places.map(({ level }) => level)).size > 1 || sameNames(places)) continue;
      yield* later(places, 'matches the same paths as', 'name the part of the path that tells them apart');
    }
  },
};

/** Groups with the same shape whose texts differ. Those with values behind `=` are told apart by these. */
function* alike(tree: AbiTree): Generator<Place[]> {
  for (const places of grouped(tree, keyOf)) {
    if (new Set(places.map(({ text }) => text)).size > 1) yield places;
  }
}

function keyOf(text: string): string {
  const value = /\s+=\s*(.*)$/s.exec(text)?.[1] ?? '';
  const ranges = text.match(/\[\w+[:-]\w+\]/g) ?? [];
  return [shapeOf(text), value, ...ranges].join('\n');
}

/** Named place-holders in angle brackets mean different things if named differently; single letters mean nothing. */
function sameNames(places: readonly Place[]): boolean {
  const names = places.map(({ text }) => (text.match(/<[^<>]*>|\{[^{}]*\}/g) ?? []).join());
  return new Set(names).size === 1;
}

function grouped(tree: AbiTree, key: (text: string) => string): Place[][] {
  const all = new Map<string, Place[]>();
  for (const entry of entriesOf(tree)) {
    for (const { text, line } of whatLines(entry)) {
      const place = { text, line, file: entry.file, level: entry.level };
      const there = all.get(key(text));
      if (there === undefined) all.set(key(text), [place]);
      else there.push(place);
    }
  }
  return [...all.values()].filter((places) => places.length > 1);
}

/** Every place but the first, which it names. */
function* later(places: readonly Place[], how: string, fix: string): Generator<Remark> {
  const [first, ...others] = places;
  for (const { text, file, line } of others) {
    const same = first!.text === text ? '' : ` ${quoted(first!.text)}`;
    yield { file, line, message: `${quoted(text)} ${how}${same} at ${first!.file}:${first!.line}`, fix };
  }
}
