/** Who goes along when a device is handed over: the members of its group, and what becomes of each. */

import { hasGroups } from '../host/formed.ts';
import { managesDma } from '../machine/drivers.ts';
import type { Machine } from '../machine/machine.ts';
import { isBridge } from './check-functions.ts';
import { type Describer, sortNames } from './describe.ts';
import type { PlanGroup, PlanReport } from './report.ts';

/** `take`: goes to the driver. `ask`: would have to, if its owner agrees. `leave`: stays, for `why`. */
export type Fate =
  | { device: string; what: 'take' }
  | { device: string; what: 'ask' }
  | { device: string; what: 'leave'; why: string };

/** Whether the groups of plans are those that the kernel formed. */
export function groupSource({ snapshot }: Describer): PlanReport['source'] {
  return hasGroups(snapshot) ? 'kernel' : 'predicted';
}

/** The groups of some devices: as the kernel formed them where it did, else as the rules would. */
export function groupsOf(describer: Describer, machine: Machine, names: readonly string[]): PlanGroup[] {
  const formed = describer.snapshot.groups ?? [];
  const groups = new Map<number, PlanGroup>();
  for (const name of names) {
    const group =
      formed.length > 0 ? formed.find((other) => other.devices.includes(name)) : machine.groupOf(name);
    if (group === undefined || groups.has(group.id)) continue;
    const members = sortNames(group.devices).map((device) => {
      const { driver } = describer.line(device);
      return { device, ...(driver !== undefined && { driver }) };
    });
    groups.set(group.id, { id: group.id, members });
  }
  return [...groups.values()].sort((a, b) => a.id - b.id);
}

/** What becomes of a member that was not named. */
export function fateOfSibling(describer: Describer, device: string, driver: string): Fate {
  const facts = describer.facts(device);
  const leave = (why: string): Fate => ({ device, what: 'leave', why });
  if (facts === undefined) return leave('no PCI device; it has to be freed by hand if a driver uses it');
  const has = facts.driver;
  if (isBridge(facts)) return leave('a bridge; it stays with the host and is no obstacle');
  if (has === driver) return leave(`${driver} has it already`);
  if (has && managesDma(has)) return leave(`${has} does no DMA of its own; no obstacle`);
  if (has === null && facts.class !== undefined && facts.class >> 16 === 0x06) {
    return leave('no driver has it; no obstacle');
  }
  return { device, what: 'ask' };
}
