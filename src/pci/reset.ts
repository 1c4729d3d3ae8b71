/** Ways to reset one function without its neighbours, from facts, in the kernel's order (`pci_reset_fn_methods`). */

import { type PciDevice, PciFlag } from './device.ts';
import { devSpecificReset } from './reset-quirks.ts';

export type ResetMethod = 'device_specific' | 'acpi' | 'flr' | 'af_flr' | 'pm' | 'bus' | 'cxl_bus';

export interface ResetAnswer {
  method: ResetMethod;
  /** `undefined`: cannot be told from what was read. */
  available: boolean | undefined;
}

/**
 * `now`: what a reset would find. `scan`: what `reset_method` in sysfs lists, which was settled when the function
 * was found, before its later siblings and the bus behind it were there.
 */
export type ResetMoment = 'now' | 'scan';

/** Every method in the order the kernel tries them (`pci_init_reset_methods`). */
export function resetAnswers(device: PciDevice, moment: ResetMoment = 'now'): ResetAnswer[] {
  const flr = flrReset(device);
  return [
    { method: 'device_specific', available: devSpecificReset(device, flr) },
    // Whether firmware has a _RST method for it stands in tables that no snapshot holds.
    { method: 'acpi', available: undefined },
    { method: 'flr', available: flr },
    { method: 'af_flr', available: noFlr(device) ? false : orAbsent(device.facts.afFlr) },
    {
      method: 'pm',
      available: (device.flags & PciFlag.NoPmReset) !== 0 ? false : orAbsent(device.facts.pmReset),
    },
    { method: 'bus', available: busReset(device, moment) },
    { method: 'cxl_bus', available: cxlReset(device) },
  ];
}

export interface ResetMethods {
  /** Known to be there, in the kernel's order. */
  methods: ResetMethod[];
  /** May be there. ACPI's is always among them. */
  unknown: ResetMethod[];
}

export function resetMethods(device: PciDevice, moment: ResetMoment = 'now'): ResetMethods {
  const found: ResetMethods = { methods: [], unknown: [] };
  for (const { method, available } of resetAnswers(device, moment)) {
    if (available === true) found.methods.push(method);
    else if (available === undefined) found.unknown.push(method);
  }
  return found;
}

/** Known to be absent is a no; unknown stays unknown. */
function orAbsent(fact: boolean | null | undefined): boolean | undefined {
  return fact === null ? false : fact;
}

function noFlr(device: PciDevice): boolean {
  return (device.flags & PciFlag.NoFlrReset) !== 0;
}

/** `pcie_reset_flr` */
function flrReset(device: PciDevice): boolean | undefined {
  if (noFlr(device)) return false;
  const { pcie } = device.facts;
  return pcie === null ? false : pcie?.flr;
}

/**
 * `pci_reset_bus_function`: the whole secondary bus, so only for a function alone on it. A hot-plug slot's own
 * reset, which a snapshot does not show, may exist where this says no.
 */
function busReset(device: PciDevice, moment: ResetMoment): boolean | undefined {
  const bridge = device.upstreamBridge;
  // With the reset masked, probing says yes although the reset itself then fails.
  if (bridge?.facts.cxlPort?.busResetMasked === true) return true;
  const bus = device.pciBus;
  if (bus.self === undefined || (device.flags & PciFlag.NoBusReset) !== 0) return false;
  if (moment === 'scan') return bus.devices[0] === device;
  if (device.subordinate !== undefined) return false;
  return bus.devices.length === 1 ? (bus.uncertain ? undefined : true) : false;
}

/** `cxl_reset_bus_function` */
function cxlReset(device: PciDevice): boolean | undefined {
  const bridge = device.upstreamBridge;
  if (bridge === undefined) return false;
  const { cxlPort, pcie } = bridge.facts;
  if (cxlPort === undefined) return pcie === null ? false : undefined;
  return cxlPort !== null;
}
