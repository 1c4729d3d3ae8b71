/** What to know of a change that changes less than one may think. */

import { hasGroups } from '../host/formed.ts';
import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';
import { acsBitNames, REQ_ACS_FLAGS } from '../pci/acs-bits.ts';
import type { Shorten } from './reason-words.ts';

/** @param machine as it is without the change */
export function changeNotes(change: MachineChange, machine: Machine, shorten: Shorten): string[] {
  switch (change.change) {
    case 'set-acs':
      return acsNotes(machine, change.device, change.flags, shorten);
    case 'firmware-acs':
      return machine.pci.find(change.device)?.facts.acs
        ? [`${shorten(change.device)} shows ACS already`]
        : ['whether the firmware of this board can show ACS there is not known: this is what if it does'];
    case 'without-quirk':
      return machine.pci.devices.some(({ name }) => hasQuirk(machine, name, change.name))
        ? []
        : [`no device of this machine has the quirk ${change.name}`];
    case 'iommu':
      return change.on && hasGroups(machine.snapshot) ? ['the IOMMU is on already'] : [];
    case 'policy':
      return change.name === machine.policy ? [`the rules are those of ${change.name} already`] : [];
    case 'remove': {
      const device = machine.pci.find(change.card);
      return device?.pciBus.isRoot && device.func === 0 && device.multifunction
        ? [`firmware that switches ${shorten(change.card)} off gives its number to another function`]
        : [];
    }
    default:
      return [];
  }
}

function hasQuirk(machine: Machine, name: string, quirk: string): boolean {
  return machine.quirks(name).some((words) => words.endsWith(`: ${quirk}`));
}

function acsNotes(machine: Machine, name: string, flags: string, shorten: Shorten): string[] {
  const acs = machine.pci.find(name)?.facts.acs;
  if (acs === undefined) return [`whether ${shorten(name)} has ACS was not read`];
  if (acs === null) return [`${shorten(name)} has no ACS capability: there is nothing to set`];
  let set = 0;
  let named = 0;
  for (const [at, flag] of [...flags].reverse().entries()) {
    if (flag === '1') set |= 1 << at;
    if (flag !== 'x') named |= 1 << at;
  }
  const notes: string[] = [];
  const absent = acsBitNames(set & ~acs.capability);
  if (absent.length > 0) notes.push(`${shorten(name)} does not offer ${absent.join(', ')}`);
  const left = acsBitNames(REQ_ACS_FLAGS & acs.capability & ~named);
  if (left.length > 0)
    notes.push(`${left.join(', ')} of ${shorten(name)} go back to what firmware set, which is off as a rule`);
  return notes;
}
