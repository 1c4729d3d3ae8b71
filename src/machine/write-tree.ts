/** A changed tree as the facts of a machine: addresses, paths, bus number registers, and whoever names them. */

import type { PciFacts, Snapshot } from '../host/snapshot.ts';
import { formatAddress } from '../pci/address.ts';
import type { SlotTree, TreeBus, TreeFunction } from './slot-tree.ts';

export interface Written {
  snapshot: Snapshot;
  /** Address after by address before, for everything that is still there. */
  now: Map<string, string>;
  /** What is new, with the function it hangs from: the port, or the physical function. */
  above: Map<string, string>;
}

/** Facts of functions that nothing was done to are the same objects as before. */
export function writeTree(snapshot: Snapshot, tree: SlotTree): Written {
  const writer = new Writer();
  for (const root of tree.roots) writer.bus(root, undefined);
  const { now, above } = writer;
  const order = new Map(snapshot.devices.map(({ address }, at) => [now.get(address), at]));
  const place = ({ address }: PciFacts): number => order.get(address) ?? order.size;
  const devices = writer.devices.sort((a, b) => place(a) - place(b));
  return { snapshot: { ...snapshot, devices, ...namesIn(snapshot, devices, now) }, now, above };
}

class Writer {
  readonly devices: PciFacts[] = [];
  readonly now = new Map<string, string>();
  readonly above = new Map<string, string>();

  /** @param self facts of the bridge that leads there, as they are written */
  bus(bus: TreeBus, self: PciFacts | undefined): void {
    const { domain } = bus;
    const place = bus.self && { above: self?.path };
    for (const one of bus.functions) {
      const address = formatAddress({ domain, bus: bus.number, devfn: one.devfn });
      const facts = withNumbers(placed(one.facts, address, place), one, bus);
      this.#add(facts, one.was, self?.address);
      this.#virtual(one, facts, bus);
      if (one.behind !== undefined) this.bus(one.behind, facts);
    }
    for (const { facts, bus: further, devfn } of bus.loose) {
      const name = formatAddress({ domain, bus: bus.number + further, devfn });
      this.#add(placed(facts, name, place), facts.address, undefined);
    }
  }

  #virtual(one: TreeFunction, { address, path }: PciFacts, { domain, number }: TreeBus): void {
    const folder = path?.split('/').slice(0, -1).join('/');
    for (const { facts, was, distance } of one.virtual) {
      const rid = number * 0x100 + one.devfn + distance;
      const name = formatAddress({ domain, bus: rid >> 8, devfn: rid & 0xff });
      const moved = placed(facts, name, { above: folder });
      const own = typeof facts.physfn !== 'string' || facts.physfn === address;
      this.#add(own ? moved : { ...moved, physfn: address }, was, address);
    }
  }

  #add(facts: PciFacts, was: string | undefined, above: string | undefined): void {
    this.devices.push(facts);
    if (was !== undefined) this.now.set(was, facts.address);
    else if (above !== undefined) this.above.set(facts.address, above);
  }
}

/** @param place absent: where it is; `above`: the path of what it hangs from, where that is known */
function placed(
  facts: PciFacts,
  address: string,
  place: { above: string | undefined } | undefined,
): PciFacts {
  const { path: recorded, ...rest } = facts;
  const moved = address !== facts.address;
  if (place === undefined) return facts;
  const known = place.above !== undefined && (recorded !== undefined || moved);
  const path = known ? `${place.above}/${address}` : undefined;
  if (!moved && path === recorded) return facts;
  return { ...rest, address, ...(path !== undefined && { path }) };
}

/** Bus number registers, in bytes or in words, wherever the source had them. */
function withNumbers(facts: PciFacts, { behind, read }: TreeFunction, bus: TreeBus): PciFacts {
  const recorded = read.bridge;
  if (behind === undefined || !recorded) return facts;
  const numbers = { primary: bus.number, secondary: behind.number, subordinate: behind.last };
  const same =
    recorded.secondary === numbers.secondary &&
    recorded.subordinate === numbers.subordinate &&
    (bus.old === bus.number || recorded.primary === numbers.primary);
  if (same) return facts;
  const { config, said } = facts;
  if (config !== undefined) {
    const bytes = [numbers.primary, numbers.secondary, numbers.subordinate].map(hexByte).join('');
    return { ...facts, config: { ...config, bytes: patched(config.bytes, PRIMARY, bytes) } };
  }
  return said === undefined ? facts : { ...facts, said: { ...said, bridge: numbers } };
}

/** Offset of the primary bus number; secondary and subordinate follow. */
const PRIMARY = 0x18;
const hexByte = (value: number): string => value.toString(16).padStart(2, '0');

/** Hex text with other bytes at an offset; text that ends before is zero there. */
export function patched(bytes: string, at: number, patch: string): string {
  const whole = bytes.padEnd(at * 2 + patch.length, '0');
  return whole.slice(0, at * 2) + patch + whole.slice(at * 2 + patch.length);
}

/** Everything else of a snapshot that names devices. */
function namesIn(
  snapshot: Snapshot,
  devices: readonly PciFacts[],
  now: ReadonlyMap<string, string>,
): Partial<Snapshot> {
  const present = new Set(devices.map(({ address }) => address));
  const recorded = new Set(snapshot.devices.map(({ address }) => address));
  const gone = (name: string): boolean => recorded.has(name) && !now.has(name);
  const pathOf = (path: string): string =>
    path
      .split('/')
      .map((part) => now.get(part) ?? part)
      .join('/');
  const onGone = (path: string | undefined): boolean => path?.split('/').some(gone) === true;
  const others = snapshot.others
    .filter(({ path }) => !onGone(path))
    .map((other) => (other.path === undefined ? other : { ...other, path: pathOf(other.path) }));
  const kept = new Set(others.map(({ name }) => name));
  const lost = new Set(snapshot.others.map(({ name }) => name).filter((name) => !kept.has(name)));
  const renamed = (names: readonly string[]): string[] =>
    names.filter((name) => !gone(name) && !lost.has(name)).map((name) => now.get(name) ?? name);
  return {
    others,
    ...(snapshot.groups !== undefined && {
      groups: snapshot.groups
        .map((group) => ({ ...group, devices: renamed(group.devices) }))
        .filter((group) => group.devices.length > 0),
    }),
    ...(snapshot.iommus !== undefined && {
      iommus: snapshot.iommus
        .filter(({ name }) => !gone(name))
        .map((iommu) => ({
          ...iommu,
          name: now.get(iommu.name) ?? iommu.name,
          ...(iommu.path !== undefined && { path: pathOf(iommu.path) }),
        })),
    }),
    ...(snapshot.deviceOrder !== undefined && {
      deviceOrder: renamed(snapshot.deviceOrder).filter((name) => present.has(name)),
    }),
    ...(snapshot.usage !== undefined && {
      usage: snapshot.usage
        .filter(({ device }) => device === null || !gone(device))
        .map((one) => (one.device === null ? one : { ...one, device: now.get(one.device) ?? one.device })),
    }),
  };
}
