/**
 * What would change a device's grouping, each tried on the model before it is offered: real isolation, a mere
 * claim, or better data.
 */

import { boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import type { AcsVerdict } from '../pci/acs.ts';
import { acsBitNames } from '../pci/acs-bits.ts';
import type { Shorten } from './reason-words.ts';
import type { Change } from './report.ts';
import { shortener } from './shorten.ts';

/** Bits that Linux asks of a port (REQ_ACS_FLAGS), and their places in a `config_acs` flags string. */
const REQUIRED = 0x1d;

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
const IDEAS: Idea[] = [readMore, dropParameter, switchOn, moveCard, override];

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
  if (changes.length > 0) return changes;
  return [{ what: 'nothing short of other hardware: its DMA cannot be told from theirs', effect: 'none' }];
}

function readMore({ blockers, shorten }: Case): Change | undefined {
  const unread = blockers.filter((verdict) => !verdict.known).map((verdict) => shorten(verdict.device));
  if (unread.length === 0) return undefined;
  return {
    what: `read the capabilities of ${unread.join(', ')}: run as root, or record with \`sudo ringfence capture\``,
    effect: 'reveals',
  };
}

/** Ports that offer the bits and have them off. */
const switchedOff = (at: Case): AcsVerdict[] =>
  at.blockers.filter((verdict) => verdict.because === 'capability' && (verdict.missing ?? 0) !== 0);

function dropParameter(at: Case): Change | undefined {
  const cmdline = at.machine.snapshot.kernel.cmdline ?? '';
  const parameter = /\bpci=\S*?((?:disable_acs_redir|config_acs)=[^\s,]+)/.exec(cmdline)?.[1];
  if (parameter === undefined || switchedOff(at).length === 0) return undefined;
  return {
    what: `remove ${parameter} from pci= on the kernel command line, if it is what switched this off`,
    effect: 'isolates',
  };
}

function switchOn(at: Case): Change | undefined {
  const off = switchedOff(at);
  if (off.length === 0) return undefined;
  const wanted = `pci=config_acs=${off.map(configAcs).join(';')}`;
  const after = sizeWith(at, wanted);
  if (after >= at.before) return undefined;
  const bits = off
    .map((v) => `${acsBitNames(v.missing ?? 0).join(' ')} on ${at.shorten(v.device)}`)
    .join(', ');
  return {
    what: `switch on ${bits}: boot with ${wanted} (Linux 6.11 or newer)${leaves(after)}`,
    effect: 'isolates',
  };
}

function moveCard({ machine, name, blockers, shorten }: Case): Change | undefined {
  if (!blockers.some((verdict) => machine.pci.find(verdict.device)?.subordinate !== undefined))
    return undefined;
  const free = freeSlots(machine, name).map(shorten);
  if (free.length === 0) return undefined;
  const have = free.length === 1 ? 'has' : 'have';
  return {
    what: `move the card to a slot whose ports isolate: ${free.join(', ')} ${have} nothing plugged in`,
    effect: 'isolates',
  };
}

function override(at: Case): Change | undefined {
  if (/\bpcie_acs_override=/.test(at.machine.snapshot.kernel.cmdline ?? '')) return undefined;
  for (const words of ['downstream', 'multifunction', 'downstream,multifunction']) {
    const after = sizeWith(at, `pcie_acs_override=${words}`);
    if (after >= at.before) continue;
    return {
      what: `pcie_acs_override=${words} on a patched kernel${leaves(after)}: it splits the group and isolates nothing`,
      effect: 'claims',
    };
  }
  return undefined;
}

/** The verdicts that stood in the way, on the device's own chain and on those of whom it joined. */
function blockersOf(machine: Machine, name: string): AcsVerdict[] {
  const found = new Map<string, AcsVerdict>();
  for (const member of machine.groupOf(name)?.devices ?? []) {
    for (const step of machine.reason(member)?.steps ?? []) {
      if (step.step === 'climb') found.set(step.blockedBy.device, step.blockedBy);
      if (step.step === 'function' && step.sibling !== undefined) {
        found.set(step.own.device, step.own);
        if (step.siblingAcs !== undefined) found.set(step.sibling, step.siblingAcs);
      }
    }
  }
  return [...found.values()].filter((verdict) => !verdict.enabled);
}

/** `xx111x1@0000:00:1c.0`: every required bit the port offers, since bits left at x fall back to firmware's. */
function configAcs(verdict: AcsVerdict): string {
  const wanted = (verdict.capability ?? 0) & REQUIRED;
  let flags = '';
  for (let bit = 6; bit >= 0; bit--) flags += wanted & (1 << bit) ? '1' : 'x';
  return `${flags}@${verdict.device}`;
}

/** Size of the device's group on the machine booted with more words on its command line. */
function sizeWith({ machine, name }: Case, extraCommandLine: string): number {
  return boot(machine.snapshot, { ...machine.options, extraCommandLine }).groupOf(name)?.devices.length ?? 0;
}

const leaves = (size: number): string =>
  size === 1 ? ', which leaves it alone' : `, which leaves it with ${size - 1} other${size === 2 ? '' : 's'}`;

/** Ports with nothing below them whose whole path isolates. */
function freeSlots(machine: Machine, name: string): string[] {
  const own = new Set(machine.groupOf(name)?.devices);
  const free: string[] = [];
  for (const port of machine.pci.devices) {
    const below = port.subordinate;
    if (below === undefined || below.devices.length > 0 || own.has(port.name)) continue;
    if (!machine.isSlot(port.name)) continue;
    const path = machine.acsPath(port.name);
    if (path.every((verdict) => verdict.enabled && verdict.known && verdict.because !== 'override'))
      free.push(port.name);
  }
  return free.slice(0, 6);
}
