/** In which order the kernel comes across buses and functions, and what it learns of a slot on the way. */

import { functionOf, parseAddress } from './address.ts';
import type { PciBus } from './bus.ts';
import type { PciDevice } from './device.ts';
import { isDownstream } from './port-type.ts';
import { busKey, type FunctionRecord } from './records.ts';

/** Bus keys of names like `0000:00`; others are passed over. */
export function rootKeys(names: readonly string[]): number[] {
  const keys: number[] = [];
  for (const name of names) {
    const address = parseAddress(`${name}:00.0`);
    if (address !== undefined) keys.push(busKey(address.domain, address.bus));
  }
  return keys;
}

/**
 * Root buses as given, others in numeric order; one whose domain belongs to another device waits for that device.
 * Read while the buses are being made, since `made` grows meanwhile.
 */
export function* rootsInOrder(
  roots: ReadonlyMap<number, FunctionRecord | undefined>,
  given: readonly number[],
  made: ReadonlyMap<FunctionRecord, PciDevice>,
): Iterable<number> {
  const first = new Set(given.filter((key) => roots.has(key)));
  const rest = [...roots.keys()].filter((key) => !first.has(key)).sort((a, b) => a - b);
  let waiting = [...first, ...rest];
  while (waiting.length > 0) {
    const later: number[] = [];
    for (const key of waiting) {
      const owner = roots.get(key);
      if (owner === undefined || made.has(owner)) yield key;
      else later.push(key);
    }
    if (later.length === waiting.length) {
      // Owners that are virtual, or own each other: those domains stand for themselves.
      yield* later;
      return;
    }
    waiting = later;
  }
}

/** What the scan of a slot adds to the header bits (`pci_scan_slot`). */
export function countFunctions(bus: PciBus, here: readonly [FunctionRecord, PciDevice][]): void {
  const alternative = isDownstream(bus.self?.pcieType) && bus.self?.facts.pcie?.ariForwardingEnabled === true;
  const functions = new Map<number, number>();
  for (const [, { slot }] of here) functions.set(slot, (functions.get(slot) ?? 0) + 1);
  for (const [{ init }, device] of here) {
    const unknownFirst = functionOf(device.devfn) === 0 && init.facts.multifunctionBit === undefined;
    if (device.func > 0 || (alternative && device.slot > 0)) device.multifunction = true;
    else if (unknownFirst)
      device.multifunction = alternative ? here.length > 1 : functions.get(device.slot)! > 1;
  }
}

/** Devices named in `order` first, as it has them; the rest behind them. */
export function inListOrder(devices: PciDevice[], order: readonly string[]): PciDevice[] {
  if (order.length === 0) return devices;
  const place = new Map(order.map((address, i) => [address, i]));
  const known: PciDevice[] = [];
  const others: PciDevice[] = [];
  for (const device of devices) (place.has(device.address) ? known : others).push(device);
  known.sort((a, b) => place.get(a.address)! - place.get(b.address)!);
  return [...known, ...others];
}
