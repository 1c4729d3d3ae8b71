/**
 * Devices as kernel parameters name them: `[domain:]bus:dev.fn[/dev.fn]*`, a path through bridges, or
 * `pci:vendor:device[:subvendor:subdevice]` where 0 is any (`pci_dev_str_match`).
 *
 * Read as leniently, and refused as late, as the kernel does: a malformed part of a path is only noticed for a
 * device that fits everything behind it.
 */

import { devfn } from './address.ts';
import type { PciDevice } from './device.ts';

export type SpecifierMatch = 'yes' | 'no' | 'malformed';

export interface DeviceSpecifier {
  match(device: PciDevice): SpecifierMatch;
  /** Index behind what was read. */
  end: number;
  /** Refused for at least some device. */
  malformed: boolean;
}

/** One number as sscanf's `%x` takes it: blanks, `0x`, digits. */
const HEX = '[\\t\\n\\v\\f\\r ]*(?:0x)?([0-9a-f]+)';
const FULL = new RegExp(`^${HEX}:${HEX}:${HEX}\\.${HEX}$`, 'i');
const SHORT = new RegExp(`^${HEX}:${HEX}\\.${HEX}$`, 'i');
const STEP = new RegExp(`^${HEX}\\.${HEX}$`, 'i');
const FOUR_IDS = new RegExp(`^${HEX}:${HEX}:${HEX}:${HEX}`, 'i');
const TWO_IDS = new RegExp(`^${HEX}:${HEX}`, 'i');

/** Reads one specifier of `text` at `from`. */
export function parseSpecifier(text: string, from: number): DeviceSpecifier {
  return text.startsWith('pci:', from) ? idSpecifier(text, from + 4) : pathSpecifier(text, from);
}

function idSpecifier(text: string, from: number): DeviceSpecifier {
  const rest = text.slice(from, from + 64);
  const found = FOUR_IDS.exec(rest) ?? TWO_IDS.exec(rest);
  if (found === null) return { match: () => 'malformed', end: from, malformed: true };
  const [vendor, device, subvendor, subdevice] = [1, 2, 3, 4].map((i) => number(found[i] ?? '0') & 0xffff);
  const fits = (wanted: number | undefined, have: number | undefined) => !wanted || wanted === have;
  return {
    match: (dev) =>
      fits(vendor, dev.vendor) &&
      fits(device, dev.device) &&
      fits(subvendor, dev.subsystemVendor) &&
      fits(subdevice, dev.subsystemDevice)
        ? 'yes'
        : 'no',
    end: from + found[0].length,
    malformed: false,
  };
}

function pathSpecifier(text: string, from: number): DeviceSpecifier {
  const semicolon = text.indexOf(';', from);
  const end = semicolon < 0 ? text.length : semicolon;
  const [head = '', ...steps] = text.slice(from, end).split('/');
  const start = parseStart(head);
  /** From the device up; undefined: not a number pair. */
  const below = steps.map(parseStep).reverse();
  const match = (device: PciDevice): SpecifierMatch => {
    let at = device;
    for (const step of below) {
      if (step === undefined) return 'malformed';
      if (at.devfn !== step) return 'no';
      const above = at.upstreamBridge;
      if (above === undefined) return 'no';
      at = above;
    }
    if (start === undefined) return 'malformed';
    return start.domain === at.domain && start.bus === at.pciBus.number && start.devfn === at.devfn
      ? 'yes'
      : 'no';
  };
  return { match, end, malformed: start === undefined || below.includes(undefined) };
}

function parseStep(text: string): number | undefined {
  const found = STEP.exec(text);
  return found === null ? undefined : devfnOf(found[1]!, found[2]!);
}

function parseStart(text: string): { domain: number; bus: number; devfn: number } | undefined {
  const full = FULL.exec(text);
  if (full !== null)
    return { domain: number(full[1]!), bus: number(full[2]!), devfn: devfnOf(full[3]!, full[4]!) };
  const short = SHORT.exec(text);
  if (short !== null) return { domain: 0, bus: number(short[1]!), devfn: devfnOf(short[2]!, short[3]!) };
  return undefined;
}

function devfnOf(slot: string, fn: string): number {
  return devfn(number(slot) & 0x1f, number(fn) & 7);
}

/** Sixteen digits are as far as a double is exact enough; nothing that long fits a device anyway. */
function number(digits: string): number {
  return Number.parseInt(digits, 16);
}
