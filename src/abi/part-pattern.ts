/**
 * Whether one name of a real path fits one part of a What. All places that can have been reached are kept side by
 * side, so the time is the length of the name times that of the pattern, whoever wrote either.
 */

import { type Token, tokensOf } from './part-tokens.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const UUID_LENGTH = 36;

export class PartPattern {
  readonly text: string;
  #tokens: Token[] | undefined;
  /** The name begins so. */
  #head = '';

  constructor(text: string, tokens?: Token[]) {
    this.text = text;
    if (tokens !== undefined) this.#use(tokens);
  }

  matches(name: string): boolean {
    const tokens = this.#tokens ?? this.#use(tokensOf(this.text));
    if (!name.startsWith(this.#head)) return false;
    const start = new Uint8Array(name.length + 1);
    start[0] = 1;
    return through(tokens, name, start)[name.length] === 1;
  }

  /** The part of it that is spelled out: 0 for a place-holder alone, 1 for a plain name. */
  get spelled(): number {
    const tokens = this.#tokens ?? this.#use(tokensOf(this.text));
    let literal = 0;
    let other = 0;
    for (const token of tokens) {
      if (typeof token === 'object' && 'literal' in token) literal += token.literal.length;
      else other += typeof token === 'string' ? 1 : 0.5;
    }
    return other === 0 ? 1 : literal / (literal + other + 1);
  }

  #use(tokens: Token[]): Token[] {
    this.#tokens = tokens;
    const first = tokens[0];
    this.#head = typeof first === 'object' && 'literal' in first ? first.literal : '';
    return tokens;
  }
}

/** Places reached behind the tokens, from the places before them. */
function through(tokens: readonly Token[], name: string, from: Uint8Array): Uint8Array {
  let at = from;
  for (const token of tokens) at = step(token, name, at);
  return at;
}

function step(token: Token, name: string, from: Uint8Array): Uint8Array {
  const to = new Uint8Array(name.length + 1);
  if (token === 'some' || token === 'any') {
    const first = from.indexOf(1);
    if (first >= 0) to.fill(1, token === 'any' ? first : first + 1);
  } else if (token === 'digits') {
    for (let at = 0; at < name.length; at++) {
      if (from[at] !== 1 && to[at] !== 1) continue;
      const code = name.charCodeAt(at);
      if (code >= 48 && code <= 57) to[at + 1] = 1;
    }
  } else if (token === 'uuid') {
    for (let at = from.indexOf(1); at >= 0; at = from.indexOf(1, at + 1)) {
      if (UUID.test(name.slice(at, at + UUID_LENGTH))) to[at + UUID_LENGTH] = 1;
    }
  } else if ('literal' in token) {
    const { literal } = token;
    for (let at = from.indexOf(1); at >= 0; at = from.indexOf(1, at + 1)) {
      if (name.startsWith(literal, at)) to[at + literal.length] = 1;
    }
  } else {
    for (const choice of token.choices) {
      through(choice, name, from).forEach((reached, at) => {
        if (reached === 1) to[at] = 1;
      });
    }
  }
  return to;
}
