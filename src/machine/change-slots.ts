/** What sits where, changed: cards moved, added and taken out, virtual functions counted anew. */

import { factsOf } from '../host/facts.ts';
import type { PciFacts, Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { devfn, formatAddress, functionOf, parseAddress, slotOf } from '../pci/address.ts';
import { PcieType } from '../pci/facts.ts';
import { numberBuses } from './bus-numbers.ts';
import { type CardFunction, cardOf } from './cards.ts';
import type { MachineChange } from './change.ts';
import { below, isPort, SlotTree, type TreeBus, type TreeFunction } from './slot-tree.ts';
import { setVirtualFunctions } from './virtual-count.ts';
import { writeTree } from './write-tree.ts';

export type SlotChange = Extract<MachineChange, { change: 'move' | 'add' | 'remove' | 'vfs' }>;

export interface ChangedSlots {
  snapshot: Snapshot;
  now: Map<string, string>;
  added: string[];
}

/**
 * @param changes moves may swap cards: all that are moved or taken out leave their slots first
 * @throws InputError for a change that cannot be made
 */
export function changeSlots(snapshot: Snapshot, changes: readonly SlotChange[]): ChangedSlots {
  const known = new Set(snapshot.devices.map(({ address }) => address));
  const first = changes.filter(
    (change) => change.change === 'move' || (change.change === 'remove' && known.has(full(change.card))),
  );
  const rest = changes.filter((change) => !first.includes(change));
  let state: ChangedSlots = {
    snapshot,
    now: new Map([...known].map((name) => [name, name])),
    added: [],
  };
  if (first.length > 0) state = step(state, (tree) => takeAndPlace(tree, first, state.now));
  for (const change of rest) state = step(state, (tree) => one(tree, change, state));
  return state;
}

/** Does something to the tree of the machine so far, and numbers and names everything anew. */
function step(state: ChangedSlots, act: (tree: SlotTree) => void): ChangedSlots {
  const tree = new SlotTree(state.snapshot);
  act(tree);
  numberBuses(tree.roots);
  const { snapshot, now, above } = writeTree(state.snapshot, tree);
  const kept = state.added.flatMap((name) => now.get(name) ?? []);
  const composed = new Map<string, string>();
  for (const [name, at] of state.now) {
    const after = now.get(at);
    if (after !== undefined) composed.set(name, after);
  }
  return {
    snapshot: withTranslation(snapshot, above),
    now: composed,
    added: [...kept, ...above.keys()],
  };
}

function takeAndPlace(
  tree: SlotTree,
  changes: readonly SlotChange[],
  now: ReadonlyMap<string, string>,
): void {
  const moved: { functions: TreeFunction[]; from: TreeBus; to: string; card: string }[] = [];
  for (const change of changes) {
    if (change.change !== 'move' && change.change !== 'remove') continue;
    const { one, bus } = find(tree, change.card, now);
    const functions = tree.card(one, bus);
    if (change.change === 'move') {
      refuseFixed(one, bus, change.card);
      moved.push({ functions, from: bus, to: change.to, card: change.card });
    }
    tree.take(functions, bus);
  }
  for (const { functions, from, to, card } of moved) {
    const port = find(tree, to, now);
    if (port.one.behind !== from)
      for (const one of below(functions)) if (one.behind !== undefined) delete one.behind.old;
    place(tree, functions, port.one, to, card);
  }
}

function one(tree: SlotTree, change: SlotChange, { now }: ChangedSlots): void {
  switch (change.change) {
    case 'add': {
      const port = find(tree, change.to, now);
      const functions = parseAddress(change.what)
        ? secondOf(tree, change.what, now)
        : cardOf(change.what).map((made) => grow(made, port.bus.domain));
      place(tree, functions, port.one, change.to, change.what);
      return;
    }
    case 'vfs': {
      const { one } = find(tree, change.device, now);
      setVirtualFunctions(one, change.device, change.count);
      return;
    }
    default: {
      const { one, bus } = find(tree, change.card, now);
      tree.take(tree.card(one, bus), bus);
    }
  }
}

/** @throws InputError for a name that is no physical function, or not there any more */
function find(
  tree: SlotTree,
  name: string,
  now: ReadonlyMap<string, string>,
): { one: TreeFunction; bus: TreeBus } {
  const address = now.get(full(name)) ?? full(name);
  const found = tree.find(address);
  if (found !== undefined) return found;
  const physical = tree.physicalOf(address);
  throw new InputError(
    name,
    physical === undefined
      ? 'is no PCI function of this machine, or another change takes it out'
      : `is a virtual function of ${physical}: change their number there (vfs)`,
  );
}

function full(name: string): string {
  const parsed = parseAddress(name);
  return parsed === undefined ? name : formatAddress(parsed);
}

/** What cannot be pulled out. */
function refuseFixed(one: TreeFunction, bus: TreeBus, name: string): void {
  if (isPort(one)) throw new InputError(name, 'is a port, not a card: name what is in its slot');
  const builtIn =
    one.type === PcieType.IntegratedEndpoint || one.type === PcieType.EventCollector || one.type === null;
  if (bus.self === undefined && builtIn)
    throw new InputError(name, 'is part of the root complex or chipset and cannot be moved');
}

/** @throws InputError where the port is none, its slot is occupied, or the card is of another kind */
function place(
  tree: SlotTree,
  functions: TreeFunction[],
  port: TreeFunction,
  to: string,
  card: string,
): void {
  const bus = port.behind;
  if (bus === undefined) throw new InputError(to, 'is no port: nothing can be plugged in below it');
  const type = port.type;
  if (type === PcieType.Upstream)
    throw new InputError(to, 'is the upper end of a switch: name one of the ports below it');
  const conventional = type === null || type === PcieType.PciBridge;
  const express = functions.every((one) => one.type !== null);
  if (conventional && express && functions.every((one) => one.type !== undefined))
    throw new InputError(card, `is a PCI Express card, and ${to} leads to conventional PCI`);
  if (isPort(port) && functions.some((one) => one.type === null))
    throw new InputError(card, `is conventional PCI, and ${to} is a PCI Express port`);
  const [occupant] = bus.functions;
  if (!conventional && occupant !== undefined) {
    const name = occupant.was ?? 'what was added';
    throw new InputError(to, `has a card already (${name}); move or remove that as well`);
  }
  const free = freeSlots(bus);
  const slots = new Set(functions.map((one) => slotOf(one.devfn)));
  const target = new Map<number, number>();
  for (const slot of slots) {
    const next = conventional ? free.shift() : slots.size === 1 ? 0 : slot;
    if (next === undefined) throw new InputError(to, 'has no slot left');
    target.set(slot, next);
  }
  for (const one of functions) {
    one.devfn = devfn(target.get(slotOf(one.devfn))!, functionOf(one.devfn));
    for (const each of below([one])) {
      adopt(each, port);
      if (each.behind !== undefined) each.behind.domain = bus.domain;
    }
  }
  tree.put(functions, bus);
}

/** Device numbers of a conventional bus; boards have none at 0. */
function freeSlots(bus: TreeBus): number[] {
  const taken = new Set(bus.functions.map((one) => slotOf(one.devfn)));
  return Array.from({ length: 31 }, (_, at) => at + 1).filter((slot) => !taken.has(slot));
}

/**
 * Whatever translates the port translates what is below it, except what nothing translated before: its driver may
 * have to come first. What was recorded of a reset held for the old place.
 */
function adopt(one: TreeFunction, port: TreeFunction): void {
  const above = port.facts.iommu;
  const moved = ({ resetMethods: _, ...facts }: PciFacts): PciFacts =>
    above === undefined || facts.iommu === null ? facts : { ...facts, iommu: above };
  one.facts = moved(one.facts);
  one.virtual = one.virtual.map((vf) => ({ ...vf, facts: moved(vf.facts) }));
}

/** A card that nobody recorded. */
function grow({ facts, devfn, below = [] }: CardFunction, domain: number): TreeFunction {
  const read = factsOf(facts);
  const made: TreeFunction = {
    facts,
    read,
    type: read.pcie === null ? null : read.pcie?.type,
    devfn,
    virtual: [],
  };
  if (read.bridge) {
    const functions = below.map((other) => grow(other, domain));
    made.behind = { domain, number: 0, last: 0, reserved: 0, self: made, functions, loose: [] };
  }
  return made;
}

/** The same card once more, with everything below it, as it comes out of the box. */
function secondOf(tree: SlotTree, name: string, now: ReadonlyMap<string, string>): TreeFunction[] {
  const { one, bus } = find(tree, name, now);
  refuseFixed(one, bus, name);
  return tree.card(one, bus).map(copy);
}

function copy({ facts, read, type, devfn, behind }: TreeFunction): TreeFunction {
  const { vfioDevice: _, driverOverride: __, bootVga: ___, ...rest } = facts;
  const made: TreeFunction = { facts: { ...rest, driver: null }, read, type, devfn, virtual: [] };
  if (read.sriov?.enabled) setVirtualFunctions(made, facts.address, 0);
  if (behind !== undefined) {
    const { domain, reserved } = behind;
    const functions = behind.functions.map(copy);
    made.behind = { domain, number: 0, last: 0, reserved, self: made, functions, loose: [] };
  }
  return made;
}

/**
 * Where only groups tell what is translated, what is new is so if the port above it is: it stands in the same
 * recorded group, which says no more than that.
 */
function withTranslation(snapshot: Snapshot, above: ReadonlyMap<string, string>): Snapshot {
  const { groups } = snapshot;
  if (groups === undefined || above.size === 0) return snapshot;
  const top = (name: string): string => {
    const next = above.get(name);
    return next === undefined ? name : top(next);
  };
  const added = [...above.keys()];
  return {
    ...snapshot,
    groups: groups.map((group) => ({
      ...group,
      devices: [...group.devices, ...added.filter((name) => group.devices.includes(top(name)))],
    })),
  };
}
