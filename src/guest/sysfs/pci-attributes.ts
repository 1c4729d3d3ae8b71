/** The text files of a PCI function's directory (drivers/pci/pci-sysfs.c). */

import { KernelError } from '../../kernel/errors.ts';
import type { PciDevice } from '../../pci/device.ts';
import { recordedDirectory, type ViewContext } from './context.ts';
import { cpuListOf, cpuMask, parseCpuList } from './cpu-list.ts';
import type { Credentials } from './entry.ts';
import { parseUevent } from './events.ts';
import { linkWords } from './link-words.ts';
import { hex, parseBoolean, parseUnsigned } from './numbers.ts';
import { PCI_CONTROLS } from './pci-controls.ts';
import { resourceText } from './resources.ts';
import { SRIOV_ATTRIBUTES } from './sriov-attributes.ts';

export interface PciAttribute {
  readonly name: string;
  /** Permission bits. */
  readonly mode: number;
  /** The model decides what it says; what was recorded does not count. */
  readonly live?: boolean;
  /** Whether the function has it, where it was not recorded; without this, it has. */
  visible?(device: PciDevice, context: ViewContext): boolean;
  show?(device: PciDevice, context: ViewContext): string;
  /** @returns what the file says from now on; nothing where the model decides */
  store?(device: PciDevice, text: string, context: ViewContext, credentials: Credentials): string | undefined;
}

const VGA = 0x0300;
const UNKNOWN_ID = 0xffff;

const isExpress = (device: PciDevice) => device.isPcie === true;
const isBridge = (device: PciDevice) => (device.facts.headerType ?? 0) !== 0;

function linkAttribute(
  name: string,
  word: (words: ReturnType<typeof linkWords>) => string | number,
): PciAttribute {
  return {
    name,
    mode: 0o444,
    visible: isExpress,
    show: (device, { registers }) => `${word(linkWords(registers.of(device)))}\n`,
  };
}

export function modalias(device: PciDevice): string {
  const id = (value: number | undefined) => (value ?? 0).toString(16).toUpperCase().padStart(8, '0');
  const code = (device.class ?? 0).toString(16).toUpperCase().padStart(6, '0');
  const ids = `v${id(device.vendor ?? UNKNOWN_ID)}d${id(device.device ?? UNKNOWN_ID)}`;
  const subsystem = `sv${id(device.subsystemVendor)}sd${id(device.subsystemDevice)}`;
  return `pci:${ids}${subsystem}bc${code.slice(0, 2)}sc${code.slice(2, 4)}i${code.slice(4)}`;
}

/** `pci_uevent`, with the driver in front, as `dev_uevent` puts it. */
function ueventText(device: PciDevice, recorded: string | undefined): string {
  const driver = device.driver === undefined ? '' : `DRIVER=${device.driver.name}\n`;
  if (recorded !== undefined) return driver + recorded.replace(/^DRIVER=.*\n/gm, '');
  const id = (value: number | undefined) => (value ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const lines = [
    `PCI_CLASS=${(device.class ?? 0).toString(16).toUpperCase().padStart(4, '0')}`,
    `PCI_ID=${id(device.vendor ?? UNKNOWN_ID)}:${id(device.device ?? UNKNOWN_ID)}`,
    `PCI_SUBSYS_ID=${id(device.subsystemVendor)}:${id(device.subsystemDevice)}`,
    `PCI_SLOT_NAME=${device.address}`,
    `MODALIAS=${modalias(device)}`,
  ];
  return `${driver}${lines.join('\n')}\n`;
}

function localCpus(device: PciDevice, context: ViewContext): string {
  return (
    context.recorded.text(`${recordedDirectory(device, context.facts)}/local_cpulist`)?.trim() ??
    cpuListOf(context.cpus)
  );
}

/** Ids and other facts: as recorded, else from what the snapshot says. */
const FACTS: readonly PciAttribute[] = [
  { name: 'vendor', mode: 0o444, show: (device) => `${hex(device.vendor ?? UNKNOWN_ID, 4)}\n` },
  { name: 'device', mode: 0o444, show: (device) => `${hex(device.device ?? UNKNOWN_ID, 4)}\n` },
  { name: 'subsystem_vendor', mode: 0o444, show: (device) => `${hex(device.subsystemVendor ?? 0, 4)}\n` },
  { name: 'subsystem_device', mode: 0o444, show: (device) => `${hex(device.subsystemDevice ?? 0, 4)}\n` },
  { name: 'revision', mode: 0o444, show: (device) => `${hex(device.revision ?? 0, 2)}\n` },
  { name: 'class', mode: 0o444, show: (device) => `${hex(device.class ?? 0, 6)}\n` },
  { name: 'modalias', mode: 0o444, show: (device) => `${modalias(device)}\n` },
  { name: 'irq', mode: 0o444, show: (device, { facts }) => `${facts.get(device.address)?.irq ?? 0}\n` },
  {
    name: 'resource',
    mode: 0o444,
    show: (device, { facts }) =>
      resourceText(facts.get(device.address)?.resources, device.subordinate !== undefined),
  },
  {
    name: 'local_cpulist',
    mode: 0o444,
    show: (device, context) => `${localCpus(device, context)}\n`,
  },
  {
    name: 'local_cpus',
    mode: 0o444,
    show: (device, context) => `${cpuMask(parseCpuList(localCpus(device, context)) ?? [0])}\n`,
  },
  { name: 'dma_mask_bits', mode: 0o444, show: () => '32\n' },
  { name: 'consistent_dma_mask_bits', mode: 0o444, show: () => '32\n' },
  {
    name: 'power_state',
    mode: 0o444,
    show: (device, { facts }) => `${facts.get(device.address)?.powerState ?? 'D0'}\n`,
  },
  {
    name: 'ari_enabled',
    mode: 0o444,
    show: ({ upstreamBridge }) => `${upstreamBridge?.facts.pcie?.ariForwardingEnabled === true ? 1 : 0}\n`,
  },
  {
    name: 'boot_vga',
    mode: 0o444,
    visible: (device) => (device.class ?? 0) >>> 8 === VGA,
    show: (device, { facts }) => `${facts.get(device.address)?.bootVga === true ? 1 : 0}\n`,
  },
  {
    name: 'removable',
    mode: 0o444,
    visible: (device, { facts }) => facts.get(device.address)?.removable !== undefined,
    show: (device, { facts }) => `${facts.get(device.address)?.removable}\n`,
  },
  {
    name: 'secondary_bus_number',
    mode: 0o444,
    visible: isBridge,
    show: (device, { registers }) => `${registers.of(device).bytes.read(0x19, 1)}\n`,
  },
  {
    name: 'subordinate_bus_number',
    mode: 0o444,
    visible: isBridge,
    show: (device, { registers }) => `${registers.of(device).bytes.read(0x1a, 1)}\n`,
  },
  linkAttribute('max_link_speed', (words) => words.maxSpeed),
  linkAttribute('max_link_width', (words) => words.maxWidth),
  linkAttribute('current_link_speed', (words) => words.speed),
  linkAttribute('current_link_width', (words) => words.width),
];

/** Settings that keep what is written and change nothing else here. */
const SETTINGS: readonly PciAttribute[] = [
  {
    name: 'broken_parity_status',
    mode: 0o644,
    show: () => '0\n',
    store: (device, text) => `${parseUnsigned(text, device.name) === 0n ? 0 : 1}\n`,
  },
  {
    name: 'msi_bus',
    mode: 0o644,
    show: () => '1\n',
    store: (device, text, _context, { admin }) => {
      if (!admin) throw new KernelError('EPERM', `${device.name}/msi_bus`, 'needs CAP_SYS_ADMIN');
      return `${parseUnsigned(text, device.name) === 0n ? 0 : 1}\n`;
    },
  },
  {
    name: 'd3cold_allowed',
    mode: 0o644,
    show: () => '1\n',
    store: (device, text) => `${parseUnsigned(text, device.name) === 0n ? 0 : 1}\n`,
  },
  {
    name: 'numa_node',
    mode: 0o644,
    show: (device, { facts }) => `${facts.get(device.address)?.numaNode ?? -1}\n`,
    store: (device, text, _context, { admin }) => {
      if (!admin) throw new KernelError('EPERM', `${device.name}/numa_node`, 'needs CAP_SYS_ADMIN');
      // Which nodes are online is not part of the model; the first always is.
      if (text.trim() === '-1') return '-1\n';
      const node = parseUnsigned(text, device.name);
      if (node !== 0n)
        throw new KernelError('EINVAL', `${device.name}/numa_node`, `node ${node} is not online`);
      return '0\n';
    },
  },
  {
    name: 'sriov_drivers_autoprobe',
    mode: 0o644,
    visible: (device) => !device.isVirtual && Boolean(device.facts.sriov),
    show: () => '1\n',
    store: (device, text) => `${parseBoolean(text, device.name) ? 1 : 0}\n`,
  },
];

const UEVENT: PciAttribute = {
  name: 'uevent',
  mode: 0o644,
  live: true,
  show: (device, context) =>
    ueventText(device, context.recorded.text(`${recordedDirectory(device, context.facts)}/uevent`)),
  store: (device, text, context) => {
    context.tell(parseUevent(text, device.kobj!.path));
    return undefined;
  },
};

export const PCI_ATTRIBUTES: ReadonlyMap<string, PciAttribute> = new Map(
  [...FACTS, ...SETTINGS, UEVENT, ...SRIOV_ATTRIBUTES, ...PCI_CONTROLS].map((row) => [row.name, row]),
);
