/**
 * The events that lead from one state to another, in the order a kernel would make them happen: drivers let go,
 * devices and groups go, groups and devices come, drivers bind, and then who owns what.
 */

import { compareAddresses } from '../pci/address.ts';
import type { WatchEvent } from './events.ts';
import { owners, type WatchDevice, type WatchState } from './state.ts';

type Of<Kind extends WatchEvent['event']> = Extract<WatchEvent, { event: Kind }>;

export function compareStates(before: WatchState, after: WatchState): WatchEvent[] {
  const unbind: Of<'unbind'>[] = [];
  const remove: Of<'remove'>[] = [];
  const add: Of<'add'>[] = [];
  const move: Of<'move'>[] = [];
  const bind: Of<'bind'>[] = [];
  for (const [device, old] of inOrder(before.devices)) {
    const now = after.devices.get(device);
    if (now === undefined || isOther(old, now)) {
      // A driver lets go before its device does.
      if (old.driver !== null) unbind.push({ event: 'unbind', device, driver: old.driver, group: old.group });
      remove.push({ event: 'remove', device, ...old, driver: null });
    } else if (old.driver !== null && old.driver !== now.driver) {
      unbind.push({ event: 'unbind', device, driver: old.driver, group: old.group });
    }
  }
  for (const [device, now] of inOrder(after.devices)) {
    const old = before.devices.get(device);
    const fresh = old === undefined || isOther(old, now);
    if (fresh) add.push({ event: 'add', device, ...now, driver: null });
    else if (old.group !== now.group)
      move.push({ event: 'move', device, before: old.group, after: now.group });
    if (now.driver !== null && (fresh || old.driver !== now.driver))
      bind.push({ event: 'bind', device, driver: now.driver, group: now.group });
  }
  return [
    ...unbind,
    ...remove,
    ...groupsThatCame(before, after),
    ...add,
    ...move,
    ...groupsThatWent(before, after),
    ...bind,
    ...typeChanges(before, after),
    ...ownerChanges(before, after),
  ];
}

/** Another device at the same address: what was there went. */
function isOther(old: WatchDevice, now: WatchDevice): boolean {
  return old.ids !== now.ids || old.bus !== now.bus;
}

function groupsThatCame(before: WatchState, after: WatchState): WatchEvent[] {
  return numbers(after.groups)
    .filter((group) => !before.groups.has(group))
    .map((group) => ({ event: 'group-add', group, type: after.groups.get(group)! }));
}

function groupsThatWent(before: WatchState, after: WatchState): WatchEvent[] {
  return numbers(before.groups)
    .filter((group) => !after.groups.has(group))
    .map((group) => ({ event: 'group-remove', group }));
}

function typeChanges(before: WatchState, after: WatchState): WatchEvent[] {
  return numbers(after.groups).flatMap((group): WatchEvent[] => {
    const [old, now] = [before.groups.get(group), after.groups.get(group)!];
    return old === undefined || old === now ? [] : [{ event: 'group-type', group, before: old, after: now }];
  });
}

/** To vfio and back. Between the host's drivers and nobody, binding has said it already. */
function ownerChanges(before: WatchState, after: WatchState): WatchEvent[] {
  const [old, now] = [owners(before), owners(after)];
  return numbers(after.groups)
    .filter((group) => (old.get(group) === 'vfio') !== (now.get(group) === 'vfio'))
    .map((group) => ({
      event: 'owner',
      group,
      before: old.get(group) ?? null,
      after: now.get(group) ?? null,
    }));
}

function inOrder(devices: ReadonlyMap<string, WatchDevice>): [string, WatchDevice][] {
  return [...devices].sort(([a], [b]) => compareAddresses(a, b));
}

function numbers(groups: ReadonlyMap<number, unknown>): number[] {
  return [...groups.keys()].sort((a, b) => a - b);
}
