/** Changes made to the facts of a machine and to how it is booted. What comes of them, the model tells. */

import type { Snapshot } from '../host/snapshot.ts';
import { POLICY_NAMES } from '../iommu/grouping/index.ts';
import { InputError } from '../kernel/errors.ts';
import { parseAcsOverride } from '../pci/acs-override.ts';
import { AcsParameter } from '../pci/acs-parameters.ts';
import { formatAddress, parseAddress } from '../pci/address.ts';
import { type BootOptions, boot } from './boot.ts';
import type { MachineChange } from './change.ts';
import { changeSlots, type SlotChange } from './change-slots.ts';
import { type AcsEntry, configAcsWord, withoutParameter } from './config-acs.ts';
import type { Machine } from './machine.ts';

export interface Changed {
  /** Facts to boot. `groups` are still those of the recording, under the names of now: nobody formed them anew. */
  snapshot: Snapshot;
  options: BootOptions;
  /** Address after by address before; what is absent is gone. Absent as a whole: every name is as it was. */
  now: ReadonlyMap<string, string> | undefined;
  /** Functions that were not there before. */
  added: readonly string[];
  /** Words for the kernel command line. */
  parameters: string[];
}

/**
 * The machine with changes, to be booted. Names are those of the machine as it is; what an earlier change added is
 * named as it is then.
 *
 * @throws InputError for a change that cannot be made
 */
export function applyChanges(
  snapshot: Snapshot,
  changes: readonly MachineChange[],
  options: BootOptions = {},
): Changed {
  const slots = changes.filter(isSlotChange);
  const changed = slots.length === 0 ? { snapshot, now: undefined, added: [] } : changeSlots(snapshot, slots);
  const result: Changed = { ...changed, options: { ...options }, parameters: [] };
  const entries: AcsEntry[] = [];
  for (const change of changes) applyOption(result, change, entries);
  if (entries.length > 0) {
    const present = `${result.snapshot.kernel.cmdline ?? ''} ${options.extraCommandLine ?? ''}`;
    addWord(result, configAcsWord(entries, present));
  }
  return result;
}

export function bootChanged({ snapshot, options }: Changed): Machine {
  return boot(snapshot, options);
}

/** Whether a change is one of what sits where. */
function isSlotChange(change: MachineChange): change is SlotChange {
  return ['move', 'add', 'remove', 'vfs'].includes(change.change);
}

function applyOption(result: Changed, change: MachineChange, entries: AcsEntry[]): void {
  const { options } = result;
  switch (change.change) {
    case 'acs-override': {
      const [problem] = parseAcsOverride(change.words).notes;
      if (problem !== undefined) throw new InputError('acs-override', problem);
      addWord(result, `pcie_acs_override=${change.words}`);
      return;
    }
    case 'set-acs': {
      const device = nameNow(result, change.device);
      const [problem] = new AcsParameter('config_acs', `${change.flags}@${device}`).notes;
      if (problem !== undefined) throw new InputError('set-acs', problem);
      entries.push({ flags: change.flags, device });
      return;
    }
    case 'firmware-acs':
      options.showAcs = [...(options.showAcs ?? []), nameNow(result, change.device)];
      return;
    case 'drop-parameter':
      dropParameter(result, change.name);
      return;
    case 'policy':
      if (!POLICY_NAMES.some((name) => name === change.name))
        throw new InputError('policy', `there is no '${change.name}'; there are ${POLICY_NAMES.join(', ')}`);
      options.policy = change.name;
      return;
    case 'iommu':
      options.iommu = change.on ? 'on' : 'off';
      return;
    case 'without-quirk':
      options.withoutQuirks = [...(options.withoutQuirks ?? []), change.name];
      return;
    default:
  }
}

function addWord(result: Changed, word: string): void {
  result.parameters.push(word);
  result.options.extraCommandLine = [result.options.extraCommandLine, word].filter(Boolean).join(' ');
}

/** ACS is enabled anew without it: what a parameter kept off is on then. */
function dropParameter(result: Changed, name: string): void {
  const { kernel } = result.snapshot;
  const before = kernel.cmdline ?? '';
  const after = withoutParameter(before, name);
  if (after === before) throw new InputError('drop-parameter', `the command line has no ${name}`);
  result.snapshot = { ...result.snapshot, kernel: { ...kernel, cmdline: after } };
  if (name === 'config_acs' || name === 'disable_acs_redir') result.options.enableAcs = true;
}

/** @throws InputError when there is no such device, or no longer */
function nameNow({ snapshot, now }: Changed, name: string): string {
  const parsed = parseAddress(name);
  const full = parsed === undefined ? name : formatAddress(parsed);
  const after = now?.get(full) ?? full;
  if (!snapshot.devices.some(({ address }) => address === after))
    throw new InputError(name, 'is no PCI function of this machine');
  return after;
}
