/**
 * One part of a path in a What, between two slashes, taken to pieces. Authors write place-holders as they like:
 *
 *     <x> <a|b> <0..14>   {a,b} {x}   [a|b] [n] [0-9]+ [0:7]   [.Y] (may be missing)   (a|b) (x)
 *     X, Y, Z and N in names of small letters   *   ...   $name   %d   # (a number)   \* (a * that reST escapes)
 */

import { bracketPairs, splitOutside } from './brackets.ts';

export type Token =
  /** As it stands. */
  | { literal: string }
  /** Anything, at least one character. */
  | 'some'
  /** Anything or nothing. */
  | 'any'
  /** A number. */
  | 'digits'
  | 'uuid'
  /** One of several. */
  | { choices: Token[][] };

/** Deeper brackets than any author's are not understood, and stand for anything. */
const DEEPEST = 8;

const SPECIAL = /[<{[(*$%#\\XYZN]|\.\.\./;

/** Whether the part can hold a place-holder at all; most do not. */
export function mayHavePlaceholder(part: string): boolean {
  return SPECIAL.test(part);
}

/** X, Y, Z: not beside another capital, which makes a name (`TX`, `LNXSYSTM`). */
const LETTERS = /(?<![A-Z])[XYZ]+(?![A-Z])|(?<![A-Z])N+(?![A-Za-z])/y;
const SIGN = /\.{3,}|\*+|\$\{?\w+\}?|%[0-9]*[dxus]|#/y;

export function tokensOf(part: string, depth = 0): Token[] {
  const pairs = bracketPairs(part);
  const tokens: Token[] = [];
  let literal = '';
  const push = (token: Token): void => {
    if (literal !== '') tokens.push({ literal });
    literal = '';
    tokens.push(token);
  };
  for (let at = 0; at < part.length; at++) {
    const close = pairs.get(at);
    const inside = close === undefined ? undefined : part.slice(at + 1, close);
    const bracket = inside === undefined ? undefined : bracketToken(part[at]!, inside, depth);
    if (close !== undefined && bracket !== undefined) {
      push(bracket);
      at = close;
      if (bracket === 'digits' && /[+*]/.test(part[at + 1] ?? '')) at++;
      continue;
    }
    if (part[at] === '\\' && at + 1 < part.length) {
      if (part[at + 1] === '*') push('any');
      else literal += part[at + 1];
      at++;
      continue;
    }
    const sign = matchAt(SIGN, part, at);
    const letters = sign ?? matchAt(LETTERS, part, at);
    if (letters === undefined) {
      literal += part[at];
      continue;
    }
    push(sign === undefined ? 'some' : signToken(sign));
    at += letters.length - 1;
  }
  if (literal !== '') tokens.push({ literal });
  return tokens;
}

function signToken(sign: string): Token {
  if (sign.startsWith('*')) return 'any';
  return sign === '#' || (sign.endsWith('d') && sign.startsWith('%')) ? 'digits' : 'some';
}

/** `undefined`: the bracket is part of the name. */
function bracketToken(bracket: string, inside: string, depth: number): Token | undefined {
  if (depth >= DEEPEST) return 'some';
  if (bracket === '(') {
    if (inside.includes('|')) return choicesOf(inside, /\|/, depth);
    return /^[a-z]$/i.test(inside) ? 'some' : undefined;
  }
  if (/^uuid$/i.test(inside)) return 'uuid';
  if (/^\d+(?:(?:[-:]|\.\.)[\dNMXY*]*)?$/.test(inside)) return 'digits';
  // A lone dot is a dot: `fw[0-9]+[.][0-9]+`.
  if (bracket === '[' && inside === '.') return { literal: '.' };
  if (bracket === '[' && /^[.:_-][A-Za-z][^|]*$/.test(inside)) {
    return { choices: [[], tokensOf(inside, depth + 1)] };
  }
  if (/[|]/.test(inside)) return choicesOf(inside, /[|]/, depth);
  // `<function,sympos>` is one name with a comma in it.
  if (bracket !== '<') return choicesOf(inside, /,/, depth);
  return choicesOf(inside, /\//, depth);
}

/** Words that are to be taken as they stand; anything else describes what stands there. */
function choicesOf(inside: string, separator: RegExp, depth: number): Token {
  const words = splitOutside(inside, separator).map((word) => word.trim());
  if (words.length < 2 || !words.every((word) => /^[\w.:+<>{}[\],-]*$/.test(word))) return 'some';
  return { choices: words.map((word) => tokensOf(word, depth + 1)) };
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
