/**
 * All Whats of a tree as one tree of path parts. A real path is followed through it part by part, at all places it
 * fits at once; so the time is bounded by the length of the path times the size of what fits, for `...` as well.
 */

import type { AbiEntry, Located } from './entry.ts';
import { PartPattern } from './part-pattern.ts';
import { mayHavePlaceholder } from './part-tokens.ts';
import { firstPart, isAnyDepth } from './what-pattern.ts';

/** One interface: an entry and the What of it that is meant. */
export interface WhatEnd {
  entry: AbiEntry;
  what: Located;
}

/** What may follow a part. It is found out when somebody comes by: most of a tree is never asked for. */
export class WhatNode {
  /** This is `...`: any name leads here again. */
  readonly loops: boolean;
  #pending: { path: string; end: WhatEnd }[] = [];
  readonly #literals = new Map<string, WhatNode>();
  /** By how the part is written. */
  readonly #patterns = new Map<string, { pattern: PartPattern; node: WhatNode }>();
  #anyDepth: WhatNode | undefined;
  #ends: WhatEnd[] | undefined;

  constructor(loops = false) {
    this.loops = loops;
  }

  /** @param path what is left of the path of a What */
  add(path: string, end: WhatEnd): void {
    this.#pending.push({ path, end });
  }

  /** Gives a plain name a node that others have as well. */
  share(name: string, node: WhatNode): void {
    this.#literals.set(name, node);
  }

  get literals(): ReadonlyMap<string, WhatNode> {
    this.#expand();
    return this.#literals;
  }

  get patterns(): ReadonlyMap<string, { pattern: PartPattern; node: WhatNode }> {
    this.#expand();
    return this.#patterns;
  }

  /** Below `...`. */
  get anyDepth(): WhatNode | undefined {
    this.#expand();
    return this.#anyDepth;
  }

  get ends(): readonly WhatEnd[] | undefined {
    this.#expand();
    return this.#ends;
  }

  #expand(): void {
    if (this.#pending.length === 0) return;
    // Adds to itself where `...` follows `...`.
    for (const { path, end } of this.#pending) {
      const first = firstPart(path);
      if (first !== undefined) this.#child(first.part).add(first.rest, end);
      else {
        this.#ends ??= [];
        this.#ends.push(end);
      }
    }
    this.#pending = [];
  }

  #child(part: string): WhatNode {
    const known = this.#literals.get(part) ?? this.#patterns.get(part)?.node;
    if (known !== undefined) return known;
    if (part === '.') return this;
    if (isAnyDepth(part)) {
      if (this.loops) return this;
      this.#anyDepth ??= new WhatNode(true);
      return this.#anyDepth;
    }
    const node = new WhatNode();
    if (mayHavePlaceholder(part)) this.#patterns.set(part, { pattern: new PartPattern(part), node });
    else this.#literals.set(part, node);
    return node;
  }
}

/** Where a path fits, and how much of it is spelled out in the best case: a part of it counts 1 at most. */
export type Places = ReadonlyMap<WhatNode, number>;

export const NOWHERE: Places = new Map();

/**
 * Where one more part of the path leads.
 *
 * @param link the part is a link: `...` stands for directories, and does not go on through it
 */
export function step(places: Places, name: string, link = false): Places {
  if (places.size === 0) return NOWHERE;
  const next = new Map<WhatNode, number>();
  for (const [node, spelled] of places) {
    const child = node.literals.get(name);
    if (child !== undefined) reach(next, child, spelled + 1);
    for (const { pattern, node: below } of node.patterns.values()) {
      if (pattern.matches(name)) reach(next, below, spelled + pattern.spelled);
    }
    if (node.anyDepth !== undefined) reach(next, node.anyDepth, spelled);
    if (node.loops && !link) reach(next, node, spelled);
  }
  return next;
}

/**
 * As `step`, for a part of which only some is known: wherever a name that fits it could lead.
 *
 * @param samples names it could stand for
 * @param open nothing of it is known; then it stands for a place-holder, and for names only where more follows
 */
export function stepVaguely(
  places: Places,
  part: PartPattern,
  { samples, open, last }: { samples: readonly string[]; open: boolean; last: boolean },
): Places {
  const next = new Map<WhatNode, number>();
  for (const [node, spelled] of places) {
    for (const [name, child] of open && (last || node.loops) ? [] : node.literals) {
      if (part.matches(name)) reach(next, child, spelled + part.spelled);
    }
    for (const { pattern, node: below } of node.patterns.values()) {
      if (samples.some((name) => pattern.matches(name))) reach(next, below, spelled + part.spelled);
    }
    if (node.anyDepth !== undefined) reach(next, node.anyDepth, spelled);
    if (node.loops) reach(next, node, spelled);
  }
  return next;
}

/** Both together. */
export function union(a: Places, b: Places): Places {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const all = new Map(a);
  for (const [node, spelled] of b) reach(all, node, spelled);
  return all;
}

/** Interfaces that end here, the one that spells out most first. */
export function endsAt(places: Places): WhatEnd[] {
  const found: { end: WhatEnd; spelled: number }[] = [];
  for (const [{ ends }, spelled] of places) {
    for (const end of ends ?? []) found.push({ end, spelled });
  }
  return found.sort((a, b) => b.spelled - a.spelled).map(({ end }) => end);
}

/** Whether any interface ends here. */
export function isEnd(places: Places): boolean {
  for (const [{ ends }] of places) if (ends !== undefined) return true;
  return false;
}

function reach(places: Map<WhatNode, number>, node: WhatNode, spelled: number): void {
  const before = places.get(node);
  if (before === undefined || before < spelled) places.set(node, spelled);
}
