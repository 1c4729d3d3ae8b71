/**
 * Bus numbers for a tree that was changed, as firmware and the kernel give them: a bridge's buses follow its own, in
 * one range. Whatever need not change its number keeps it.
 */

import { InputError } from '../kernel/errors.ts';
import { formatBus } from '../pci/address.ts';
import type { TreeBus } from './slot-tree.ts';

interface Way {
  /** Buses keep their numbers where nothing is in the way. */
  keep: boolean;
  /** Bridges keep what was set aside for them. */
  reserve: boolean;
}

/** Most like today first. */
const WAYS: readonly Way[] = [
  { keep: true, reserve: true },
  { keep: true, reserve: false },
  { keep: false, reserve: false },
];
const LAST_BUS = 0xff;

/**
 * Numbers every bus below the root buses, which keep theirs.
 * @throws InputError when a root bus has too many below it
 */
export function numberBuses(roots: readonly TreeBus[]): void {
  for (const root of roots) {
    const above = roots
      .filter((other) => other.domain === root.domain && other.number > root.number)
      .map((other) => other.number);
    const limit = Math.min(LAST_BUS, ...above.map((number) => number - 1));
    if (!WAYS.some((way) => number(root, root.number, way) <= limit)) {
      throw new InputError(
        formatBus(root.domain, root.number),
        `has ${limit - root.number} bus numbers below it, which are not enough for that`,
      );
    }
  }
}

/** @returns the last number at or below the bus */
function number(bus: TreeBus, at: number, way: Way): number {
  bus.number = at;
  let last = at + virtualBuses(bus);
  const bridges = bus.functions.flatMap(({ behind }) => behind ?? []);
  bridges.sort((a, b) => (a.old ?? Infinity) - (b.old ?? Infinity));
  for (const behind of bridges) {
    const next = last + 1;
    last = number(behind, way.keep ? Math.max(behind.old ?? next, next) : next, way);
  }
  if (way.reserve) last = Math.max(last, at + bus.reserved);
  bus.last = last;
  return last;
}

/** How many buses further on the requester ids of its virtual functions reach. */
function virtualBuses(bus: TreeBus): number {
  let most = 0;
  for (const { bus: distance } of bus.loose) most = Math.max(most, distance);
  for (const { devfn, virtual } of bus.functions) {
    for (const { distance } of virtual) most = Math.max(most, (devfn + distance) >> 8);
  }
  return most;
}
