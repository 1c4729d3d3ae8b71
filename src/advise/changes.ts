/**
 * What would change a device's grouping, each tried on the model before it is offered: real isolation, a mere
 * claim, or better data.
 */

import type { Machine } from '../machine/machine.ts';
import type { AcsVerdict } from '../pci/acs.ts';
import { acsBitNames } from '../pci/acs-bits.ts';
import { PcieType } from '../pci/facts.ts';
import { Vendor } from '../pci/numbers.ts';
import type { Shorten } from './reason-words.ts';
import type { Change } from './report.ts';
import { shortener } from './shorten.ts';
import { sizeBehind, sizeWithLine, sizeWithWords } from './trial.ts';

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
const IDEAS: Idea[] = [readMore, dropParameter, switchOn, lookInFirmware, moveCard, override];

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
  const step = machine.reason(name)?.joined?.step ?? 'function';
  const why: Partial<Record<typeof step, string>> = {
    alias: 'its DMA cannot be told from that of the others',
    'alias-partner': 'its DMA cannot be told from that of the others',
    function: 'functions of one device without ACS are made so',
    instance: 'this IOMMU has one group only',
    firmware: 'the firmware says so',
  };
  return {
    what: `nothing short of other hardware: ${why[step] ?? 'nothing on its way up isolates'}`,
    effect: 'none',
  };
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

/** Ports that offer the bits and have them off. */
const switchedOff = (at: Case): AcsVerdict[] =>
  at.blockers.filter((verdict) => verdict.because === 'capability' && (verdict.missing ?? 0) !== 0);

const ACS_PARAMETERS = /\b((?:disable_acs_redir|config_acs)=([^\s,]+)),?/g;

function dropParameter(at: Case): Change | undefined {
  const cmdline = at.machine.snapshot.kernel.cmdline ?? '';
  const off = switchedOff(at);
  const parameters = [...cmdline.matchAll(ACS_PARAMETERS)].map((match) => match[1]!);
  if (parameters.length === 0 || off.length === 0) return undefined;
  const after = sizeWithLine(at.machine, at.name, cmdline.replace(ACS_PARAMETERS, ''));
  if (after === 0 || after >= at.before) return undefined;
  const ports = off.map((verdict) => at.shorten(verdict.device)).join(' and ');
  return {
    what: `take ${ports} out of ${parameters.join(' and ')} on the kernel command line${leaves(after)}`,
    effect: 'isolates',
  };
}

function switchOn(at: Case): Change | undefined {
  const off = switchedOff(at);
  if (off.length === 0) return undefined;
  // Only the last config_acs= counts, so what is there already goes along.
  const present = [...(at.machine.snapshot.kernel.cmdline ?? '').matchAll(/\bconfig_acs=([^\s,]+)/g)].at(
    -1,
  )?.[1];
  const wanted = `pci=config_acs=${[...(present === undefined ? [] : [present]), ...off.map(configAcs)].join(';')}`;
  const after = sizeWithWords(at.machine, at.name, wanted);
  if (after === 0 || after >= at.before) return undefined;
  const bits = off
    .map((v) => `${acsBitNames(v.missing ?? 0).join(' ')} on ${at.shorten(v.device)}`)
    .join(', ');
  const instead = present === undefined ? '' : ' in place of the one there';
  return {
    what: `switch on ${bits}: boot with ${wanted}${instead} (Linux 6.11 or newer)${leaves(after)}`,
    effect: 'isolates',
  };
}

/** The same AMD ports have ACS on one board and none on another: firmware decides (grouping.md 13). */
function lookInFirmware({ machine, blockers, shorten }: Case): Change | undefined {
  const ports = blockers.filter(({ device, because }) => {
    const port = machine.pci.find(device);
    return because === 'no-capability' && port?.vendor === Vendor.Amd && port.pcieType === PcieType.RootPort;
  });
  if (ports.length === 0) return undefined;
  const names = ports.map((verdict) => shorten(verdict.device)).join(', ');
  return {
    what: `look for ACS in the firmware setup (often beside AER, under PCIe or AMD CBS): whether ${names} ${ports.length === 1 ? 'shows' : 'show'} it is for the firmware to say`,
    effect: 'reveals',
  };
}

/** For a card, not for a port or what is built into the root complex. */
function moveCard({ machine, name, before, shorten }: Case): Change | undefined {
  const device = machine.pci.find(name);
  if (device?.upstreamBridge === undefined || device.subordinate !== undefined || device.isVirtual)
    return undefined;
  const free = freeRootPorts(machine).filter((port) => {
    const after = sizeBehind(machine, name, port);
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
  const sizes = ['downstream', 'multifunction', 'downstream,multifunction'].map((words) => ({
    words,
    after: sizeWithWords(at.machine, at.name, `pcie_acs_override=${words}`),
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

const leaves = (size: number): string =>
  size === 1 ? ', which leaves it alone' : `, which leaves it with ${size - 1} other${size === 2 ? '' : 's'}`;

/** Root ports with nothing below them that isolate; six at most, the first in order. */
function freeRootPorts(machine: Machine): string[] {
  const free = machine.pci.devices.filter((port) => {
    if (port.pcieType !== PcieType.RootPort || port.subordinate === undefined) return false;
    const verdict = machine.acs(port.name);
    return (
      port.subordinate.devices.length === 0 &&
      verdict.enabled &&
      verdict.known &&
      verdict.because !== 'override'
    );
  });
  return free.slice(0, 6).map((port) => port.name);
}
