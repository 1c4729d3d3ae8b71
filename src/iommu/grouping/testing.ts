/**
 * For tests: machines written down as trees, and groups formed without the rest of the model.
 *
 *     const machine = build([
 *       rootPort('1.0', { acs: 'full', name: 'RP' }, [
 *         endpoint('0.0', { name: 'f0' }),
 *         endpoint('0.1', { name: 'f1' }),
 *       ]),
 *     ]);
 *     partition(machine)   // [['RP'], ['f0', 'f1']]
 *
 * Bus numbers are given out depth first. A slot with several functions is multifunction without being told.
 */

import type { Device } from '../../device/device.ts';
import { AcsContext } from '../../pci/acs.ts';
import type { PciDevice, PciFunctionInit } from '../../pci/device.ts';
import { type AcsFacts, type Fact, type FunctionFacts, PcieType } from '../../pci/facts.ts';
import { PciTopology } from '../../pci/topology.ts';
import { createPolicy, DEFAULT_POLICY, type PolicyContext, type PolicyName } from './index.ts';
import type { GroupingPolicy } from './policy.ts';
import type { Reason } from './reason.ts';

/**
 * `full`: all of SV RR CR UF there and on. `off`: there and off. `empty`: the capability with no bit in it.
 * `none`: no capability. `unknown`: could not be read. A number: those bits, all on.
 */
export type Acs = 'full' | 'off' | 'empty' | 'none' | 'unknown' | number | AcsFacts;

export interface NodeOptions {
  /** What `partition` calls it; absent: its short address. */
  name?: string;
  acs?: Acs;
  vendor?: number;
  device?: number;
  class?: number;
  /** Header bit; absent: whether the slot has several functions. */
  multifunction?: boolean | undefined;
  /** Virtual functions, the first `offset` ids away from the function. */
  vfs?: { count: number; offset: number; stride?: number };
  /** Anything else to be different. */
  facts?: Partial<FunctionFacts>;
}

export interface Node extends NodeOptions {
  /** `slot.function`, at top level also `bus:slot.function`. */
  at: string;
  type: number | null;
  below?: Node[];
}

export const rootPort = (at: string, options: NodeOptions = {}, below: Node[] = []): Node => ({
  ...options,
  at,
  type: PcieType.RootPort,
  below,
});
export const upstream = (at: string, options: NodeOptions = {}, below: Node[] = []): Node => ({
  ...options,
  at,
  type: PcieType.Upstream,
  below,
});
export const downstream = (at: string, options: NodeOptions = {}, below: Node[] = []): Node => ({
  ...options,
  at,
  type: PcieType.Downstream,
  below,
});
/** PCIe-to-PCI bridge. */
export const pciBridge = (at: string, options: NodeOptions = {}, below: Node[] = []): Node => ({
  ...options,
  at,
  type: PcieType.PciBridge,
  below,
});
/** Conventional bridge. */
export const oldBridge = (at: string, options: NodeOptions = {}, below: Node[] = []): Node => ({
  ...options,
  at,
  type: null,
  below,
});
export const endpoint = (at: string, options: NodeOptions = {}): Node => ({
  ...options,
  at,
  type: PcieType.Endpoint,
});
/** Conventional device. */
export const card = (at: string, options: NodeOptions = {}): Node => ({ ...options, at, type: null });
export const integrated = (at: string, options: NodeOptions = {}): Node => ({
  ...options,
  at,
  type: PcieType.IntegratedEndpoint,
});
export const eventCollector = (at: string, options: NodeOptions = {}): Node => ({
  ...options,
  at,
  type: PcieType.EventCollector,
});

export interface TestMachine {
  topology: PciTopology;
  /** By the name given, or the short address. */
  get(name: string): PciDevice;
  nameOf(device: Device): string;
}

/** What a function says of itself when nothing special is written down. */
export function plainFacts(type: number | null, options: NodeOptions = {}): FunctionFacts {
  return {
    headerType: 0,
    multifunctionBit: options.multifunction,
    bridge: null,
    pcie: type === null ? null : { type },
    acs: acsFacts(options.acs ?? 'none'),
    ari: null,
    sriov: null,
    pmReset: null,
    afFlr: null,
    pasid: null,
    ats: null,
    iommuCapability: null,
    ...options.facts,
  };
}

const REQUIRED = 0x1d;
/** Ids no table knows. */
const NO_QUIRK = { vendor: 0x1234, device: 0x5678 };

function acsFacts(acs: Acs): Fact<AcsFacts> {
  if (typeof acs === 'object') return acs;
  if (typeof acs === 'number') return { capability: acs, control: acs };
  const words: Record<Exclude<Acs, number | AcsFacts>, Fact<AcsFacts>> = {
    full: { capability: 0x5f, control: REQUIRED },
    off: { capability: 0x5f, control: 0 },
    empty: { capability: 0, control: 0 },
    none: null,
    unknown: undefined,
  };
  return words[acs];
}

/** Functions of a tree, in the form the topology takes them. */
export function functionsOf(
  nodes: Node[],
  domain = 0,
): { functions: PciFunctionInit[]; names: Map<string, string> } {
  const functions: PciFunctionInit[] = [];
  const names = new Map<string, string>();
  let lastBus = 0;

  const visit = (siblings: Node[], bus: number) => {
    for (const node of siblings) {
      const slot = node.at.split('.')[0];
      const shared = siblings.filter((other) => other.at.split('.')[0] === slot).length > 1;
      const [devfnText, busNumber] = splitAt(node.at, bus);
      const facts = plainFacts(node.type, { multifunction: shared, ...node });
      const init: PciFunctionInit = {
        address: fullAddress(domain, busNumber, devfnText),
        facts,
        physfn: null,
        vendor: node.vendor ?? NO_QUIRK.vendor,
        device: node.device ?? NO_QUIRK.device,
        class: node.class ?? (node.below ? 0x060400 : 0x020000),
      };
      functions.push(init);
      names.set(init.address, node.name ?? shortAddress(init.address));
      lastBus = Math.max(lastBus, busNumber);
      if (node.vfs) addVirtualFunctions(init, node, busNumber, devfnText);
      if (node.below) {
        const secondary = ++lastBus;
        visit(node.below, secondary);
        facts.headerType = 1;
        facts.bridge = { primary: busNumber, secondary, subordinate: lastBus };
      }
    }
  };

  const addVirtualFunctions = (pf: PciFunctionInit, node: Node, bus: number, devfnText: string) => {
    const { count, offset, stride = 1 } = node.vfs!;
    const [slot = 0, fn = 0] = devfnText.split('.').map((part) => Number.parseInt(part, 16));
    const first = bus * 256 + slot * 8 + fn + offset;
    pf.facts.sriov = { enabled: true, numVfs: count, totalVfs: count, offset, stride };
    for (let n = 0; n < count; n++) {
      const id = first + n * stride;
      const facts = plainFacts(PcieType.Endpoint, { multifunction: false });
      const address = fullAddress(domain, id >> 8, `${((id >> 3) & 31).toString(16)}.${id & 7}`);
      functions.push({ address, facts, physfn: pf.address, ...NO_QUIRK });
      names.set(address, node.name === undefined ? shortAddress(address) : `${node.name} VF${n}`);
      lastBus = Math.max(lastBus, id >> 8);
    }
  };

  visit(nodes, 0);
  return { functions, names };
}

/** A topology of a tree. */
export function build(nodes: Node[], domain = 0): TestMachine {
  const { functions, names } = functionsOf(nodes, domain);
  const topology = PciTopology.build(functions);
  const addresses = new Map([...names].map(([address, name]) => [name, address]));
  return {
    topology,
    get(name) {
      const device = topology.find(addresses.get(name) ?? name);
      if (!device) throw new Error(`test machine has no ${name}`);
      return device;
    },
    nameOf: (device) => names.get(device.name) ?? device.name,
  };
}

/** The ACS tests of a machine with nothing special about it. */
export const plainAcs = (): AcsContext => new AcsContext({ ivrs: false });

export interface Formed {
  /** Members by device name, in the order they joined; group numbers are indexes. */
  groups: string[][];
  groupOf: Map<Device, number>;
  reasons: Map<string, Reason>;
}

export interface FormOptions {
  policy?: PolicyName | GroupingPolicy;
  context?: Partial<PolicyContext>;
  /** Names of devices no IOMMU translates. */
  untranslated?: string[];
  /** Other order of probing than the kernel's. */
  order?: PciDevice[];
}

/** What the boot walk does, with numbers for groups. */
export function form(machine: TestMachine, options: FormOptions = {}): Formed {
  const { policy = DEFAULT_POLICY } = options;
  const rule =
    typeof policy === 'string' ? createPolicy(policy, { acs: plainAcs(), ...options.context }) : policy;
  const groups: string[][] = [];
  const groupOf = new Map<Device, number>();
  const reasons = new Map<string, Reason>();
  for (const device of options.order ?? machine.topology.devices) {
    const name = machine.nameOf(device);
    if (options.untranslated?.includes(name)) continue;
    const { group, reason } = rule.deviceGroup(device, (other) => groupOf.get(other));
    const id = group ?? groups.push([]) - 1;
    groups[id]?.push(name);
    groupOf.set(device, id);
    reasons.set(name, reason);
  }
  return { groups, groupOf, reasons };
}

/** Groups by the names of their members, in the order of their numbers. */
export function partition(machine: TestMachine, options: FormOptions = {}): string[][] {
  return form(machine, options).groups;
}

function splitAt(at: string, bus: number): [devfn: string, bus: number] {
  const [first = '', rest] = at.split(':');
  return rest === undefined ? [first, bus] : [rest, Number.parseInt(first, 16)];
}

function fullAddress(domain: number, bus: number, devfnText: string): string {
  const [slot = '', fn = ''] = devfnText.split('.');
  return `${domain.toString(16).padStart(4, '0')}:${bus.toString(16).padStart(2, '0')}:${slot.padStart(2, '0')}.${fn}`;
}

function shortAddress(address: string): string {
  return address.replace(/^0000:/, '');
}
