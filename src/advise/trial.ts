/** Trying a change on the model: boot the machine with it, and see what becomes of one device's group. */

import type { Snapshot } from '../host/snapshot.ts';
import { type BootOptions, boot } from '../machine/boot.ts';
import type { Machine } from '../machine/machine.ts';

/** Size of the device's group with more words on the command line; 0 where it has none then. */
export function sizeWithWords(machine: Machine, name: string, extraCommandLine: string): number {
  return sizeIn(domainOf(machine.snapshot, name), machine, name, { extraCommandLine });
}

/** The same with another command line, and ACS enabled anew as that line says. */
export function sizeWithLine(machine: Machine, name: string, cmdline: string): number {
  const snapshot = domainOf(machine.snapshot, name);
  return sizeIn({ ...snapshot, kernel: { ...snapshot.kernel, cmdline } }, machine, name, { enableAcs: true });
}

/** Size of the group that the functions of the device's slot have behind another, empty port; 0 if they split. */
export function sizeBehind(machine: Machine, name: string, port: string): number {
  const snapshot = domainOf(machine.snapshot, name);
  const bus = machine.pci.find(port)?.subordinate;
  if (bus === undefined) return Number.POSITIVE_INFINITY;
  const slot = name.slice(0, -1);
  const moved = `${bus.name}:00.${name.slice(-1)}`;
  const devices = snapshot.devices.map((facts) => {
    if (!facts.address.startsWith(slot)) return facts;
    const { path: _, ...rest } = facts;
    return { ...rest, address: `${bus.name}:00.${facts.address.slice(-1)}` };
  });
  return sizeIn({ ...snapshot, devices }, machine, moved, {});
}

function sizeIn(snapshot: Snapshot, { options }: Machine, name: string, changed: BootOptions): number {
  return boot(snapshot, { ...options, ...changed }).groupOf(name)?.devices.length ?? 0;
}

/**
 * Groups do not reach across PCI domains, so a large machine need not be booted whole to try one device. Domains
 * above ffff are behind a VMD, which makes their DMA and is in another.
 */
export function domainOf(snapshot: Snapshot, name: string): Snapshot {
  if (snapshot.devices.some((facts) => facts.address.indexOf(':') > 4)) return snapshot;
  const domain = name.slice(0, name.indexOf(':') + 1);
  return { ...snapshot, devices: snapshot.devices.filter((facts) => facts.address.startsWith(domain)) };
}
