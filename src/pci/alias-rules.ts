/** Puts the alias quirks on the devices they are for, as the kernel's fixups do when it finds a device. */

import { devfn as devfnOf } from './address.ts';
import { ALIAS_QUIRKS, type AliasQuirk } from './alias-quirks.ts';
import { DevfnSet } from './devfn-set.ts';
import { type PciDevice, PciFlag } from './device.ts';
import { PcieType } from './facts.ts';

const BY_ID = new Map<number, AliasQuirk[]>();
for (const quirk of ALIAS_QUIRKS) {
  for (const device of quirk.devices) {
    const id = quirk.vendor * 0x10000 + device;
    BY_ID.set(id, [...(BY_ID.get(id) ?? []), quirk]);
  }
}

/** The rows whose ids, subsystem and class fit. */
function aliasQuirksOf(device: PciDevice): AliasQuirk[] {
  if (device.vendor === undefined || device.device === undefined) return [];
  const rows = BY_ID.get(device.vendor * 0x10000 + device.device);
  if (rows === undefined) return [];
  return rows.filter(
    (row) =>
      (row.class === undefined || (device.class !== undefined && device.class >>> 8 === row.class)) &&
      (row.subsystems === undefined ||
        row.subsystems.some(
          (id) => id.vendor === device.subsystemVendor && id.device === device.subsystemDevice,
        )),
  );
}

/** @param without names of rows that the kernel does not have */
export function applyAliasQuirks(device: PciDevice, without?: ReadonlySet<string>): void {
  for (const quirk of aliasQuirksOf(device)) if (!without?.has(quirk.name)) applyAliasQuirk(device, quirk);
}

/** `pci_add_dma_alias`: `count` devfns from `first`, cut off at the end of the bus. */
export function addDmaAlias(device: PciDevice, first: number, count: number, quirk: string): void {
  device.dmaAliasMask ??= new DevfnSet();
  device.dmaAliasMask.add(first, count);
  device.dmaAliasQuirk = quirk;
}

function applyAliasQuirk(device: PciDevice, { name, effect }: AliasQuirk): void {
  if ('function' in effect) {
    if (device.func !== effect.function) addDmaAlias(device, devfnOf(device.slot, effect.function), 1, name);
  } else if ('devfns' in effect) {
    for (const devfn of effect.devfns) addDmaAlias(device, devfn, 1, name);
  } else if ('everySlot' in effect) {
    for (let slot = 0; slot < 32; slot++) addDmaAlias(device, devfnOf(slot, 0), effect.everySlot, name);
  } else if ('every' in effect) {
    addDmaAlias(device, 0, 256, name);
  } else if ('unknowable' in effect) {
    device.dmaAliasUnknown = `${effect.unknowable} of ${name}`;
  } else if ('bridge' in effect) {
    if (effect.bridge === 'translation-root') device.flags |= PciFlag.BridgeXlateRoot;
    else if (actsAsExpressBridge(device)) device.flags |= PciFlag.PcieBridgeAlias;
  }
}

/** The same chips also work the other way round; what is above tells (`quirk_use_pcie_bridge_dma_alias`). */
function actsAsExpressBridge(device: PciDevice): boolean {
  const above = device.pciBus.self;
  return (
    !device.pciBus.isRoot &&
    device.facts.headerType === 1 &&
    device.isPcie === false &&
    above?.isPcie === true &&
    above.pcieType !== PcieType.PciBridge
  );
}
