/** Everything known of a device or a group. */

import { factsOf } from '../host/facts.ts';
import type { PciFacts } from '../host/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { acsBitNames } from '../pci/acs-bits.ts';
import type { PciDevice } from '../pci/device.ts';
import { type FunctionFacts, PcieType } from '../pci/facts.ts';
import { resetAnswers } from '../pci/reset.ts';
import { type Describer, sortNames } from './describe.ts';
import { requesterId } from './reason-words.ts';
import { type AcsShown, REPORT_VERSION, type ShowDevice, type ShowGroup, type ShowReport } from './report.ts';
import { stableName } from './stable-name.ts';

const TYPE_NAMES: Record<number, string> = {
  [PcieType.Endpoint]: 'endpoint',
  [PcieType.LegacyEndpoint]: 'legacy endpoint',
  [PcieType.RootPort]: 'root port',
  [PcieType.Upstream]: 'switch upstream port',
  [PcieType.Downstream]: 'switch downstream port',
  [PcieType.PciBridge]: 'PCIe to PCI bridge',
  [PcieType.PcieBridge]: 'PCI to PCIe bridge',
  [PcieType.IntegratedEndpoint]: 'root complex integrated endpoint',
  [PcieType.EventCollector]: 'root complex event collector',
};

const word = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

export function showReport(
  describer: Describer,
  machine: Machine,
  devices: string[],
  groups: number[],
): ShowReport {
  return {
    report: 'show',
    version: REPORT_VERSION,
    host: describer.host(),
    devices: devices.map((name) => showDevice(describer, machine, name)),
    groups: groups.flatMap((id) => showGroup(describer, machine, id) ?? []),
  };
}

/** A group by number: the kernel's where it formed any, else the rules'. */
export function showGroup(describer: Describer, machine: Machine, id: number): ShowGroup | undefined {
  const formed = describer.snapshot.groups;
  if (formed !== undefined && formed.length > 0) {
    const group = formed.find((other) => other.id === id);
    if (group === undefined) return undefined;
    return {
      id,
      source: 'kernel',
      ...(group.type !== undefined && { type: group.type }),
      ...(group.name !== undefined && { name: group.name }),
      devices: describer.lines(group.devices),
      ...(group.reservedRegions !== undefined && { reservedRegions: group.reservedRegions }),
    };
  }
  const group = machine.groups().find((other) => other.id === id);
  if (group === undefined) return undefined;
  return {
    id,
    source: 'predicted',
    type: group.type,
    devices: describer.lines(group.devices),
    reservedRegions: group.reservedRegions,
  };
}

function showDevice(describer: Describer, machine: Machine, name: string): ShowDevice {
  const recorded = describer.facts(name);
  const device = machine.pci.find(name);
  if (recorded === undefined || device === undefined) return bareDevice(describer, machine, name);
  const facts = factsOf(recorded);
  const subsystem = describer.subsystemName(recorded);
  return {
    device: describer.line(name),
    ...(recorded.path !== undefined && { path: `/sys/devices/${recorded.path}` }),
    ...groupField(describer, machine, name),
    ...(subsystem !== undefined && { subsystemName: subsystem }),
    ...pcieField(facts),
    multifunction: device.multifunction,
    ...(facts.bridge && {
      bridge: {
        primary: word(facts.bridge.primary, 2),
        secondary: word(facts.bridge.secondary, 2),
        subordinate: word(facts.bridge.subordinate, 2),
      },
    }),
    ...(facts.acs !== undefined && { acs: facts.acs === null ? null : acsShown(facts.acs) }),
    isolates: machine.acs(name),
    aliases: machine
      .aliases(name)
      .map(({ device: as, requesterId: rid }) => `${requesterId(rid)} through ${as}`),
    ...sriovField(machine, device, facts),
    ...(recorded.physfn !== undefined && { physfn: recorded.physfn }),
    reset: resetField(machine, recorded, device),
    quirks: machine.quirks(name),
    ...(recorded.modules !== undefined && { modules: recorded.modules }),
    ...(recorded.driverOverride !== undefined && { driverOverride: recorded.driverOverride }),
    ...(recorded.bootVga !== undefined && { bootVga: recorded.bootVga }),
    ...(recorded.removable !== undefined && { removable: recorded.removable }),
    ...(recorded.irq !== undefined && recorded.irq > 0 && { irq: recorded.irq }),
    capabilities: capabilities(facts),
    reservedRegions: machine.reservedRegions(name),
    parents: machine.bridgesAbove(name),
    stableName: stableName(machine, name),
    unknown: unknownFacts(facts),
  };
}

/** A device of another bus: what the recording says is little. */
function bareDevice(describer: Describer, machine: Machine, name: string): ShowDevice {
  const other = describer.snapshot.others.find((facts) => facts.name === name);
  return {
    device: describer.line(name),
    ...(other?.path !== undefined && { path: `/sys/devices/${other.path}` }),
    ...groupField(describer, machine, name),
    aliases: [],
    reset: { methods: [], from: 'kernel', unknown: [], scope: [] },
    quirks: [],
    capabilities: [],
    parents: [],
    stableName: name,
    unknown: [],
  };
}

function groupField(describer: Describer, machine: Machine, name: string): Pick<ShowDevice, 'group'> {
  const formed = describer.snapshot.groups;
  if (formed !== undefined && formed.length > 0) {
    const group = formed.find((other) => other.devices.includes(name));
    if (group === undefined) return { group: null };
    const members = sortNames(group.devices);
    return {
      group: {
        id: group.id,
        source: 'kernel',
        ...(group.type !== undefined && { type: group.type }),
        members,
      },
    };
  }
  const group = machine.groupOf(name);
  if (group === undefined) return { group: null };
  return {
    group: { id: group.id, source: 'predicted', type: group.type, members: sortNames(group.devices) },
  };
}

function pcieField(facts: FunctionFacts): Pick<ShowDevice, 'pcieType'> {
  if (facts.pcie === undefined) return {};
  return {
    pcieType: facts.pcie === null ? null : (TYPE_NAMES[facts.pcie.type] ?? `type ${facts.pcie.type}`),
  };
}

function acsShown(acs: { capability: number; control: number }): AcsShown {
  return {
    offered: acsBitNames(acs.capability),
    on: acsBitNames(acs.control),
    capability: word(acs.capability, 4),
    control: word(acs.control, 4),
  };
}

function sriovField(machine: Machine, device: PciDevice, facts: FunctionFacts): Pick<ShowDevice, 'sriov'> {
  if (facts.sriov === undefined) return {};
  if (facts.sriov === null) return { sriov: null };
  const vfs = machine.pci.devices.filter((other) => other.physfn === device).map((other) => other.name);
  const { enabled, numVfs, totalVfs } = facts.sriov;
  return { sriov: { enabled, numVfs, totalVfs, vfs } };
}

/** Methods as the kernel lists them, else as the capabilities offer them; and who else a bus reset hits. */
function resetField(machine: Machine, recorded: PciFacts, device: PciDevice): ShowDevice['reset'] {
  const answers = resetAnswers(device);
  const offered = answers.filter(({ available }) => available === true).map(({ method }) => method as string);
  // ACPI methods stand in tables that no recording holds; that alone is not worth a word on every device.
  const open = answers.filter(({ method, available }) => available === undefined && method !== 'acpi');
  const methods = recorded.resetMethods ?? offered;
  const onBus = machine.pci.devices
    .filter((other) => other.pciBus === device.pciBus)
    .map((other) => other.name);
  return {
    methods,
    from: recorded.resetMethods === undefined ? 'capabilities' : 'kernel',
    unknown: recorded.resetMethods === undefined ? open.map(({ method }) => method) : [],
    scope: methods.includes('bus') ? onBus : [],
  };
}

const CAPABILITY_FACTS = ['pcie', 'acs', 'ari', 'sriov', 'ats', 'pasid', 'afFlr'] as const;
const CAPABILITY_NAMES = {
  pcie: 'PCIe',
  acs: 'ACS',
  ari: 'ARI',
  sriov: 'SR-IOV',
  ats: 'ATS',
  pasid: 'PASID',
  afFlr: 'AF',
};

function capabilities(facts: FunctionFacts): string[] {
  return CAPABILITY_FACTS.filter((name) => facts[name]).map((name) => CAPABILITY_NAMES[name]);
}

/** Facts that could not be read, by the names of `capabilities`. */
function unknownFacts(facts: FunctionFacts): string[] {
  return CAPABILITY_FACTS.filter((name) => facts[name] === undefined).map((name) => CAPABILITY_NAMES[name]);
}
