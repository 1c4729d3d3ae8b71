/** What a device is, and what else there is of its kind: bridges, virtual functions, siblings, twins. */

import { factsOf } from '../host/facts.ts';
import type { PciFacts } from '../host/snapshot.ts';
import { isVfioDriver } from '../machine/drivers.ts';
import type { Machine } from '../machine/machine.ts';
import type { PciDevice } from '../pci/device.ts';
import type { Findings } from './check-findings.ts';
import { enumerate } from './check-use.ts';
import type { Describer } from './describe.ts';
import type { Shorten } from './reason-words.ts';
import { shortener } from './shorten.ts';
import { stableName } from './stable-name.ts';

const PASSING_BRIDGES = new Set([0x0604, 0x0607, 0x0609]);
/** VGA compatible, and VGA from before there were classes: sysfs has `boot_vga` for these only. */
const VGA = new Set([0x0300, 0x0001]);
const SYSTEM_DEVICES = new Map([
  [0x0600, 'a host bridge'],
  [0x0601, 'an ISA bridge, behind which firmware and clock live'],
  [0x0806, 'an IOMMU'],
]);

/** `undefined`: cannot be told. */
export function isBridge(facts: PciFacts): boolean | undefined {
  const { headerType } = factsOf(facts);
  if (headerType !== undefined) return headerType !== 0;
  return facts.class === undefined ? undefined : PASSING_BRIDGES.has(facts.class >> 8);
}

interface Case {
  describer: Describer;
  machine: Machine;
  findings: Findings;
  names: readonly string[];
  /** Devices that another finding names already. */
  blamed: ReadonlySet<string>;
  shorten: Shorten;
}

interface One {
  name: string;
  facts: PciFacts;
  device: PciDevice;
}

export function checkFunctions(
  describer: Describer,
  machine: Machine,
  findings: Findings,
  names: readonly string[],
  blamed: ReadonlySet<string>,
): void {
  const at: Case = { describer, machine, findings, names, blamed, shorten: shortener(describer.snapshot) };
  for (const name of names) {
    const facts = describer.facts(name);
    const device = machine.pci.find(name);
    if (facts === undefined || device === undefined) continue;
    const one = { name, facts, device };
    checkKind(at, one);
    checkPhysical(at, one);
    checkVirtual(at, one);
    checkTwins(at, one);
    checkLeftBehind(at, one);
  }
}

function checkKind({ findings, shorten }: Case, { name, facts }: One): void {
  const about = { device: name, concerns: [name] };
  if (isBridge(facts) === true) {
    findings.add('bridge', {
      ...about,
      what: `${shorten(name)} is a bridge, which vfio-pci does not take.`,
      remedy: 'name the devices behind it',
    });
  }
  const system = facts.class === undefined ? undefined : SYSTEM_DEVICES.get(facts.class >> 8);
  if (system !== undefined) {
    findings.add('system-device', {
      ...about,
      what: `${shorten(name)} is ${system}; nobody gains by having it.`,
    });
  }
  if (facts.driver && isVfioDriver(facts.driver)) return;
  if (facts.bootVga === undefined && facts.class !== undefined && VGA.has(facts.class >> 8)) {
    findings.doubt('boot-vga', {
      ...about,
      what: `Whether ${shorten(name)} is the boot display is not recorded.`,
    });
  }
  if (facts.bootVga === true) {
    findings.add('boot-vga', {
      ...about,
      what: `${shorten(name)} is the boot display: firmware, boot loader and console show on it.`,
      remedy:
        'make another display the first one in the firmware setup, or be ready to reach the host by network or serial line',
    });
  }
}

function checkPhysical(at: Case, { name, facts, device }: One): void {
  const { findings, machine, names, shorten, describer } = at;
  const sriov = factsOf(facts).sriov;
  if (!sriov) return;
  const about = { device: name, concerns: [name] };
  const virtual = machine.pci.devices.filter((other) => other.physfn === device).map((other) => other.name);
  if (virtual.length > 0) {
    const list = virtual.map((other) => {
      const driver = describer.facts(other)?.driver;
      return `${shorten(other)}${driver ? ` (${driver})` : ''}`;
    });
    const too = virtual.filter((other) => names.includes(other));
    findings.add('virtual-functions', {
      ...about,
      detail: `${virtual.length}`,
      what:
        too.length === 0
          ? `${shorten(name)} has virtual functions enabled: ${enumerate(list)}. They vanish as its driver lets go of it.`
          : `${enumerate(too.map(shorten))} ${too.length === 1 ? 'is a virtual function' : 'are virtual functions'} of ${shorten(name)}; handed over itself, it takes them away.`,
      remedy: 'hand over virtual functions and leave the physical one with the host',
    });
  } else if (sriov.totalVfs > 0) {
    findings.add('physical-function', {
      ...about,
      detail: `${sriov.totalVfs}`,
      what: `${shorten(name)} could give up to ${sriov.totalVfs} virtual functions, to be handed over while the host keeps it.`,
    });
  }
}

function checkVirtual({ findings, describer, shorten }: Case, { name, facts }: One): void {
  const physical = typeof facts.physfn === 'string' ? describer.facts(facts.physfn) : undefined;
  if (!physical?.driver || !isVfioDriver(physical.driver)) return;
  findings.add('vf-token', {
    device: name,
    concerns: [name],
    what: `Its physical function ${shorten(physical.address)} belongs to ${physical.driver}: who opens ${shorten(name)} needs the token that was set there.`,
  });
}

/** Ids name a kind of device, addresses change when cards are moved: the place on the buses is what stays. */
function checkTwins({ findings, describer, machine, names, shorten }: Case, { name, facts }: One): void {
  const { vendor, device: id } = facts;
  if (vendor === undefined || id === undefined || typeof facts.physfn === 'string') return;
  const twins = describer.snapshot.devices
    .filter((other) => other.vendor === vendor && other.device === id && !names.includes(other.address))
    .map((other) => other.address);
  if (twins.length === 0) return;
  const { vendor: v, device: d } = describer.line(name);
  findings.add('identical-cards', {
    device: name,
    concerns: [name],
    detail: twins.join(','),
    what: `${enumerate(twins.map(shorten))} ${twins.length === 1 ? 'has' : 'have'} the same ids (${v}:${d}) as ${shorten(name)}, so vfio-pci.ids= would take ${twins.length === 1 ? 'it' : 'them'} too.`,
    remedy: `name it by its place, ${stableName(machine, name)}, and use driver_override`,
  });
}

function checkLeftBehind(at: Case, { name, device }: One): void {
  const { findings, describer, names, blamed, shorten } = at;
  // Functions of a slot of the root bus are parts of the chipset, not of one card.
  if (device.isVirtual || device.pciBus.isRoot) return;
  const siblings = device.pciBus.devices.filter((other) => !other.isVirtual && other.slot === device.slot);
  const left = siblings
    .map((other) => other.name)
    .filter((other) => !names.includes(other) && !blamed.has(other));
  if (left.length === 0) return;
  const driver = (other: string): string => {
    const has = describer.line(other).driver;
    return has === undefined ? 'driver not known' : (has ?? 'no driver');
  };
  const titles =
    left.length === 1
      ? `${describer.shortTitle(left[0]!)} (${driver(left[0]!)}) is`
      : `${enumerate(left.map((other) => `${shorten(other)} (${driver(other)})`))} are`;
  findings.add('left-behind', {
    device: name,
    concerns: [name],
    detail: left.join(','),
    what: `${titles} on the same card as ${shorten(name)} and ${left.length === 1 ? 'stays' : 'stay'} with the host.`,
    remedy: `hand over ${left.length === 1 ? 'both' : 'all of them'}, unless the card is made to be shared`,
  });
}
