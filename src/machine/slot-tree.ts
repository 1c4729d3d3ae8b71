/** The functions of a machine as a tree that can be taken apart: buses, what sits on them, and virtual functions. */

import type { PciFacts, Snapshot } from '../host/snapshot.ts';
import { slotOf } from '../pci/address.ts';
import type { PciBus } from '../pci/bus.ts';
import type { PciDevice } from '../pci/device.ts';
import { type FunctionFacts, PcieType } from '../pci/facts.ts';
import { PciTopology } from '../pci/topology.ts';
import { functionInit } from './function-init.ts';

export interface TreeBus {
  domain: number;
  /** As it was; absent for a bus that is new or was taken elsewhere. */
  old?: number;
  number: number;
  /** The last bus below it. */
  last: number;
  /** How many numbers behind its own are set aside for it and for what may be plugged in below. */
  reserved: number;
  readonly self?: TreeFunction;
  /** The function whose domain this is (VMD). */
  readonly owner?: string;
  readonly functions: TreeFunction[];
  /** Virtual functions whose physical function is not known, and how many buses further on they are. */
  readonly loose: { facts: PciFacts; bus: number; devfn: number }[];
}

export interface TreeFunction {
  facts: PciFacts;
  /** Its address so far; absent: it is new. */
  was?: string;
  /** What it says of itself. */
  readonly read: FunctionFacts;
  /** Device/port type; `null`: conventional PCI. */
  readonly type: number | null | undefined;
  devfn: number;
  behind?: TreeBus;
  /** Virtual functions, and their distance in requester ids. */
  virtual: { facts: PciFacts; was?: string; distance: number }[];
}

export class SlotTree {
  readonly roots: TreeBus[] = [];
  /** Where each function is, by name. */
  readonly #place = new Map<string, { one: TreeFunction; bus: TreeBus }>();
  readonly #virtual = new Map<string, string>();

  constructor(snapshot: Snapshot) {
    const facts = new Map(snapshot.devices.map((device) => [device.address, device]));
    const topology = PciTopology.build(snapshot.devices.map(functionInit));
    const virtual = new Map<PciDevice, PciDevice[]>();
    for (const device of topology.devices) {
      if (device.physfn === undefined) continue;
      const list = virtual.get(device.physfn);
      if (list === undefined) virtual.set(device.physfn, [device]);
      else list.push(device);
      this.#virtual.set(device.name, device.physfn.name);
    }
    const factsOf = (device: PciDevice): PciFacts => facts.get(device.name)!;
    const read = (bus: PciBus, self?: TreeFunction): TreeBus => {
      const numbers = self?.read.bridge;
      const made: TreeBus = {
        domain: bus.domain,
        old: bus.number,
        number: bus.number,
        last: bus.number,
        reserved: numbers ? Math.max(0, numbers.subordinate - bus.number) : 0,
        ...(self !== undefined && { self }),
        ...(bus.dmaDevice !== undefined && { owner: bus.dmaDevice.name }),
        functions: [],
        loose: [],
      };
      for (const device of bus.devices) {
        if (device.isVirtual) {
          if (device.physfn === undefined)
            made.loose.push({ facts: factsOf(device), bus: 0, devfn: device.devfn });
          continue;
        }
        const one: TreeFunction = {
          facts: factsOf(device),
          was: device.name,
          read: device.facts,
          type: device.pcieType,
          devfn: device.devfn,
          virtual: (virtual.get(device) ?? []).map((vf) => ({
            facts: factsOf(vf),
            was: vf.name,
            distance: vf.rid - device.rid,
          })),
        };
        made.functions.push(one);
        this.#place.set(device.name, { one, bus: made });
        if (device.subordinate !== undefined) one.behind = read(device.subordinate, one);
      }
      for (const beside of bus.children) {
        if (beside.self !== undefined) continue;
        for (const device of beside.devices) {
          if (device.physfn !== undefined) continue;
          made.loose.push({
            facts: factsOf(device),
            bus: beside.number - bus.number,
            devfn: device.devfn,
          });
        }
      }
      return made;
    };
    for (const root of topology.rootBuses) this.roots.push(read(root));
  }

  /** A function by its name; absent: there is none, or it was taken out. */
  find(name: string): { one: TreeFunction; bus: TreeBus } | undefined {
    return this.#place.get(name);
  }

  /** The physical function of a virtual one. */
  physicalOf(name: string): string | undefined {
    return this.#virtual.get(name);
  }

  /**
   * What goes and comes as one: on a link everything at its end, elsewhere the functions of one slot. Of the ports of
   * a root bus or a switch each stands for itself.
   */
  card(one: TreeFunction, bus: TreeBus): TreeFunction[] {
    if (bus.self === undefined || isPort(one)) return [one];
    if (isPort(bus.self)) return [...bus.functions];
    return bus.functions.filter((other) => slotOf(other.devfn) === slotOf(one.devfn));
  }

  /** Takes functions off their bus, with everything below them. */
  take(functions: readonly TreeFunction[], bus: TreeBus): void {
    for (const one of functions) bus.functions.splice(bus.functions.indexOf(one), 1);
    for (const one of functions) this.#forget(one);
  }

  /** Puts functions on a bus. */
  put(functions: readonly TreeFunction[], bus: TreeBus): void {
    for (const one of functions) {
      bus.functions.push(one);
      this.#remember(one, bus);
    }
  }

  #forget(one: TreeFunction): void {
    for (const [name, place] of this.#place) if (place.one === one) this.#place.delete(name);
    for (const root of this.roots.filter(({ owner }) => owner !== undefined && owner === one.was)) {
      this.roots.splice(this.roots.indexOf(root), 1);
    }
    for (const below of one.behind?.functions ?? []) this.#forget(below);
  }

  #remember(one: TreeFunction, bus: TreeBus): void {
    if (one.was !== undefined) this.#place.set(one.was, { one, bus });
    const { behind } = one;
    for (const below of behind?.functions ?? []) this.#remember(below, behind!);
  }
}

/** A root port or the downstream port of a switch: a slot is at the other end of its link. */
export function isPort({ type }: TreeFunction): boolean {
  return type === PcieType.RootPort || type === PcieType.Downstream;
}

/** Every function at and below some, parents first. */
export function* below(functions: Iterable<TreeFunction>): Iterable<TreeFunction> {
  for (const one of functions) {
    yield one;
    if (one.behind !== undefined) yield* below(one.behind.functions);
  }
}
