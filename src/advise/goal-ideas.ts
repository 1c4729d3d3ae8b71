/** What might give a device a group of its own: single changes, each to be tried on the model. */

import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';
import type { PciDevice } from '../pci/device.ts';
import { PcieType } from '../pci/facts.ts';
import {
  ACS_PARAMETERS,
  blockersOf,
  freeRootPorts,
  hiddenByFirmware,
  OVERRIDES,
  switchedOff,
  switchOn,
} from './blockers.ts';

/** One thing to do: changes that are made in one go count as one. */
export type Idea = readonly MachineChange[];

/** Cards that are looked at besides the device's own. */
const MOST_CARDS = 6;

/** Ideas that isolate, in the order of how easy they are. */
export function honestIdeas(machine: Machine, name: string): Idea[] {
  const blockers = blockersOf(machine, name);
  return [
    ...droppable(machine),
    ...eachAndAll(switchedOff(blockers).map(switchOn)),
    ...eachAndAll(
      hiddenByFirmware(machine, blockers).map(({ device }) => ({ change: 'firmware-acs', device })),
    ),
    ...moves(machine, name),
  ];
}

/** Ideas that change what the kernel believes, or which kernel it is. */
export function otherIdeas(machine: Machine): Idea[] {
  const policies = ['acs-2025'].filter((policy) => policy !== machine.policy);
  return [
    ...policies.map((policy): Idea => [{ change: 'policy', name: policy }]),
    ...OVERRIDES.map((words): Idea => [{ change: 'acs-override', words }]),
  ];
}

function droppable({ snapshot }: Machine): Idea[] {
  const cmdline = snapshot.kernel.cmdline ?? '';
  const present = ACS_PARAMETERS.filter((name) => cmdline.includes(`${name}=`));
  return eachAndAll(present.map((name) => ({ change: 'drop-parameter', name })));
}

function eachAndAll(changes: readonly MachineChange[]): Idea[] {
  const each = changes.map((change): Idea => [change]);
  return changes.length > 1 ? [...each, changes] : each;
}

/** The device's card elsewhere, or the others elsewhere, or out. */
function moves(machine: Machine, name: string): Idea[] {
  const device = machine.pci.find(name);
  if (device === undefined) return [];
  const own = new Set([cardOf(device), outermost(device)]);
  const others = new Set<PciDevice>();
  for (const member of machine.groupOf(name)?.devices ?? []) {
    const other = machine.pci.find(member);
    const card = other && cardOf(other);
    if (card !== undefined && !own.has(card) && !leadsTo(card, device)) others.add(card);
  }
  const ports = freeRootPorts(machine);
  const cards = [...others].slice(0, MOST_CARDS);
  const to = (card: PciDevice | undefined): Idea[] =>
    card === undefined ? [] : ports.map((port): Idea => [{ change: 'move', card: card.name, to: port }]);
  return [
    ...[...own].flatMap(to),
    ...cards.flatMap(to),
    ...eachAndAll(cards.map((card) => ({ change: 'remove', card: card.name }))),
  ];
}

/** The first function of what sits in the nearest slot; absent for what is built in. */
function cardOf(device: PciDevice): PciDevice | undefined {
  for (let at = device.physfn ?? device; ; ) {
    const above = at.upstreamBridge;
    if (above === undefined) return undefined;
    if (above.pcieType === PcieType.RootPort || above.pcieType === PcieType.Downstream)
      return above.subordinate?.devices[0];
    at = above;
  }
}

/** The same of the slot of the board, where cards have slots of their own. */
function outermost(device: PciDevice): PciDevice | undefined {
  let card = cardOf(device);
  for (let next = card; next !== undefined; ) {
    next = next.upstreamBridge && cardOf(next.upstreamBridge);
    card = next ?? card;
  }
  return card;
}

function leadsTo(card: PciDevice, device: PciDevice): boolean {
  for (let at = device.upstreamBridge; at !== undefined; at = at.upstreamBridge)
    if (at.pciBus === card.pciBus) return true;
  return false;
}
