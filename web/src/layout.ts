/** Where everything stands in the picture, in em of its text, so that zoom is one number. */

import { type HierarchyNode, hierarchy } from 'd3-hierarchy';
import type { ExploreNode } from '../../src/advise/report.ts';

export const CARD_HEIGHT = 3;
export const ROW = 4.3;
/** Text columns beside each other on a wide screen; on a narrow one each level is a little to the right. */
const COLUMN = 24;
const WIDE_CARD = 20;
/** Nothing stands to the right of what has nothing below it. */
const LEAF_CARD = 30;
const BUS_CARD = 7;
const INDENT = 1.6;
const MARGIN = 1.2;

export interface Placed {
  node: ExploreNode;
  parent: Placed | undefined;
  /** Those drawn. */
  children: Placed[];
  /** How many are below it, drawn or not. */
  below: number;
  collapsed: boolean;
  depth: number;
  /** Place among its siblings, from 1. */
  position: number;
  siblings: number;
  x: number;
  y: number;
  width: number;
}

export interface Layout {
  /** In the order of the tree, which is that of rising rows. */
  placed: Placed[];
  byName: ReadonlyMap<string, Placed>;
  width: number;
  height: number;
  indented: boolean;
}

export interface LayoutOptions {
  collapsed: ReadonlySet<string>;
  /** Width of the picture's place in em, where it is narrow: then levels are indented. */
  narrow?: number;
}

/** The first column has root buses, of which there is little to say. */
const columnX = (depth: number): number =>
  depth === 0 ? 0 : BUS_CARD + COLUMN - WIDE_CARD + (depth - 1) * COLUMN;

/** The tree from left to right: a row a leaf, and a parent beside its first child. Narrow: a row a device. */
export function layOut(roots: readonly ExploreNode[], { collapsed, narrow }: LayoutOptions): Layout {
  const indented = narrow !== undefined;
  const top = hierarchy<ExploreNode>({ name: '', kind: 'bus', title: '', children: [...roots] });
  const below = countBelow(top);
  const placed: Placed[] = [];
  const byName = new Map<string, Placed>();
  let row = 0;
  let width = 0;
  const visit = (at: HierarchyNode<ExploreNode>, parent: Placed | undefined, position: number): Placed => {
    const depth = at.depth - 1;
    const children = at.children ?? [];
    const hidden = children.length > 0 && collapsed.has(at.data.name);
    const x = MARGIN + (indented ? depth * INDENT : columnX(depth));
    const cardWidth = indented
      ? Math.max(12, narrow - x - MARGIN)
      : at.data.kind === 'bus'
        ? BUS_CARD
        : children.length === 0
          ? LEAF_CARD
          : WIDE_CARD;
    const made: Placed = {
      node: at.data,
      parent,
      children: [],
      below: below.get(at) ?? 0,
      collapsed: hidden,
      depth,
      position,
      siblings: at.parent?.children?.length ?? 1,
      x,
      y: MARGIN + row * ROW,
      width: cardWidth,
    };
    placed.push(made);
    byName.set(at.data.name, made);
    width = Math.max(width, x + cardWidth + MARGIN);
    if (indented) row++;
    if (hidden || children.length === 0) {
      if (!indented) row++;
    } else {
      made.children = children.map((child, index) => visit(child, made, index + 1));
    }
    return made;
  };
  (top.children ?? []).forEach((root, index) => {
    visit(root, undefined, index + 1);
  });
  return { placed, byName, width, height: MARGIN + row * ROW, indented };
}

function countBelow(top: HierarchyNode<ExploreNode>): Map<HierarchyNode<ExploreNode>, number> {
  const found = new Map<HierarchyNode<ExploreNode>, number>();
  top.eachAfter((at) => {
    found.set(
      at,
      (at.children ?? []).reduce((sum, child) => sum + 1 + (found.get(child) ?? 0), 0),
    );
  });
  return found;
}

/** Devices from one up to its root bus. */
export function pathUp(from: Placed | undefined): Placed[] {
  const path: Placed[] = [];
  for (let at = from; at !== undefined; at = at.parent) path.push(at);
  return path;
}

/** The line between a device and its parent. */
export function branch(child: Placed, indented: boolean): string {
  const parent = child.parent;
  if (parent === undefined) return '';
  const y = child.y + CARD_HEIGHT / 2;
  if (indented) {
    const x = parent.x + INDENT / 2;
    return `M${n(x)} ${n(parent.y + CARD_HEIGHT)}V${n(y)}H${n(child.x)}`;
  }
  const from = parent.x + parent.width;
  const start = parent.y + CARD_HEIGHT / 2;
  if (y === start) return `M${n(from)} ${n(y)}H${n(child.x)}`;
  const turn = child.x - (COLUMN - WIDE_CARD) / 2;
  return `M${n(from)} ${n(start)}H${n(turn)}V${n(y)}H${n(child.x)}`;
}

/** What keeps one group together: the line to a parent in it, else one to the sibling before it. */
export function bond(child: Placed, before: Placed | undefined, indented: boolean): string {
  const parent = child.parent;
  if (parent !== undefined && parent.node.group === child.node.group) return branch(child, indented);
  if (before === undefined) return '';
  const x = child.x + (indented ? INDENT / 2 : 1);
  return `M${n(x)} ${n(before.y + CARD_HEIGHT / 2)}V${n(child.y + CARD_HEIGHT / 2)}`;
}

export const n = (value: number): string => String(Math.round(value * 100) / 100);
