/** A machine, written down function by function, as the snapshot a reader would make of it. */

import type { GroupFacts, IommuFacts, OtherFacts, PciFacts, Snapshot } from '../../src/host/snapshot.ts';
import { SNAPSHOT_VERSION } from '../../src/host/snapshot.ts';
import { configSpace, type FunctionSpace, virtualSpace } from './space.ts';

export interface FunctionSpec extends FunctionSpace {
  /** Address, full or without domain. */
  at: string;
  driver?: string | null;
  /** Makes it a virtual function of that one; ids in its space then read ffff. */
  physfn?: string;
  /** Instance that translates it; `null`: none. */
  iommu?: string | null;
  /** Everything else is taken over as it stands. */
  facts?: Partial<PciFacts>;
}

export interface MachineSpec {
  board?: string;
  arch?: string;
  kernel?: Snapshot['kernel'];
  form?: Snapshot['form'];
  functions: readonly FunctionSpec[];
  others?: OtherFacts[];
  groups?: GroupFacts[];
  iommus?: IommuFacts[];
  acpi?: Record<string, Uint8Array>;
}

export function machine(spec: MachineSpec): Snapshot {
  const paths = new Paths(spec.functions);
  return {
    ringfence: 'snapshot',
    version: SNAPSHOT_VERSION,
    form: spec.form ?? 'live',
    ...(spec.board !== undefined && { board: spec.board }),
    arch: spec.arch ?? 'x86_64',
    kernel: spec.kernel ?? {},
    devices: spec.functions.map((one) => functionFacts(one, paths)),
    others: spec.others ?? [],
    ...(spec.groups !== undefined && { groups: spec.groups }),
    ...(spec.iommus !== undefined && { iommus: spec.iommus }),
    acpi: Object.fromEntries(Object.entries(spec.acpi ?? {}).map(([name, table]) => [name, hex(table)])),
  };
}

/** One function's facts; `paths` knows the bridges above it. */
export function functionFacts(spec: FunctionSpec, paths: Paths): PciFacts {
  const address = full(spec.at);
  const space = spec.physfn === undefined ? configSpace(spec) : virtualSpace(spec);
  return {
    address,
    path: paths.of(spec),
    vendor: spec.vendor,
    device: spec.device,
    ...(spec.subsystem !== undefined && {
      subsystemVendor: spec.subsystem[0],
      subsystemDevice: spec.subsystem[1],
    }),
    class: spec.class,
    revision: spec.revision ?? 0,
    config: { bytes: hex(withoutTail(space)), read: space.length, size: space.length },
    driver: spec.driver ?? null,
    physfn: spec.physfn === undefined ? null : full(spec.physfn),
    ...(spec.iommu !== undefined && { iommu: spec.iommu }),
    ...spec.facts,
  };
}

/** Paths below /sys/devices, from the bus numbers of the bridges. */
export class Paths {
  readonly #bridges = new Map<string, FunctionSpec>();
  readonly #functions = new Map<string, FunctionSpec>();
  readonly #known = new Map<FunctionSpec, string>();

  constructor(functions: Iterable<FunctionSpec>) {
    for (const one of functions) {
      const address = full(one.at);
      this.#functions.set(address, one);
      if (one.bridge !== undefined)
        this.#bridges.set(`${address.slice(0, -8)}:${two(one.bridge.secondary)}`, one);
    }
  }

  of(spec: FunctionSpec): string {
    const known = this.#known.get(spec);
    if (known !== undefined) return known;
    const address = full(spec.at);
    const path = `${this.#above(spec, address)}/${address}`;
    this.#known.set(spec, path);
    return path;
  }

  #above(spec: FunctionSpec, address: string): string {
    // A virtual function hangs where its physical one does, whatever bus its number lies on.
    const physical = spec.physfn === undefined ? undefined : this.#functions.get(full(spec.physfn));
    if (physical !== undefined) return this.of(physical).split('/').slice(0, -1).join('/');
    const bus = address.slice(0, -5);
    const bridge = this.#bridges.get(bus);
    return bridge === undefined ? `pci${bus}` : this.of(bridge);
  }
}

/** `01:00.0` is in domain 0. */
export function full(address: string): string {
  return address.split(':').length === 2 ? `0000:${address}` : address;
}

export function two(number: number): string {
  return number.toString(16).padStart(2, '0');
}

/** Bytes past the last one that is not zero say nothing. */
function withoutTail(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
