/** The PCI tree for pictures: what `list --tree` prints, as data. */

import type { AcsVerdict } from '../../pci/acs.ts';
import { formatBus } from '../../pci/address.ts';
import type { PciBus } from '../../pci/bus.ts';
import { acsBecause, acsMark } from '../acs-words.ts';
import { sortNames } from '../describe.ts';
import type { ExportInput } from './exporter.ts';
import { formedGroups } from './groups.ts';
import { deviceTitle } from './title.ts';

export interface TreeNode {
  /** Address or name; a root bus has `0000:00`. */
  name: string;
  kind: 'bus' | 'device';
  title: string;
  driver?: string;
  group?: number;
  /** On bridges: isolates, does not, not known. */
  mark?: '+' | '-' | '?';
  /** On bridges: what the mark rests on. */
  because?: string;
  /** `+` rests on a claim of the command line. */
  claimed?: true;
  children: TreeNode[];
}

/** Root buses with everything below, then members of groups that are no PCI functions. */
export function deviceTree({ describer, machine, names }: ExportInput): TreeNode[] {
  const formed = formedGroups(describer, machine);
  const shown = names === undefined ? undefined : withParents(names, (name) => machine.parentOf(name));

  const node = (name: string, children: TreeNode[], acs?: AcsVerdict): TreeNode => {
    const { driver } = describer.line(name);
    const group = formed.of(name)?.id;
    return {
      name,
      kind: 'device',
      title: deviceTitle(describer, name),
      ...(driver && { driver }),
      ...(group !== undefined && { group }),
      ...(acs !== undefined && { mark: acsMark(acs), because: acsBecause(acs) }),
      ...(acs?.because === 'override' && { claimed: true as const }),
      children,
    };
  };

  const walk = (bus: PciBus): TreeNode[] => {
    const virtual = bus.children.filter((child) => child.self === undefined);
    const devices = [bus, ...virtual].flatMap((one) => one.devices);
    const byName = new Map(devices.map((device) => [device.name, device]));
    return sortNames(byName.keys())
      .filter((name) => shown?.has(name) ?? true)
      .map((name) => {
        const below = byName.get(name)!.subordinate;
        return below === undefined ? node(name, []) : node(name, walk(below), machine.acs(name));
      });
  };

  const roots = machine.pci.rootBuses.map(
    (bus): TreeNode => ({
      name: formatBus(bus.domain, bus.number),
      kind: 'bus',
      title: 'root bus',
      children: walk(bus),
    }),
  );
  const others = formed.groups
    .flatMap((group) => group.members)
    .filter((name) => describer.facts(name) === undefined && (shown?.has(name) ?? true));
  return [...roots.filter((root) => root.children.length > 0), ...others.map((name) => node(name, []))];
}

function withParents(
  names: ReadonlySet<string>,
  parentOf: (name: string) => string | undefined,
): Set<string> {
  const all = new Set(names);
  for (const name of names)
    for (let at = parentOf(name); at !== undefined && !all.has(at); at = parentOf(at)) all.add(at);
  return all;
}
