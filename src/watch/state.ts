/**
 * What `watch` follows of a machine: which devices there are, who drives them, and their groups. Plain data, so that
 * two states can be compared and one turned into the other.
 */

import type { OtherFacts, PciFacts, Snapshot } from '../host/snapshot.ts';
import { isVfioDriver, managesDma } from '../machine/drivers.ts';

export interface WatchDevice {
  bus: string;
  /** `8086:10c9`; `null`: not a PCI device, or not read. */
  ids: string | null;
  driver: string | null;
  group: number | null;
}

export interface WatchState {
  /** By address, or by name on other buses. */
  devices: ReadonlyMap<string, WatchDevice>;
  /** Type of each group; `null`: the kernel does not show it. */
  groups: ReadonlyMap<number, string | null>;
}

/** Who has a group: programs through vfio, the kernel's own drivers, or nobody. */
export type Owner = 'vfio' | 'kernel' | null;

export function watchState(snapshot: Snapshot): WatchState {
  const groups = new Map<number, string | null>();
  const groupOf = new Map<string, number>();
  for (const { id, type, devices } of snapshot.groups ?? []) {
    groups.set(id, type ?? null);
    for (const name of devices) groupOf.set(name, id);
  }
  const devices = new Map<string, WatchDevice>();
  for (const facts of snapshot.devices) devices.set(facts.address, pciDevice(facts, groupOf));
  for (const facts of snapshot.others) devices.set(facts.name, otherDevice(facts, groupOf));
  return { devices, groups };
}

function pciDevice(facts: PciFacts, groupOf: Map<string, number>): WatchDevice {
  const { vendor, device } = facts;
  const ids = vendor === undefined || device === undefined ? null : `${hex(vendor)}:${hex(device)}`;
  return {
    bus: 'pci',
    ids,
    driver: facts.driver ?? null,
    group: groupOf.get(facts.address) ?? null,
  };
}

function otherDevice(facts: OtherFacts, groupOf: Map<string, number>): WatchDevice {
  return {
    bus: facts.bus ?? 'unknown',
    ids: null,
    driver: facts.driver ?? null,
    group: groupOf.get(facts.name) ?? null,
  };
}

const hex = (value: number): string => value.toString(16).padStart(4, '0');

/** Owners of the groups that somebody has. Ports and pci-stub hold devices for nobody. */
export function owners(state: WatchState): Map<number, Exclude<Owner, null>> {
  const found = new Map<number, Exclude<Owner, null>>();
  for (const { driver, group } of state.devices.values()) {
    if (group === null || driver === null || !state.groups.has(group)) continue;
    if (isVfioDriver(driver)) found.set(group, 'vfio');
    else if (!managesDma(driver) && !found.has(group)) found.set(group, 'kernel');
  }
  return found;
}
