/**
 * One resolver for every way a person names a device or a group: `0000:01:00.0`, `01:00.0`, `01:00` (all
 * functions), `10de:1b80` (all with these ids), `pci_0000_01_00_0` (libvirt), paths that survive renumbering
 * (`00:01.0/00.0`, as `pci=config_acs=` takes them; `00:01.0/01:00.0`, as `lspci -P` prints them), names of
 * devices of other buses, and group numbers.
 */

import type { Snapshot } from '../host/snapshot.ts';
import { InputError } from '../kernel/errors.ts';
import { formatAddress, parseAddress } from '../pci/address.ts';
import { sortNames } from './describe.ts';

const FULL = /^([0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
const SLOT = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})$/;
const IDS = /^([0-9a-f]{4}):([0-9a-f]{4})$/;
const LIBVIRT = /^pci_([0-9a-f]{4,8})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])$/;
const STEP = /^(?:[0-9a-f]{2}:)?([0-9a-f]{2}\.[0-7])$/;

/**
 * The devices a word names, in numeric order.
 * @param parentOf the bridge above a device, for path names
 * @throws InputError when the word is no name of a device, or no device has it
 */
export function selectDevices(
  snapshot: Snapshot,
  word: string,
  parentOf: (address: string) => string | undefined,
): string[] {
  const text = word.trim().toLowerCase();
  const names = snapshot.devices.map((device) => device.address);
  const found = sortNames(matches(snapshot, text, names, parentOf) ?? others(snapshot, word));
  if (found.length > 0) return found;
  throw new InputError(`'${word}'`, `no device of this machine has that ${kindOf(text)}${hint(text, names)}`);
}

/** The single device a word names; for commands that speak of one. */
export function selectDevice(
  snapshot: Snapshot,
  word: string,
  parentOf: (address: string) => string | undefined,
): string {
  const found = selectDevices(snapshot, word, parentOf);
  if (found.length === 1) return found[0]!;
  const shown = found.slice(0, 8).join(', ') + (found.length > 8 ? ', …' : '');
  throw new InputError(`'${word}'`, `names ${found.length} devices, say which: ${shown}`);
}

/** A group number, or `undefined` where the word is none. */
export function groupNumber(word: string): number | undefined {
  const match = /^(?:group\s*)?(\d{1,9})$/i.exec(word.trim());
  return match === null ? undefined : Number(match[1]);
}

function matches(
  snapshot: Snapshot,
  text: string,
  names: string[],
  parentOf: (address: string) => string | undefined,
): string[] | undefined {
  const libvirt = LIBVIRT.exec(text);
  const plain = libvirt ? `${libvirt[1]}:${libvirt[2]}:${libvirt[3]}.${libvirt[4]}` : text;
  if (FULL.test(plain)) {
    const address = parseAddress(plain);
    return address === undefined ? [] : names.filter((name) => name === formatAddress(address));
  }
  const slot = SLOT.exec(text);
  if (slot !== null) {
    const prefix = `${slot[1] ?? '0000'}:${slot[2]}:${slot[3]}.`;
    return names.filter((name) => name.startsWith(prefix));
  }
  const ids = IDS.exec(text);
  if (ids !== null) {
    const [vendor, device] = [Number.parseInt(ids[1]!, 16), Number.parseInt(ids[2]!, 16)];
    return snapshot.devices.filter((d) => d.vendor === vendor && d.device === device).map((d) => d.address);
  }
  return text.includes('/') ? byPath(text, names, parentOf) : undefined;
}

/** `00:01.0/00.0`: the device.function at each level, whatever bus numbers the bridges have today. */
function byPath(
  text: string,
  names: string[],
  parentOf: (address: string) => string | undefined,
): string[] | undefined {
  const [root, ...below] = text.split('/');
  const first = FULL.test(root ?? '') ? parseAddress(root!) : undefined;
  const steps = below.map((step) => STEP.exec(step)?.[1]);
  if (first === undefined || steps.includes(undefined)) return undefined;
  let level = names.filter((name) => name === formatAddress(first));
  for (const step of steps) {
    level = names.filter((name) => {
      const parent = parentOf(name);
      return parent !== undefined && level.includes(parent) && name.endsWith(`:${step}`);
    });
  }
  return level;
}

function others(snapshot: Snapshot, word: string): string[] {
  return snapshot.others.filter((other) => other.name === word.trim()).map((other) => other.name);
}

function kindOf(text: string): string {
  if (IDS.test(text)) return 'vendor and device id';
  return text.includes('/') ? 'path' : 'address or name';
}

function hint(text: string, names: string[]): string {
  const slot = /^(?:[0-9a-f]{4,8}:)?([0-9a-f]{2}:[0-9a-f]{2})\.[0-7]$/.exec(text)?.[1];
  const near = slot === undefined ? [] : names.filter((name) => name.includes(`:${slot}.`));
  if (near.length > 0) return `; its slot has ${near.join(', ')}`;
  return '; `ringfence list` shows what there is';
}
