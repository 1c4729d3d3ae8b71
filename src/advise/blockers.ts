/** Who stands in the way of a device's isolation, and where it could have it: what every advice begins with. */

import type { MachineChange } from '../machine/change.ts';
import type { Machine } from '../machine/machine.ts';
import type { AcsVerdict } from '../pci/acs.ts';
import { REQ_ACS_FLAGS } from '../pci/acs-bits.ts';
import { PcieType } from '../pci/facts.ts';
import { Vendor } from '../pci/numbers.ts';

/** The verdicts that stood in the way, on the device's own chain and on those of whom it joined. */
export function blockersOf(machine: Machine, name: string): AcsVerdict[] {
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

/** Ports that offer the bits and have them off. */
export function switchedOff(blockers: readonly AcsVerdict[]): AcsVerdict[] {
  return blockers.filter((verdict) => verdict.because === 'capability' && (verdict.missing ?? 0) !== 0);
}

/** The same AMD ports have ACS on one board and none on another: firmware decides (grouping.md 13). */
export function hiddenByFirmware(machine: Machine, blockers: readonly AcsVerdict[]): AcsVerdict[] {
  return blockers.filter(({ device, because }) => {
    const port = machine.pci.find(device);
    return because === 'no-capability' && port?.vendor === Vendor.Amd && port.pcieType === PcieType.RootPort;
  });
}

/** Every required bit the port offers (`xx111x1`), since bits left at x fall back to firmware's. */
export function switchOn(verdict: AcsVerdict): MachineChange {
  const wanted = (verdict.capability ?? 0) & REQ_ACS_FLAGS;
  let flags = '';
  for (let bit = 6; bit >= 0; bit--) flags += wanted & (1 << bit) ? '1' : 'x';
  return { change: 'set-acs', device: verdict.device, flags };
}

/** For a card, not for a port or what is built into the root complex. */
export function isMovable(machine: Machine, name: string): boolean {
  const device = machine.pci.find(name);
  return device?.upstreamBridge !== undefined && device.subordinate === undefined && !device.isVirtual;
}

/** Root ports with nothing below them that isolate; six at most, the first in order. */
export function freeRootPorts(machine: Machine): string[] {
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

/** Parameters of the command line that may keep ACS off. */
export const ACS_PARAMETERS = ['disable_acs_redir', 'config_acs'] as const;
export const OVERRIDES = ['downstream', 'multifunction', 'downstream,multifunction'] as const;
