/** Takes the room that is needed and little more: all areas into new leaves, and the branches built anew. */

import { Branches, FAN } from './branches.ts';
import { LEAF, Leaves, NONE } from './leaves.ts';

/** Areas of a leaf and children of a branch: nearly full, with room for some more. */
const PACKED = LEAF - 4;
const PACKED_FAN = FAN - 8;

export interface Packed<V> {
  leaves: Leaves<V>;
  branches: Branches;
  root: number;
  height: number;
}

/**
 * @param first the leaf with the lowest areas
 * @param size number of areas
 */
export function pack<V>(old: Leaves<V>, first: number, size: number): Packed<V> {
  const leaves = new Leaves<V>(Math.ceil(size / PACKED) + 1);
  if (old.fine) leaves.refine();
  let leaf = leaves.alloc(NONE);
  for (let from = first; from !== NONE; from = old.next[from]!) {
    const end = old.first(from) + old.counts[from]!;
    for (let slot = old.first(from); slot < end; slot++) {
      if (leaves.counts[leaf] === PACKED) leaf = leaves.alloc(leaf);
      leaves.append(leaf, old, slot);
    }
  }
  return branchOut(leaves);
}

/** Branches for leaves that are numbered in order from 0 on. */
function branchOut<V>(leaves: Leaves<V>): Packed<V> {
  const branches = new Branches(0);
  let children = { first: 0, count: leaves.live };
  let height = 0;
  // Leaves under each child.
  let span = 1;
  while (children.count > 1) {
    const parents = { first: NONE as number, count: 0 };
    let parent: number = NONE;
    for (let n = 0; n < children.count; n++) {
      if (n % PACKED_FAN === 0) {
        parent = branches.alloc();
        if (parents.count++ === 0) parents.first = parent;
      }
      const slot = leaves.first(n * span);
      const child = children.first + n;
      const widest = height === 0 ? leaves.widest(child) : branches.widestOf(child);
      branches.append(parent, child, leaves.starts[slot]!, leaves.startResidue(slot), widest);
    }
    children = parents;
    height++;
    span *= PACKED_FAN;
  }
  return { leaves, branches, root: children.first, height };
}
