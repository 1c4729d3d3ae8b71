/** How a machine differs from what a plan assumes. */

import { shownHeld } from '../advise/plan-steps.ts';
import type { PlanDevice, PlanGroup, PlanReport } from '../advise/report.ts';
import { isOther } from './return.ts';
import type { HandoverTree } from './tree.ts';

/** One line for each difference; empty: the plan can be carried out as it stands. */
export function differences(tree: HandoverTree, plan: PlanReport): string[] {
  const moving = new Set(plan.devices.map(({ address }) => address));
  return [
    ...driverMissing(tree, plan),
    ...plan.devices.flatMap((device) => deviceDifferences(tree, device)),
    ...(plan.source === 'kernel'
      ? plan.groups.flatMap((group) => memberDifferences(tree, group, moving))
      : []),
    ...bystanders(plan, moving).flatMap(([device, driver]) => driverDifference(tree, device, driver)),
  ];
}

/** A rehearsal takes the module as loaded; the plan says how to load it. */
function driverMissing(tree: HandoverTree, { driver, steps }: PlanReport): string[] {
  if (tree.rehearsal || steps.length === 0 || tree.hasDriver(driver)) return [];
  return [`the driver ${driver} is not loaded; run: modprobe ${driver}`];
}

function deviceDifferences(tree: HandoverTree, { address, before, ...assumed }: PlanDevice): string[] {
  const held = tree.held(address);
  if (held === undefined) return [`${address} is gone`];
  const { role: _, ...identity } = assumed;
  const now = tree.identity(address);
  if (isOther(identity, now)) {
    const ids = (id: typeof now) => `${id.vendor ?? '?'}:${id.device ?? '?'} at ${id.path ?? '?'}`;
    return [`${address} is ${ids(now)}, the plan is for ${ids(identity)}`];
  }
  const then = {
    driver: before.driver ?? null,
    override: before.override === undefined ? held.override : before.override,
  };
  if (held.driver === then.driver && (held.override ?? null) === (then.override ?? null)) return [];
  return [`${address} has ${shownHeld(held)}, the plan assumes ${shownHeld(then)}`];
}

function memberDifferences(tree: HandoverTree, group: PlanGroup, moving: ReadonlySet<string>): string[] {
  const names = group.members.map(({ device }) => device);
  const probe = names.find((name) => moving.has(name)) ?? names[0];
  const now = probe === undefined ? undefined : tree.group(probe);
  if (now === undefined) return [];
  if (now === null) return [`${probe} is in no group, the plan assumes group ${group.id}`];
  const present = now.members.map(({ device }) => device);
  return [
    ...present
      .filter((name) => !names.includes(name))
      .map((name) => `${name} is in group ${now.id} too, which the plan does not know`),
    ...names
      .filter((name) => !present.includes(name))
      .map((name) => `${name} is not in group ${now.id} any more`),
  ];
}

/** Devices that stay, on whose drivers the plan rests. */
function bystanders(plan: PlanReport, moving: ReadonlySet<string>): [string, string | null][] {
  const known = [...plan.groups.flatMap(({ members }) => members), ...plan.left];
  const drivers = new Map(known.map(({ device, driver }) => [device, driver]));
  return [...drivers].flatMap(([device, driver]): [string, string | null][] =>
    moving.has(device) || driver === undefined ? [] : [[device, driver]],
  );
}

function driverDifference(tree: HandoverTree, device: string, assumed: string | null): string[] {
  const held = tree.held(device);
  if (held === undefined || held.driver === assumed) return [];
  return [`${device} has ${held.driver ?? 'no driver'}, the plan assumes ${assumed ?? 'no driver'}`];
}
