/**
 * What would change a device's grouping, each tried on the model before it is offered: real isolation, a mere
 * claim, or better data.
 */

import type { MachineChange } from '../machine/change.ts';
import { presentConfigAcs } from '../machine/config-acs.ts';
import type { Machine } from '../machine/machine.ts';
import type { AcsVerdict } from '../pci/acs.ts';
import { acsBitNames } from '../pci/acs-bits.ts';
import {
  ACS_PARAMETERS,
  blockersOf,
  freeRootPorts,
  hiddenByFirmware,
  isMovable,
  OVERRIDES,
  switchedOff,
  switchOn,
} from './blockers.ts';
import type { Shorten } from './reason-words.ts';
import type { Change } from './report.ts';
import { shortener } from './shorten.ts';
import { sizeWith, tryChanges } from './trial.ts';

/** What a change is looked for: the device, and who stood in its way. */
interface Case {
  machine: Machine;
  name: string;
  /** Size of its group as it is. */
  before: number;
  blockers: AcsVerdict[];
  shorten: Shorten;
}

type Idea = (at: Case) => Change | undefined;

/** Honest ones first. */
const IDEAS: Idea[] = [readMore, dropParameter, switchThemOn, lookInFirmware, moveCard, override];

export function changesFor(machine: Machine, name: string): Change[] {
  const before = machine.groupOf(name)?.devices.length ?? 0;
  if (before <= 1) return [];
  const at: Case = {
    machine,
    name,
    before,
    blockers: blockersOf(machine, name),
    shorten: shortener(machine.snapshot),
  };
  const changes = IDEAS.flatMap((idea) => idea(at) ?? []);
  return changes.length > 0 ? changes : [nothing(at)];
}

function nothing({ machine, name }: Case): Change {
  return { what: `nothing short of other hardware: ${whyNothing(machine, name)}`, effect: 'none' };
}

/** Why no advice helps. */
export function whyNothing(machine: Machine, name: string): string {
  const step = machine.reason(name)?.joined?.step ?? 'function';
  const why: Partial<Record<typeof step, string>> = {
    alias: 'its DMA cannot be told from that of the others',
    'alias-partner': 'its DMA cannot be told from that of the others',
    function: 'functions of one device without ACS are made so',
    instance: 'this IOMMU has one group only',
    firmware: 'the firmware says so',
  };
  return why[step] ?? 'nothing on its way up isolates';
}

function readMore({ machine, blockers, shorten }: Case): Change | undefined {
  const unread = blockers.filter((verdict) => !verdict.known);
  if (unread.length === 0) return undefined;
  const names = unread.map((verdict) => shorten(verdict.device)).join(', ');
  const nameless = unread.every((verdict) => machine.pci.find(verdict.device)?.device === undefined);
  return {
    what: nameless
      ? `complete the recording: vendor and device id of ${names} are missing from it`
      : `read the capabilities of ${names}: run as root, or record with \`sudo ringfence capture\``,
    effect: 'reveals',
  };
}

const WORDS = /\b(?:disable_acs_redir|config_acs)=[^\s,]+/g;

function dropParameter(at: Case): Change | undefined {
  const cmdline = at.machine.snapshot.kernel.cmdline ?? '';
  const off = switchedOff(at.blockers);
  const parameters = cmdline.match(WORDS) ?? [];
  if (parameters.length === 0 || off.length === 0) return undefined;
  const present = ACS_PARAMETERS.filter((name) => parameters.some((word) => word.startsWith(name)));
  const drops = present.map((name): MachineChange => ({ change: 'drop-parameter', name }));
  const after = sizeWith(at.machine, at.name, drops);
  if (after === 0 || after >= at.before) return undefined;
  const ports = off.map((verdict) => at.shorten(verdict.device)).join(' and ');
  return {
    what: `take ${ports} out of ${parameters.join(' and ')} on the kernel command line${leaves(after)}`,
    effect: 'isolates',
  };
}

function switchThemOn(at: Case): Change | undefined {
  const off = switchedOff(at.blockers);
  if (off.length === 0) return undefined;
  const trial = tryChanges(at.machine, at.name, off.map(switchOn));
  const after = trial?.machine.groupOf(trial.name)?.devices.length ?? 0;
  if (trial === undefined || after === 0 || after >= at.before) return undefined;
  const bits = off
    .map((v) => `${acsBitNames(v.missing ?? 0).join(' ')} on ${at.shorten(v.device)}`)
    .join(', ');
  const present = presentConfigAcs(at.machine.snapshot.kernel.cmdline ?? '');
  const instead = present === undefined ? '' : ' in place of the one there';
  return {
    what: `switch on ${bits}: boot with ${trial.parameters.join(' ')}${instead} (Linux 6.11 or newer)${leaves(after)}`,
    effect: 'isolates',
  };
}

function lookInFirmware({ machine, blockers, shorten }: Case): Change | undefined {
  const ports = hiddenByFirmware(machine, blockers);
  if (ports.length === 0) return undefined;
  const names = ports.map((verdict) => shorten(verdict.device)).join(', ');
  return {
    what: `look for ACS in the firmware setup (often beside AER, under PCIe or AMD CBS): whether ${names} ${ports.length === 1 ? 'shows' : 'show'} it is for the firmware to say`,
    effect: 'reveals',
  };
}

function moveCard({ machine, name, before, shorten }: Case): Change | undefined {
  if (!isMovable(machine, name)) return undefined;
  const free = freeRootPorts(machine).filter((to) => {
    const after = sizeWith(machine, name, [{ change: 'move', card: name, to }]);
    return after > 0 && after < before;
  });
  if (free.length === 0) return undefined;
  return {
    what: `move the card, if ${free.map(shorten).join(' or ')} is a slot: nothing is plugged in there, and it isolates`,
    effect: 'isolates',
  };
}

function override(at: Case): Change | undefined {
  if (/\bpcie_acs_override=/.test(at.machine.snapshot.kernel.cmdline ?? '')) return undefined;
  const sizes = OVERRIDES.map((words) => ({
    words,
    after: sizeWith(at.machine, at.name, [{ change: 'acs-override', words }]),
  }));
  // The smallest group, and of those the shortest claim.
  const [best] = sizes
    .filter(({ after }) => after > 0 && after < at.before)
    .sort((a, b) => a.after - b.after);
  if (best === undefined) return undefined;
  return {
    what: `pcie_acs_override=${best.words} on a patched kernel${leaves(best.after)}: it splits the group and isolates nothing`,
    effect: 'claims',
  };
}

const leaves = (size: number): string =>
  size === 1 ? ', which leaves it alone' : `, which leaves it with ${size - 1} other${size === 2 ? '' : 's'}`;
