/** Which documented interfaces a text or program relies on. */

import { usualAliases } from './aliases.ts';
import type { AbiIndex } from './index.ts';
import { PartPattern } from './part-pattern.ts';
import type { Token } from './part-tokens.ts';
import { isLeftOut } from './sysfs-names.ts';
import { pathsInText } from './text-paths.ts';
import { endsAt, NOWHERE, type Places, step, stepVaguely, union, type WhatEnd } from './what-tree.ts';

export interface AbiUse {
  /** As it stands in the text. */
  path: string;
  /** Lines it stands on, the first few. */
  lines: number[];
  /**
   * `documented`: by `ends`, the most literal first; `directory`: documents speak of what is below it;
   * `elsewhere`: sysfs that Documentation/ABI leaves to other documents; `nowhere`.
   */
  kind: 'documented' | 'directory' | 'elsewhere' | 'nowhere';
  ends: WhatEnd[];
}

const MOST_LINES = 5;

/**
 * Paths of /sys and configfs, in the order in which they come; those of /proc and /dev where a document speaks of
 * them, since most of these are documented elsewhere.
 *
 * @param text a script or a trace; or a program, each byte as the character of that number
 */
export function findUses(text: string, index: AbiIndex): AbiUse[] {
  const uses = new Map<string, AbiUse | undefined>();
  const binary = text.includes('\0');
  for (const { path, line } of pathsInText(text)) {
    if (!uses.has(path)) uses.set(path, useOf(path, index, binary));
    const lines = uses.get(path)?.lines;
    if (lines !== undefined && lines.length < MOST_LINES && !lines.includes(line)) lines.push(line);
  }
  return [...uses.values()].filter((use) => use !== undefined);
}

/** A path deeper than any real one is not looked for. */
const DEEPEST = 64;

function useOf(path: string, index: AbiIndex, binary: boolean): AbiUse | undefined {
  const parts = namesOf(path);
  if (parts.length < 2 || parts.length > DEEPEST) return undefined;
  const places = follow(parts, index);
  const ends = endsAt(
    usualAliases(path).reduce((all, alias) => union(all, follow(namesOf(alias), index)), places),
  );
  const use = (kind: AbiUse['kind']): AbiUse => ({ path, lines: [], kind, ends });
  if (ends.length > 0) return use('documented');
  if (parts[0] === 'proc' || parts[0] === 'dev') return undefined;
  const loose = index.find(path);
  if (loose.length > 0) return { ...use('documented'), ends: loose };
  if (leadsOn(places) || (isOpen(parts.at(-1)!) && leadsOn(follow(parts.slice(0, -1), index)))) {
    return use('directory');
  }
  // Compilers keep short strings in instructions; what is found of them is no path.
  if (parts.length === 2 && binary) return undefined;
  if (
    isLeftOut(`${path}/`) ||
    /^\/sys\/(?:kernel\/(?:debug|tracing)|fs\/(?:pstore|bpf|fuse))\//.test(`${path}/`)
  ) {
    return use('elsewhere');
  }
  return use('nowhere');
}

/** `...` leads everywhere, and so tells nothing. */
function leadsOn(places: Places): boolean {
  return [...places.keys()].some(
    (node) =>
      !node.loops && (node.literals.size > 0 || node.patterns.size > 0 || node.anyDepth !== undefined),
  );
}

function follow(parts: readonly string[], index: AbiIndex): Places {
  let places = index.start;
  for (const [at, part] of parts.entries()) {
    if (places === NOWHERE) break;
    places = VAGUE.test(part) ? vagueStep(places, part, at === parts.length - 1) : step(places, part);
  }
  return places;
}

function vagueStep(places: Places, part: string, last: boolean): Places {
  return stepVaguely(places, vaguePattern(part), { samples: samplesOf(part), open: isOpen(part), last });
}

/** What stands for something else within one name. */
const VAGUE_PIECE = /%[-0-9.]*l*[a-z]|\$\{[^}]*\}|\$\w+|\$\([^)]*\)|[*?]|\[[^\]]*\]|\{[^}]*\}/g;
const VAGUE = /[%$*?[{]/;

/** Parts of a path; a slash inside `${…}` or `$(…)` separates nothing. */
function namesOf(path: string): string[] {
  const held: string[] = [];
  const flat = path.replace(/\$\{[^}]*\}|\$\([^)]*\)|\{[^}]*\}/g, (piece) => `\0${held.push(piece) - 1}\0`);
  const whole = (part: string): string =>
    part.replace(/\0(\d+)\0/g, (_, at: string) => held[Number(at)] ?? '');
  return flat
    .split('/')
    .filter((part) => part !== '')
    .map(whole);
}

/** Nothing of the name is known. */
function isOpen(part: string): boolean {
  return part.replace(VAGUE_PIECE, '') === '';
}

function vaguePattern(part: string): PartPattern {
  const tokens: Token[] = [];
  let from = 0;
  for (const { 0: piece, index } of part.matchAll(VAGUE_PIECE)) {
    if (index > from) tokens.push({ literal: part.slice(from, index) });
    tokens.push(pieceToken(piece));
    from = index + piece.length;
  }
  if (from < part.length) tokens.push({ literal: part.slice(from) });
  return new PartPattern(part, tokens);
}

function pieceToken(piece: string): Token {
  const choices = piece.startsWith('{') ? piece.slice(1, -1).split(',') : [];
  if (choices.length > 1) return { choices: choices.map((literal) => [{ literal }]) };
  return piece === '*' ? 'any' : 'some';
}

/** Names it could stand for: a number, a word, an address. */
function samplesOf(part: string): string[] {
  return ['0', 'x', '0000:00:00.0'].map((sample) => part.replace(VAGUE_PIECE, sample));
}
