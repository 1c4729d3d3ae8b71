/** One PCI domain of a generated machine, filled shape by shape until it has the wanted number of functions. */

import type { FunctionSpec } from './machine.ts';
import { two } from './machine.ts';
import type { Random } from './random.ts';
import { ACS_FULL, type FunctionSpace, type PcieSpace, PcieType } from './space.ts';

/** What a port offers: isolating, not at all, or only what some real ports have, which counts as isolating. */
const ACS_NONE = undefined;
const ACS_PARTIAL = { capability: 0x03, control: 0x01 };

type Kind = Pick<FunctionSpace, 'vendor' | 'device' | 'class'> & { driver: string | null };
const HOST_BRIDGE: Kind = { vendor: 0x8086, device: 0x2020, class: 0x060000, driver: null };
const INTEGRATED: Kind = { vendor: 0x8086, device: 0xa1ba, class: 0x078000, driver: 'mei_me' };
const ROOT_PORT: Kind = { vendor: 0x8086, device: 0x2030, class: 0x060400, driver: 'pcieport' };
const SWITCH_PORT: Kind = { vendor: 0x1000, device: 0xc030, class: 0x060400, driver: 'pcieport' };
const PCI_BRIDGE: Kind = { vendor: 0x12d8, device: 0xe111, class: 0x060400, driver: null };
const SOUND: Kind = { vendor: 0x13f6, device: 0x8788, class: 0x040100, driver: 'snd_virtuoso' };
const GPU: Kind = { vendor: 0x10de, device: 0x2484, class: 0x030000, driver: 'nouveau' };
const GPU_AUDIO: Kind = { vendor: 0x10de, device: 0x228b, class: 0x040300, driver: 'snd_hda_intel' };
const NETWORK: Kind = { vendor: 0x15b3, device: 0x101d, class: 0x020000, driver: 'mlx5_core' };
const NETWORK_VF: Kind = { vendor: 0x15b3, device: 0x101e, class: 0x020000, driver: 'mlx5_core' };
const DISKS: readonly Kind[] = [
  { vendor: 0x144d, device: 0xa80a, class: 0x010802, driver: 'nvme' },
  { vendor: 0x8086, device: 0x0a54, class: 0x010802, driver: 'nvme' },
];

/** Bus numbers of a domain, less some for a shape that needs several. */
const LAST_BUS = 250;
/** Root ports per root bus, so that a domain gets several. */
const SLOTS = 16;

interface Bus {
  number: number;
  /** Functions in slot order, and the bus behind each that is a bridge. */
  functions: { spec: FunctionSpec; behind?: Bus }[];
}

export class DomainBuilder {
  readonly functions: FunctionSpec[] = [];
  readonly #domain: string;
  readonly #random: Random;
  readonly #wanted: number;
  readonly #label = new Map<FunctionSpec, string>();
  readonly #roots: Bus[] = [];
  readonly #virtual: FunctionSpec[] = [];
  #lastBus = -1;

  constructor(domain: number, random: Random, wanted: number) {
    this.#domain = domain.toString(16).padStart(4, '0');
    this.#random = random;
    this.#wanted = wanted;
  }

  fill(): void {
    while (this.#left > 0 && this.#lastBus < LAST_BUS) this.#rootBus();
    this.functions.sort((a, b) => (a.at < b.at ? -1 : 1));
  }

  /** Physical functions as the kernel's bus scan meets them, then virtual ones; each with the group it belongs to. */
  *scanned(kind: 'physical' | 'virtual'): Generator<{ address: string; group: string }> {
    const functions = kind === 'virtual' ? this.#virtual : this.#roots.flatMap(scan);
    for (const spec of functions) {
      yield { address: spec.at, group: `${this.#domain} ${this.#label.get(spec) ?? spec.at}` };
    }
  }

  get #left(): number {
    return this.#wanted - this.functions.length;
  }

  #rootBus(): void {
    const root = this.#newBus();
    this.#roots.push(root);
    this.#place(root, 0, 0, HOST_BRIDGE, {}, undefined);
    let slot = 1;
    while (slot <= SLOTS && this.#left > 1 && this.#lastBus < LAST_BUS) this.#rootPorts(root, slot++);
    // What two functions of a port and its endpoint cannot fill.
    if (this.#left === 1) this.#place(root, slot, 0, INTEGRATED, {}, undefined);
  }

  /** One to four ports in a slot: those without ACS share a group, with all that is below them. */
  #rootPorts(root: Bus, slot: number): void {
    const functions = this.#left < 16 ? 1 : this.#random.pick([1, 1, 2, 4]);
    for (let fn = 0; fn < functions && this.#left > 1 && this.#lastBus < LAST_BUS; fn++) {
      const acs = this.#acs();
      const label = acs === ACS_NONE ? `slot ${two(root.number)}:${slot}` : undefined;
      this.#port(
        root,
        [slot, fn],
        ROOT_PORT,
        { type: PcieType.RootPort, acs, multifunction: functions > 1, label },
        (below) => this.#belowPort(below, label, 0),
      );
    }
  }

  #belowPort(bus: Bus, captured: string | undefined, depth: number): void {
    const choice = this.#random.next();
    if (this.#left === 0) return;
    if (choice < 0.2 && this.#left >= 2) this.#gpu(bus, captured);
    else if (choice < 0.4 && this.#left >= 5) this.#network(bus, captured);
    else if (choice < 0.6 && this.#left >= 5 && depth === 0 && this.#lastBus < LAST_BUS - 8)
      this.#switch(bus, captured);
    else if (choice < 0.65 && this.#left >= 3) this.#conventional(bus, captured);
    else this.#place(bus, 0, 0, this.#random.pick(DISKS), { pcie: endpoint(true) }, captured);
  }

  /** Two functions without ACS: one group. */
  #gpu(bus: Bus, captured: string | undefined): void {
    const label = captured ?? `slot ${two(bus.number)}:0`;
    const common = { pcie: endpoint(false), multifunction: true };
    this.#place(bus, 0, 0, GPU, common, label);
    this.#place(bus, 0, 1, GPU_AUDIO, common, label);
  }

  /** Virtual functions behind the physical one on its bus, or on a bus number of their own. */
  #network(bus: Bus, captured: string | undefined): void {
    const vfs = Math.min(this.#random.pick([4, 8, 16, 64]), this.#left - 1);
    const own = this.#lastBus < LAST_BUS && this.#random.chance(0.25);
    const offset = own ? 0x100 : 8;
    if (own) this.#lastBus++;
    const physical = this.#place(
      bus,
      0,
      0,
      NETWORK,
      {
        pcie: endpoint(true),
        ari: { next: 0 },
        sriov: { vfs, offset, stride: 1, device: NETWORK_VF.device },
      },
      captured,
    );
    for (let i = 0; i < vfs; i++) {
      const devfn = (offset + i) % 0x100;
      const spec = this.#add(
        own ? bus.number + 1 : bus.number,
        devfn >> 3,
        devfn & 7,
        NETWORK_VF,
        {
          pcie: endpoint(true),
          ari: { next: 0 },
          physfn: physical.at,
        },
        captured,
      );
      this.#virtual.push(spec);
    }
  }

  /** Ports below without ACS keep what is behind them to themselves, and do not join each other. */
  #switch(bus: Bus, captured: string | undefined): void {
    const ports = this.#random.between(2, 8);
    this.#port(bus, [0, 0], SWITCH_PORT, { type: PcieType.Upstream, label: captured }, (inside) => {
      for (let slot = 0; slot < ports && this.#left > 1 && this.#lastBus < LAST_BUS; slot++) {
        const acs = this.#acs();
        const label = captured ?? (acs === ACS_NONE ? `port ${two(inside.number)}:${slot}` : undefined);
        this.#port(inside, [slot, 0], SWITCH_PORT, { type: PcieType.Downstream, acs, label }, (below) =>
          this.#belowPort(below, label, 1),
        );
      }
    });
  }

  /** Everything on a conventional bus appears under the bridge's number: one group with the bridge. */
  #conventional(bus: Bus, captured: string | undefined): void {
    const label = captured ?? `bridge ${two(bus.number)}`;
    this.#port(bus, [0, 0], PCI_BRIDGE, { type: PcieType.PciBridge, label }, (below) => {
      for (let slot = 4; slot < 6 && this.#left > 0; slot++) this.#place(below, slot, 0, SOUND, {}, label);
    });
  }

  #acs(): FunctionSpace['acs'] {
    const choice = this.#random.next();
    return choice < 0.75 ? ACS_FULL : choice < 0.85 ? ACS_PARTIAL : ACS_NONE;
  }

  #port(
    bus: Bus,
    [slot, fn]: readonly [number, number],
    kind: Kind,
    port: { type: number; acs?: FunctionSpace['acs']; multifunction?: boolean; label: string | undefined },
    fill: (below: Bus) => void,
  ): void {
    const spec = this.#add(
      bus.number,
      slot,
      fn,
      kind,
      {
        pcie: { type: port.type, slot: true, ariForwarding: 'on' },
        ...(port.acs !== undefined && { acs: port.acs }),
        ...(port.multifunction === true && { multifunction: true }),
      },
      port.label,
    );
    const behind = this.#newBus();
    bus.functions.push({ spec, behind });
    fill(behind);
    spec.bridge = { primary: bus.number, secondary: behind.number, subordinate: this.#lastBus };
  }

  #newBus(): Bus {
    return { number: ++this.#lastBus, functions: [] };
  }

  #place(
    bus: Bus,
    slot: number,
    fn: number,
    kind: Kind,
    more: Partial<FunctionSpec>,
    label: string | undefined,
  ): FunctionSpec {
    const spec = this.#add(bus.number, slot, fn, kind, more, label);
    bus.functions.push({ spec });
    return spec;
  }

  #add(
    bus: number,
    slot: number,
    fn: number,
    kind: Kind,
    more: Partial<FunctionSpec>,
    label: string | undefined,
  ): FunctionSpec {
    const at = `${this.#domain}:${two(bus)}:${two(slot)}.${fn}`;
    const spec: FunctionSpec = { ...kind, ...more, at, subsystem: [kind.vendor, 0x0001], iommu: 'dmar0' };
    this.functions.push(spec);
    if (label !== undefined) this.#label.set(spec, label);
    return spec;
  }
}

/** All functions of a bus, then those behind each of its bridges. */
function scan(bus: Bus): FunctionSpec[] {
  const below = bus.functions.flatMap(({ behind }) => (behind === undefined ? [] : scan(behind)));
  return [...bus.functions.map(({ spec }) => spec), ...below];
}

function endpoint(flr: boolean): PcieSpace {
  return { type: PcieType.Endpoint, flr, link: [3, 4] };
}
