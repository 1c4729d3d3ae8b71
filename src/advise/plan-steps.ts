/**
 * The writes a hand-over is made of: which files of sysfs they go to, and what each does to a device. A path that is
 * none of these four is never written.
 */

import { fullAddress } from '../host/host-tree.ts';
import { managesDma } from '../machine/drivers.ts';
import type { DriverState, PlanDevice, PlanStep } from './report.ts';

/** A write understood. `value: null` lifts the override. */
export type Write =
  | { kind: 'override'; device: string; value: string | null }
  | { kind: 'unbind'; device: string; driver: string }
  | { kind: 'bind'; device: string; driver: string }
  | { kind: 'probe'; device: string };

/** What the kernel has on a device. `override: undefined`: it has no such file. */
export interface Held {
  driver: string | null;
  override: string | null | undefined;
}

/** A lone newline is what lifts an override. */
const LIFT = '\n';
const PCI = '/sys/bus/pci';
const LONGEST_NAME = 128;

/** Names as folders of /sys/bus/pci/drivers have them: one visible component, spaces and all (`HDA Intel`). */
export function isDriverName(name: string): boolean {
  return (
    /^[\x20-\x2e\x30-\x7e]+$/.test(name) && name.length <= LONGEST_NAME && !/^(\.|\.\.)$|^ | $/.test(name)
  );
}

/** `undefined` for whatever is not one of the four files with a value that belongs there. */
export function parseWrite(path: string, value: string): Write | undefined {
  const override = /^\/sys\/bus\/pci\/devices\/([^/]+)\/driver_override$/.exec(path);
  if (override !== null) {
    const device = canonical(override[1]!);
    if (device === undefined) return undefined;
    if (value === LIFT) return { kind: 'override', device, value: null };
    return isDriverName(value) ? { kind: 'override', device, value } : undefined;
  }
  const device = canonical(value);
  if (device === undefined) return undefined;
  if (path === `${PCI}/drivers_probe`) return { kind: 'probe', device };
  const binding = /^\/sys\/bus\/pci\/drivers\/([^/]+)\/(bind|unbind)$/.exec(path);
  if (binding === null || !isDriverName(binding[1]!)) return undefined;
  return { kind: binding[2] as 'bind' | 'unbind', device, driver: binding[1]! };
}

/** Where a write goes, and the text that is written. */
export function writeText(write: Write): { path: string; value: string } {
  switch (write.kind) {
    case 'override':
      return { path: `${PCI}/devices/${write.device}/driver_override`, value: write.value ?? LIFT };
    case 'probe':
      return { path: `${PCI}/drivers_probe`, value: write.device };
    default:
      return { path: `${PCI}/drivers/${write.driver}/${write.kind}`, value: write.device };
  }
}

/**
 * What a device holds after the write; `undefined` where the write cannot do what it is for: unbinding a driver that
 * does not have the device, binding one that has a driver or an override for another.
 */
export function effect(held: Held, write: Write): Held | undefined {
  switch (write.kind) {
    case 'override':
      return { ...held, override: write.value };
    case 'unbind':
      return held.driver === write.driver ? { ...held, driver: null } : undefined;
    case 'bind':
      if (held.driver !== null || (held.override ?? write.driver) !== write.driver) return undefined;
      return { ...held, driver: write.driver };
    case 'probe':
      return held.driver === null && held.override ? { ...held, driver: held.override } : undefined;
  }
}

/** Text for `before` of a step: what the file's write is about to replace. */
export function shownBefore(held: Held, write: Write): string | null {
  return write.kind === 'override' ? (held.override ?? null) : held.driver;
}

/** `e1000e`, `vfio-pci (driver_override vfio-pci)`, `no driver`. */
export function shownHeld(held: Held): string {
  return `${held.driver ?? 'no driver'}${held.override ? ` (driver_override ${held.override})` : ''}`;
}

/**
 * The writes of a plan. A driver of the host comes to no member of a group while vfio has another, so for one of those
 * all devices are let go of before the first is bound.
 */
export function stepsOf(
  devices: readonly Pick<PlanDevice, 'address' | 'before'>[],
  driver: string,
): PlanStep[] {
  const steps = devices.flatMap(({ address, before }) => stepsTo(address, before, driver));
  if (managesDma(driver)) return steps;
  const binds = ({ path }: PlanStep): boolean => path.endsWith('/bind');
  return [...steps.filter((step) => !binds(step)), ...steps.filter(binds)];
}

/** The writes that bring a device from its driver to another. */
export function stepsTo(device: string, before: DriverState, driver: string): PlanStep[] {
  let held: Held = { driver: before.driver ?? null, override: before.override };
  const steps: PlanStep[] = [];
  const add = (write: Write, why: string) => {
    steps.push({ device, ...writeText(write), before: shownBefore(held, write), why });
    held = effect(held, write)!;
  };
  if (before.override !== driver) {
    add({ kind: 'override', device, value: driver }, `${driver} alone may take it, whatever its ids`);
  }
  if (held.driver !== null)
    add({ kind: 'unbind', device, driver: held.driver }, `${held.driver} lets go of it`);
  add({ kind: 'bind', device, driver }, `${driver} takes it`);
  return steps;
}

function canonical(name: string): string | undefined {
  return fullAddress(name) === name ? name : undefined;
}
