/** Two groupings of the same devices side by side: where they part. */

import type { Snapshot } from '../host/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { sortNames } from './describe.ts';
import type { Difference } from './report.ts';

/** Groups by member, as both sides are compared: device name to group number. */
export type Partition = ReadonlyMap<string, number>;

export function kernelPartition(snapshot: Snapshot): Partition {
  return new Map(
    (snapshot.groups ?? []).flatMap((group) => group.devices.map((name) => [name, group.id] as const)),
  );
}

export function modelPartition(machine: Machine): Partition {
  return new Map(machine.groups().flatMap((group) => group.devices.map((name) => [name, group.id] as const)));
}

export type RawDifference = Pick<Difference, 'kernel' | 'rules' | 'kind'>;

/**
 * Where two partitions of the same devices part: the connected pieces of overlapping groups that are not the
 * same group on both sides. Group numbers do not count.
 */
export function comparePartitions(kernel: Partition, rules: Partition, names: string[]): RawDifference[] {
  const sides = [index(kernel), index(rules)] as const;
  const seen = new Set<string>();
  const found: RawDifference[] = [];
  for (const start of sortNames(new Set([...names, ...kernel.keys(), ...rules.keys()]))) {
    if (seen.has(start)) continue;
    const piece = connected(start, [kernel, rules], sides);
    for (const name of piece) seen.add(name);
    const difference = describePiece(piece, kernel, rules);
    if (difference !== undefined) found.push(difference);
  }
  return found;
}

function index(partition: Partition): Map<number, string[]> {
  const members = new Map<number, string[]>();
  for (const [name, id] of partition) {
    const list = members.get(id);
    if (list === undefined) members.set(id, [name]);
    else list.push(name);
  }
  return members;
}

function connected(
  start: string,
  partitions: readonly [Partition, Partition],
  sides: readonly [Map<number, string[]>, Map<number, string[]>],
): string[] {
  const piece = new Set([start]);
  const done: [Set<number>, Set<number>] = [new Set(), new Set()];
  for (const name of piece) {
    for (const side of [0, 1] as const) {
      const id = partitions[side].get(name);
      if (id === undefined || done[side].has(id)) continue;
      done[side].add(id);
      for (const member of sides[side].get(id) ?? []) piece.add(member);
    }
  }
  return [...piece];
}

function describePiece(piece: string[], kernel: Partition, rules: Partition): RawDifference | undefined {
  const left = gather(piece, kernel);
  const right = gather(piece, rules);
  const [ungroupedLeft, ungroupedRight] = [left, right].map((side) =>
    side.some((group) => group.id === null),
  );
  if (left.length === 1 && right.length === 1 && ungroupedLeft === ungroupedRight) return undefined;
  const groups = (side: Difference['kernel']): number => side.filter((group) => group.id !== null).length;
  let kind: Difference['kind'] = 'mixed';
  if (ungroupedLeft && !ungroupedRight && groups(left) <= groups(right)) kind = 'kernel leaves out';
  else if (ungroupedRight && !ungroupedLeft) kind = 'kernel adds';
  else if (groups(right) === 1 && groups(left) > 1) kind = 'kernel splits';
  else if (groups(left) === 1 && groups(right) > 1) kind = 'kernel merges';
  return { kernel: left, rules: right, kind };
}

function gather(piece: string[], partition: Partition): Difference['kernel'] {
  const groups = new Map<number | null, string[]>();
  for (const name of sortNames(piece)) {
    const id = partition.get(name) ?? null;
    const list = groups.get(id);
    if (list === undefined) groups.set(id, [name]);
    else list.push(name);
  }
  return [...groups].map(([id, devices]) => ({ id, devices }));
}
