/**
 * Which functions DMAR scopes name (`dmar_insert_dev_scope`).
 *
 * A scope is a way down from a root bus. Firmware that gives a single step from another bus means the function on
 * that very bus; the kernel takes it so. Virtual functions, and domains the table cannot count to, are never named.
 */

import { devfn } from '../../pci/address.ts';
import type { PciBus } from '../../pci/bus.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { PciTopology } from '../../pci/topology.ts';
import type { DeviceScope } from '../firmware/device-scope.ts';

/** Last segment a DMAR record can name. */
export const LAST_SEGMENT = 0xffff;
const BRIDGE_CLASS = 0x06;

/** The function a scope leads to, if it is there. */
function resolveScope(topology: PciTopology, segment: number, scope: DeviceScope): PciDevice | undefined {
  const first = scope.path[0];
  if (first === undefined || (scope.kind !== 'endpoint' && scope.kind !== 'bridge')) return undefined;
  const start = topology.findBus(segment, scope.bus);
  if (start === undefined) return undefined;
  if (scope.path.length > 1 && !start.isRoot) return undefined;
  let bus: PciBus | undefined = start;
  let found: PciDevice | undefined;
  for (const step of scope.path) {
    found = bus?.deviceAt(devfn(step.device, step.function));
    bus = found?.subordinate;
  }
  return found?.isVirtual ? undefined : found;
}

/** A function of the other kind than its scope says: the kernel then gives up on VT-d altogether. */
function scopeMismatch(scope: DeviceScope, device: PciDevice): boolean {
  const { headerType } = device.facts;
  if (headerType === undefined || device.class === undefined) return false;
  if (scope.kind === 'endpoint') return headerType !== 0;
  return headerType === 0 && device.class >>> 16 !== BRIDGE_CLASS;
}

/** Holds values by the functions that scopes name, and by the buses below bridges they name. */
export class ScopeIndex<T> {
  readonly #devices = new Map<PciDevice, T[]>();
  readonly #buses = new Map<number, T[]>();
  /** Scopes whose kind does not fit the function they name. */
  readonly mismatches: PciDevice[] = [];
  readonly #segmentCounts: boolean;

  /** @param options.segmentCounts false: a bridge stands for its bus numbers on every segment */
  constructor(options: { segmentCounts?: boolean } = {}) {
    this.#segmentCounts = options.segmentCounts ?? true;
  }

  /** @returns functions that were found */
  add(topology: PciTopology, segment: number, scopes: readonly DeviceScope[], value: T): PciDevice[] {
    const found = new Set<PciDevice>();
    for (const scope of scopes) {
      const device = resolveScope(topology, segment, scope);
      if (device === undefined || found.has(device)) continue;
      if (scopeMismatch(scope, device)) this.mismatches.push(device);
      found.add(device);
      push(this.#devices, device, value);
      const behind = device.facts.bridge;
      if (!behind) continue;
      for (let bus = behind.secondary; bus <= behind.subordinate; bus++) {
        push(this.#buses, this.#busKey(segment, bus), value);
      }
    }
    return [...found];
  }

  /** Values of scopes that name `device`, or a bridge whose range holds its bus (`is_downstream_to_pci_bridge`). */
  of(device: PciDevice): T[] {
    const direct = this.#devices.get(device) ?? [];
    if (this.#segmentCounts && device.domain > LAST_SEGMENT) return direct;
    const below = this.#buses.get(this.#busKey(device.domain, device.pciBus.number)) ?? [];
    return below.length === 0 ? direct : [...new Set([...direct, ...below])];
  }

  #busKey(segment: number, bus: number): number {
    return this.#segmentCounts ? segment * 0x100 + bus : bus;
  }
}

function push<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else if (list.at(-1) !== value) list.push(value);
}
