/**
 * What would change a device's grouping, each tried on the model before it is offered: real isolation, a mere
 * claim, or better data.
 */

import { type BootOptions, boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';
import type { AcsVerdict } from '../pci/acs.ts';
import { acsBits } from './acs-words.ts';
import type { Change } from './report.ts';
import { shortener } from './shorten.ts';

/** Bits that Linux asks of a port (REQ_ACS_FLAGS), and their places in a `config_acs` flags string. */
const REQUIRED = 0x1d;

export function changesFor(machine: Machine, name: string): Change[] {
  const before = machine.groupOf(name)?.devices.length ?? 0;
  if (before <= 1) return [];
  const shorten = shortener(machine.snapshot);
  const blockers = blockersOf(machine, name);
  const changes: Change[] = [];

  const unread = blockers.filter((verdict) => !verdict.known);
  if (unread.length > 0) {
    changes.push({
      what: `read the capabilities of ${unread.map((v) => shorten(v.device)).join(', ')}: run as root, or record with \`sudo ringfence capture\``,
      effect: 'reveals',
    });
  }
  const off = blockers.filter((verdict) => verdict.because === 'capability' && (verdict.missing ?? 0) !== 0);
  if (off.length > 0) {
    const parameter = `pci=config_acs=${off.map(configAcs).join(';')}`;
    const after = sizeWith(machine, name, { extraCommandLine: parameter });
    if (after < before) {
      const bits = off.map((v) => `${acsBits(v.missing ?? 0).join(', ')} on ${shorten(v.device)}`).join('; ');
      changes.push({
        what: `switch on ${bits}: boot with ${parameter} (Linux 6.11 or newer)${leaves(after)}`,
        effect: 'isolates',
      });
    }
  }
  const free = freeSlots(machine, name);
  if (free.length > 0 && blockers.some((verdict) => isPort(machine, verdict.device))) {
    changes.push({
      what: `move the card to a slot whose ports isolate: ${free.map(shorten).join(', ')} ${free.length === 1 ? 'has' : 'have'} nothing plugged in`,
      effect: 'isolates',
    });
  }
  const override = overrideFor(machine, name, before);
  if (override !== undefined) changes.push(override);
  if (changes.length === 0)
    changes.push({
      what: 'nothing short of other hardware: its DMA cannot be told from theirs',
      effect: 'none',
    });
  return changes;
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

function overrideFor(machine: Machine, name: string, before: number): Change | undefined {
  if (/\bpcie_acs_override=/.test(machine.snapshot.kernel.cmdline ?? '')) return undefined;
  for (const words of ['downstream', 'multifunction', 'downstream,multifunction']) {
    const after = sizeWith(machine, name, { extraCommandLine: `pcie_acs_override=${words}` });
    if (after < before) {
      return {
        what: `pcie_acs_override=${words} on a patched kernel${leaves(after)}: it splits the group and isolates nothing`,
        effect: 'claims',
      };
    }
  }
  return undefined;
}

function sizeWith(machine: Machine, name: string, options: BootOptions): number {
  const changed = boot(machine.snapshot, { ...machine.options, ...options });
  return changed.groupOf(name)?.devices.length ?? 0;
}

const leaves = (size: number): string =>
  size === 1 ? ', which leaves it alone' : `, which leaves it with ${size - 1} other${size === 2 ? '' : 's'}`;

function isPort(machine: Machine, name: string): boolean {
  return machine.pci.find(name)?.subordinate !== undefined;
}

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
