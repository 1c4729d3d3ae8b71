/** Which devices an export is of: those named, the rest of their groups unless told otherwise, never a bridge. */

import type { PciFacts } from '../../host/snapshot.ts';
import { isVfioDriver, managesDma } from '../../machine/drivers.ts';
import type { Machine } from '../../machine/machine.ts';
import { usesOf, usesWords } from '../check-use.ts';
import { type Describer, sortNames } from '../describe.ts';
import { isBridge } from './bridge.ts';
import { oneLine } from './escape.ts';
import type { ExportDevice, ExportGroup, Problem } from './exporter.ts';
import { type FormedGroup, type FormedGroups, formedGroups } from './groups.ts';
import { deviceTitle } from './title.ts';

export interface Selection {
  devices: ExportDevice[];
  groups: ExportGroup[];
  source: FormedGroups['source'];
  notes: string[];
  problems: Problem[];
}

const PREDICTED =
  'which groups the kernel formed is not known; these are the devices that the rules keep together';

/**
 * @param names devices of the machine, by address or name
 * @param only leaves out members of the groups that were not named
 */
export function select(
  describer: Describer,
  machine: Machine,
  names: readonly string[],
  only: boolean,
): Selection {
  const formed = formedGroups(describer, machine);
  const selection: Selection = { devices: [], groups: [], source: formed.source, notes: [], problems: [] };
  const wanted = new Map<number, Set<string>>();
  for (const name of names) {
    const problem = refusal(describer, machine, formed, name);
    if (problem !== undefined) {
      selection.problems.push(problem);
      continue;
    }
    const group = formed.of(name)!;
    const chosen = wanted.get(group.id) ?? new Set();
    wanted.set(group.id, chosen.add(name));
    if (!only) for (const member of group.members) if (exportable(describer, member)) chosen.add(member);
  }
  for (const group of formed.groups) {
    const chosen = wanted.get(group.id);
    if (chosen !== undefined) take(selection, describer, group, sortNames(chosen));
  }
  sortByFirst(selection);
  const notes = [
    addedWords(selection, names),
    ...selection.devices.map(({ address, inUse }) => inUse && `the host uses ${address}: ${inUse}`),
    ...selection.groups.map((group) => leftWords(describer, group, formed.source)),
    formed.source === 'predicted' && selection.groups.length > 0 ? PREDICTED : undefined,
  ];
  selection.notes = notes.flatMap((note) => note ?? []).map(oneLine);
  return selection;
}

function refusal(
  describer: Describer,
  machine: Machine,
  formed: FormedGroups,
  name: string,
): Problem | undefined {
  const facts = describer.facts(name);
  if (facts === undefined)
    return { verdict: 'no', what: `${name} is no PCI device, and only those are exported` };
  if (isBridge(facts)) {
    return {
      verdict: 'no',
      what: `${name} is a bridge; bridges stay with the host, name the devices behind it`,
    };
  }
  if (formed.of(name) !== undefined) return undefined;
  const why = machine.noGroupReason(name);
  return {
    verdict: 'no',
    what: `${name} is in no group and cannot be handed over${why === undefined ? '' : `: ${why}`}`,
  };
}

function exportable(describer: Describer, member: string): boolean {
  const facts = describer.facts(member);
  return facts !== undefined && !isBridge(facts);
}

function take(selection: Selection, describer: Describer, group: FormedGroup, chosen: string[]): void {
  const exported: ExportGroup = { ...group, devices: [] };
  exported.devices = chosen.map((name) => device(describer, describer.facts(name)!, exported));
  selection.groups.push(exported);
  selection.devices.push(...exported.devices);
}

function device(describer: Describer, facts: PciFacts, group: ExportGroup): ExportDevice {
  const { address } = facts;
  const line = describer.line(address);
  // A vfio driver has it already: whatever the host did with it is over.
  const uses = line.driver && managesDma(line.driver) ? [] : usesOf(describer, address);
  return {
    address,
    facts,
    line,
    title: deviceTitle(describer, address),
    ...(uses.length > 0 && { inUse: oneLine(usesWords(uses)) }),
    group,
  };
}

function addedWords({ devices }: Selection, names: readonly string[]): string | undefined {
  const added = devices.map(({ address }) => address).filter((address) => !names.includes(address));
  return added.length === 0
    ? undefined
    : `with the rest of the group: ${added.join(', ')}; --only leaves that out`;
}

/** Members that stay behind and keep the group from being handed over. */
function leftWords(
  describer: Describer,
  { id, members, devices }: ExportGroup,
  source: FormedGroups['source'],
): string | undefined {
  const exported = new Set(devices.map(({ address }) => address));
  const busy = members.flatMap((member) => {
    const { driver } = describer.line(member);
    return exported.has(member) || !driver || managesDma(driver) || isVfioDriver(driver)
      ? []
      : [`${member} (${driver})`];
  });
  return busy.length === 0
    ? undefined
    : `${source === 'kernel' ? `group ${id}` : `the group of ${devices[0]!.address}`} cannot be handed over while drivers of the host hold other members: ${busy.join(', ')}`;
}

function sortByFirst(selection: Selection): void {
  const order = new Map(
    sortNames(selection.devices.map((one) => one.address)).map((name, index) => [name, index]),
  );
  const at = (one: ExportDevice): number => order.get(one.address)!;
  selection.devices.sort((a, b) => at(a) - at(b));
  selection.groups.sort((a, b) => at(a.devices[0]!) - at(b.devices[0]!));
}
