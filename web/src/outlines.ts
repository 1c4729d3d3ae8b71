/** Each group as an outline around what it holds: its cards, and what lies between them. */

import { bond, CARD_HEIGHT, type Layout, n, type Placed, ROW } from './layout.ts';

export interface Outline {
  group: number;
  hue: number;
  /** Of the cards. */
  boxes: string;
  /** Between them. */
  bonds: string;
}

/** Hues far apart for groups that follow each other: steps of the golden angle. */
export function hueOf(group: number): number {
  return Math.round((group * 137.508 + 210) % 360);
}

/** Outlines of the groups that have a card between `from` and `to`, drawn as far as that. */
export function outlines({ placed, indented }: Layout, from: number, to: number): Outline[] {
  const found = new Map<number, Outline>();
  /** The last member among the children of each parent, to be bound to the next. */
  const last = new Map<string, Placed>();
  let above: Placed | undefined;
  for (const at of placed) {
    const { group } = at.node;
    const touching = indented && above?.node.group === group ? above : undefined;
    above = at;
    if (group === undefined) continue;
    const key = `${at.parent?.node.name ?? ''} ${group}`;
    const before = last.get(key);
    last.set(key, at);
    if (at.y + CARD_HEIGHT < from && (before === undefined || before.y > to)) continue;
    if ((before ?? at.parent ?? at).y > to) continue;
    const outline = found.get(group) ?? { group, hue: hueOf(group), boxes: '', bonds: '' };
    found.set(group, outline);
    if (touching !== undefined) outline.boxes += between(touching, at);
    else if (before !== undefined && at.y - before.y < 1.5 * ROW) outline.boxes += between(before, at);
    else outline.bonds += bond(at, before, indented);
    outline.boxes += `M${n(at.x)} ${n(at.y)}h${n(at.width)}v${CARD_HEIGHT}h${n(-at.width)}z`;
  }
  return [...found.values()];
}

/** Neighbours share one box, as wide as both. */
function between(before: Placed, at: Placed): string {
  const x = Math.max(before.x, at.x);
  const width = Math.min(before.x + before.width, at.x + at.width) - x;
  return `M${n(x)} ${n(before.y)}h${n(width)}V${n(at.y + CARD_HEIGHT)}h${n(-width)}z`;
}
