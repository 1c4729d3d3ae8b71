/** What must hold of an area tree after every operation, for tests. */

import { FAN } from './branches.ts';
import { FEW, LEAF, NONE } from './leaves.ts';
import type { AreaTree } from './tree.ts';

interface Subtree {
  first: bigint;
  last: bigint;
  areas: number;
  leaves: number[];
  widest: number;
}

/** @throws Error naming the first thing that does not hold */
export function checkTree(tree: AreaTree<unknown>): void {
  const { leaves, root, height } = tree;
  const whole = subtree(tree, root, height);
  hold(whole.areas === tree.size, `size says ${tree.size}, there are ${whole.areas}`);
  hold(whole.leaves.length === leaves.live, `${leaves.live} leaves live, ${whole.leaves.length} reachable`);
  let before: number = NONE;
  for (const leaf of whole.leaves) {
    hold(leaves.previous[leaf] === before, `leaf ${leaf} follows ${leaves.previous[leaf]}, not ${before}`);
    if (before !== NONE) hold(leaves.next[before] === leaf, `leaf ${before} is not followed by ${leaf}`);
    before = leaf;
  }
  hold(leaves.next[before] === NONE, `leaf ${before} is the last and has a next one`);
  const used = new Set<number>();
  for (const leaf of whole.leaves)
    for (let i = 0; i < leaves.counts[leaf]!; i++) used.add(leaves.first(leaf) + i);
  leaves.values.forEach((value, slot) => {
    hold((value !== undefined) === used.has(slot), `slot ${slot} keeps or lacks a value`);
  });
  hold(
    leaves.capacity < FEW * 4 || tree.size * 4 >= leaves.capacity * LEAF - LEAF,
    `room for too many areas is kept: ${tree.size} in ${leaves.live} of ${leaves.capacity}`,
  );
}

function subtree(tree: AreaTree<unknown>, node: number, level: number): Subtree {
  return level === 0 ? leafOf(tree, node) : branchOf(tree, node, level);
}

function leafOf(tree: AreaTree<unknown>, leaf: number): Subtree {
  const { leaves } = tree;
  const count = leaves.counts[leaf]!;
  hold(count > 0 || tree.size === 0, `leaf ${leaf} is empty`);
  const base = leaves.first(leaf);
  for (let slot = base; slot < base + count; slot++) {
    hold(tree.start(slot) < tree.end(slot), `slot ${slot} ends before it starts`);
    if (slot > base) hold(tree.end(slot - 1) <= tree.start(slot), `slots ${slot - 1} and ${slot} overlap`);
  }
  if (count === 0) return { first: 0n, last: 0n, areas: 0, leaves: [leaf], widest: 0 };
  const last = tree.end(base + count - 1);
  return { first: tree.start(base), last, areas: count, leaves: [leaf], widest: leaves.widest(leaf) };
}

function branchOf(tree: AreaTree<unknown>, node: number, level: number): Subtree {
  const { branches } = tree;
  const count = branches.counts[node]!;
  hold(count > (node === tree.root ? 1 : 0), `branch ${node} has ${count} children`);
  const children: Subtree[] = [];
  for (let slot = node * FAN; slot < node * FAN + count; slot++) {
    const child = subtree(tree, branches.children[slot]!, level - 1);
    const before = children.at(-1);
    if (before !== undefined) {
      const key = BigInt(branches.keys[slot]!) + BigInt(branches.residues[slot]!);
      hold(key <= child.first, `branch ${node}: an area below its key ${key}`);
      hold(before.last <= child.first, `branch ${node}: children overlap`);
      // An area may reach past the key of the next child, but not begin there.
      hold(tree.start(lastSlot(tree, before)) < key, `branch ${node}: an area above the next key ${key}`);
    }
    hold(branches.widest[slot] === child.widest, `branch ${node}: a gap of ${child.widest} kept as another`);
    children.push(child);
  }
  return {
    first: children[0]!.first,
    last: children.at(-1)!.last,
    areas: children.reduce((sum, child) => sum + child.areas, 0),
    leaves: children.flatMap((child) => child.leaves),
    widest: Math.max(...children.map((child) => child.widest)),
  };
}

function lastSlot(tree: AreaTree<unknown>, { leaves }: Subtree): number {
  const leaf = leaves.at(-1)!;
  return tree.leaves.first(leaf) + tree.leaves.counts[leaf]! - 1;
}

function hold(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`area tree: ${otherwise}`);
}
