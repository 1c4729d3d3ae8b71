/** The groups of a machine: the kernel's where it formed any, else those that the rules form. */

import type { Machine } from '../../machine/machine.ts';
import type { Describer } from '../describe.ts';
import { sortNames } from '../describe.ts';

export interface FormedGroup {
  id: number;
  type?: string;
  name?: string;
  /** In numeric order of address. */
  members: string[];
}

export interface FormedGroups {
  source: 'kernel' | 'predicted';
  groups: FormedGroup[];
  of(name: string): FormedGroup | undefined;
}

export function formedGroups(describer: Describer, machine: Machine): FormedGroups {
  const recorded = describer.snapshot.groups ?? [];
  const source = recorded.length > 0 ? 'kernel' : 'predicted';
  const groups = (source === 'kernel' ? recorded : machine.groups()).map(
    ({ id, type, name, devices }): FormedGroup => ({
      id,
      ...(type !== undefined && { type }),
      ...(name !== undefined && { name }),
      members: sortNames(devices),
    }),
  );
  groups.sort((a, b) => a.id - b.id);
  const byMember = new Map<string, FormedGroup>();
  for (const group of groups) for (const member of group.members) byMember.set(member, group);
  return { source, groups, of: (name) => byMember.get(name) };
}
