/** Changes in words: what they are, and what to do for them. */

import type { Snapshot } from '../host/snapshot.ts';
import { CARD_KINDS } from '../machine/cards.ts';
import { changeText, type MachineChange } from '../machine/change.ts';
import { parseAddress } from '../pci/address.ts';
import { iommuState } from './iommu-state.ts';
import type { Shorten } from './reason-words.ts';
import type { TriedChange, Worth } from './report-whatif.ts';

export function triedChange(change: MachineChange, snapshot: Snapshot, shorten: Shorten): TriedChange {
  const how = howWords(change, snapshot);
  return {
    change,
    text: changeText(change),
    what: whatWords(change, shorten),
    ...(how !== undefined && { how }),
  };
}

function whatWords(change: MachineChange, shorten: Shorten): string {
  switch (change.change) {
    case 'acs-override':
      return `the kernel is told to take devices for isolated (pcie_acs_override=${change.words})`;
    case 'set-acs':
      return `ACS bits of ${shorten(change.device)} are set to ${change.flags}`;
    case 'firmware-acs':
      return `firmware shows ACS on ${shorten(change.device)}`;
    case 'drop-parameter':
      return `${change.name} is off the kernel command line`;
    case 'move':
      return `the card ${shorten(change.card)} is in the slot of ${shorten(change.to)}`;
    case 'add':
      return `${cardWords(change.what, shorten)} is in the slot of ${shorten(change.to)}`;
    case 'remove':
      return `${shorten(change.card)} is taken out`;
    case 'vfs':
      return change.count === 0
        ? `${shorten(change.device)} has no virtual functions`
        : `${shorten(change.device)} has ${change.count} virtual function${change.count === 1 ? '' : 's'}`;
    case 'policy':
      return `the kernel groups by the rules of ${change.name}`;
    case 'iommu':
      return `the IOMMU is ${change.on ? 'on' : 'off'}`;
    case 'without-quirk':
      return `the kernel does not know the quirk ${change.name}`;
  }
}

function cardWords(what: string, shorten: Shorten): string {
  if (parseAddress(what) !== undefined) return `a second card like ${shorten(what)}`;
  const [kind = '', count] = what.split(':');
  const words = CARD_KINDS[kind]?.split(/[,;]/)[0] ?? what;
  return count === undefined ? words : `${words} (${what})`;
}

function howWords(change: MachineChange, snapshot: Snapshot): string | undefined {
  switch (change.change) {
    case 'acs-override':
      return 'mainline kernels do not know the word: it takes a patched one';
    case 'set-acs':
      return 'takes Linux 6.11 or newer';
    case 'firmware-acs':
      return 'look for ACS in the firmware setup, often beside AER, under PCIe or AMD CBS; not every board has it';
    case 'drop-parameter':
      return 'take it out of the boot loader configuration';
    case 'move':
    case 'add':
      return 'if a slot is wired to that port; the manual of the board tells';
    case 'vfs':
      return `write ${change.count} to /sys/bus/pci/devices/${change.device}/sriov_numvfs`;
    case 'iommu': {
      const { missing } = iommuState(snapshot);
      return change.on && missing.length > 0 ? missing.map(({ remedy }) => remedy).join('; ') : undefined;
    }
    default:
      return undefined;
  }
}

/** Words of the command line that a change asks for and that applying it does not give. */
export function iommuWords(change: MachineChange, snapshot: Snapshot): string[] {
  if (change.change !== 'iommu') return [];
  const intel =
    'DMAR' in snapshot.acpi || snapshot.iommus?.some(({ name }) => name.startsWith('dmar')) === true;
  if (!change.on) return [intel ? 'intel_iommu=off' : 'iommu=off'];
  return iommuState(snapshot).missing.flatMap(({ remedy }) => /^boot with (\S+)$/.exec(remedy)?.[1] ?? []);
}

/** How honest a change is at best. */
export function worthOf(changes: readonly MachineChange[]): Worth {
  const has = (...kinds: MachineChange['change'][]): boolean =>
    changes.some(({ change }) => kinds.includes(change));
  if (has('acs-override', 'without-quirk')) return 'claim';
  if (has('policy')) return 'rules';
  return has('firmware-acs') ? 'firmware' : 'real';
}

/** Honest first. */
export const WORTHS: readonly Worth[] = ['real', 'firmware', 'rules', 'claim'];
