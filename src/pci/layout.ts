/**
 * Which bridge leads to which bus. A sysfs path decides where it is known, since it is what the kernel made of
 * it; bus number registers decide otherwise. A bridge always leads to a higher bus number than its own, so what
 * comes out has no circles, whatever went in.
 */

import { addressKey } from './address.ts';
import type { PciFunctionInit } from './device.ts';
import { busKey, busKeyOf, type FunctionRecord, pathParent } from './records.ts';
import type { VirtualFunctions } from './virtual-functions.ts';

export interface Layout {
  /** Bridge by the key of the bus it leads to. */
  bridgeOf: Map<number, FunctionRecord>;
  /** Bus key by the bridge that leads there. */
  behind: Map<FunctionRecord, number>;
  /** Buses no bridge leads to, with the device whose domain it is (VMD) where a path names it. */
  roots: Map<number, FunctionRecord | undefined>;
  /** Buses of virtual functions that no bridge leads to: key of the bus they count as part of. */
  extensions: Map<number, number>;
  /** Buses whose place is a guess, because bus numbers of a bridge in the same domain are unknown. */
  uncertain: Set<number>;
}

export function layOut(
  records: readonly FunctionRecord[],
  byKey: ReadonlyMap<number, FunctionRecord>,
  virtual: VirtualFunctions,
): Layout {
  const layout: Layout = {
    bridgeOf: new Map(),
    behind: new Map(),
    roots: new Map(),
    extensions: new Map(),
    uncertain: new Set(),
  };
  const physical = records.filter((record) => !virtual.has(record));
  followPaths(physical, byKey, virtual, layout);
  followRegisters(physical, layout);
  placeOrphans(physical, virtual, layout);
  return layout;
}

function lead(layout: Layout, bridge: FunctionRecord, bus: number): void {
  layout.bridgeOf.set(bus, bridge);
  layout.behind.set(bridge, bus);
}

function followPaths(
  physical: readonly FunctionRecord[],
  byKey: ReadonlyMap<number, FunctionRecord>,
  virtual: VirtualFunctions,
  layout: Layout,
): void {
  const claims = new Map<FunctionRecord, number[]>();
  const decided = new Set<number>();
  for (const record of physical) {
    const bus = busKeyOf(record);
    if (decided.has(bus)) continue;
    const parent = pathParent(record.init.path);
    if (parent?.kind === 'root') {
      if (busKey(parent.domain, parent.bus) !== bus) continue;
      decided.add(bus);
      layout.roots.set(bus, parent.owner === undefined ? undefined : byKey.get(addressKey(parent.owner)));
    } else if (parent !== undefined) {
      const bridge = byKey.get(addressKey(parent.address));
      if (bridge === undefined || virtual.has(bridge) || layout.roots.has(bus)) continue;
      if (bridge.address.domain !== record.address.domain || bridge.address.bus >= record.address.bus)
        continue;
      decided.add(bus);
      const claimed = claims.get(bridge);
      if (claimed === undefined) claims.set(bridge, [bus]);
      else claimed.push(bus);
    }
  }
  for (const [bridge, buses] of claims) {
    const secondary = bridge.init.facts.bridge?.secondary;
    const own = buses.find((bus) => bus % 0x100 === secondary) ?? buses[0]!;
    lead(layout, bridge, own);
    for (const bus of buses) if (bus !== own) layout.extensions.set(bus, own);
  }
}

function followRegisters(physical: readonly FunctionRecord[], layout: Layout): void {
  for (const bridge of physical) {
    const numbers = bridge.init.facts.bridge;
    if (!numbers || layout.behind.has(bridge)) continue;
    if (numbers.secondary <= bridge.address.bus || numbers.subordinate < numbers.secondary) continue;
    const bus = busKey(bridge.address.domain, numbers.secondary);
    if (layout.bridgeOf.has(bus) || layout.roots.has(bus) || layout.extensions.has(bus)) continue;
    lead(layout, bridge, bus);
  }
}

/**
 * Buses with functions that nothing leads to: root buses, unless they lie in the range of a bridge. Only SR-IOV
 * makes a bus there without a bridge of its own, so where every bridge is known its functions are virtual.
 */
function placeOrphans(physical: readonly FunctionRecord[], virtual: VirtualFunctions, layout: Layout): void {
  /** By domain, the lowest bus with a function that may be a bridge to anywhere above it. */
  const obscure = new Map<number, number>();
  for (const { init, address } of physical) {
    if (!obscure.has(address.domain) && mayLeadAnywhere(init)) obscure.set(address.domain, address.bus);
  }
  const bridges = new Map<number, FunctionRecord[]>();
  for (const bridge of layout.behind.keys()) {
    const list = bridges.get(bridge.address.domain);
    if (list === undefined) bridges.set(bridge.address.domain, [bridge]);
    else list.push(bridge);
  }
  const seen = new Map<number, { uncertain: boolean; extended: boolean }>();
  for (const record of physical) {
    const bus = busKeyOf(record);
    let place = seen.get(bus);
    if (place === undefined) {
      if (layout.bridgeOf.has(bus) || layout.roots.has(bus)) continue;
      const { domain } = record.address;
      const extended =
        layout.extensions.get(bus) ?? enclosing(bridges.get(domain) ?? [], record.address.bus, layout);
      place = {
        uncertain: (obscure.get(domain) ?? Infinity) < record.address.bus,
        extended: extended !== undefined,
      };
      seen.set(bus, place);
      if (extended === undefined) layout.roots.set(bus, undefined);
      else layout.extensions.set(bus, extended);
      if (place.uncertain) layout.uncertain.add(bus);
    }
    if (place.extended && !place.uncertain && record.init.physfn === undefined && !record.init.facts.bridge) {
      virtual.set(record, undefined);
    }
  }
}

/** Bridge to PCI, to CardBus, and the half-transparent one: what has bus number registers. */
const BRIDGE_CLASSES: ReadonlySet<number> = new Set([0x0604, 0x0607, 0x0609]);

function mayLeadAnywhere({ facts, class: code }: PciFunctionInit): boolean {
  if (facts.bridge !== undefined || facts.headerType === 0) return false;
  return facts.headerType !== undefined || code === undefined || BRIDGE_CLASSES.has(code >>> 8);
}

/** The bus behind the innermost bridge whose range holds `number`. */
function enclosing(bridges: readonly FunctionRecord[], number: number, layout: Layout): number | undefined {
  let innermost: number | undefined;
  for (const bridge of bridges) {
    const numbers = bridge.init.facts.bridge;
    const bus = layout.behind.get(bridge)!;
    if (!numbers || bus % 0x100 >= number || numbers.subordinate < number) continue;
    if (innermost === undefined || bus > innermost) innermost = bus;
  }
  return innermost;
}
