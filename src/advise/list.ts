/** The list: groups with their devices, as the kernel formed them or as the rules would. */

import type { Machine } from '../machine/machine.ts';
import type { Describer } from './describe.ts';
import { iommuState } from './iommu-state.ts';
import { type GroupLine, type ListReport, REPORT_VERSION } from './report.ts';

/** Groups as the kernel formed them. Needs no model, so that the default command starts fast. */
export function kernelList(describer: Describer): ListReport {
  const { snapshot } = describer;
  const groups = (snapshot.groups ?? []).map((group): GroupLine => {
    return {
      id: group.id,
      ...(group.type !== undefined && { type: group.type }),
      ...(group.name !== undefined && { name: group.name }),
      devices: describer.lines(group.devices),
    };
  });
  return report(describer, 'kernel', groups, []);
}

/** Groups as the rules form them on the booted model. */
export function predictedList(describer: Describer, machine: Machine): ListReport {
  const groups = machine.groups().map((group): GroupLine => {
    return {
      id: group.id,
      type: group.type,
      ...(group.name !== undefined && { name: group.name }),
      devices: describer.lines(group.devices),
    };
  });
  const plain = report(describer, 'predicted', groups, machine.uncertain());
  return { ...plain, policy: machine.policy, notes: [...plain.notes, ...machine.notes] };
}

function report(
  describer: Describer,
  source: ListReport['source'],
  groups: GroupLine[],
  uncertain: string[],
): ListReport {
  const { snapshot } = describer;
  const grouped = new Set<string>();
  for (const group of groups) for (const device of group.devices) grouped.add(device.address);
  const rest = snapshot.devices.map((device) => device.address).filter((address) => !grouped.has(address));
  return {
    report: 'list',
    version: REPORT_VERSION,
    host: describer.host(),
    source,
    iommu: iommuState(snapshot),
    groups: groups.sort((a, b) => a.id - b.id),
    ungrouped: describer.lines(rest),
    uncertain,
    notes: snapshot.notes ?? [],
  };
}
