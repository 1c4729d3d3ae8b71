/** A snapshot as a sysfs tree on disk, for our reader and for `lspci -A linux-sysfs -O sysfs.path=DIR/sys/bus/pci`. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { PciFacts, Snapshot } from '../../src/host/snapshot.ts';

/** Writes `dir`/sys and `dir`/proc. Facts the snapshot does not have get no file. */
export function writeTree(snapshot: Snapshot, dir: string): void {
  const tree = new Tree(dir);
  tree.folder('sys/bus/pci/devices');
  tree.folder('sys/devices');
  const groupOf = new Map<string, number>();
  for (const group of snapshot.groups ?? []) for (const name of group.devices) groupOf.set(name, group.id);
  const paths = new Map(snapshot.devices.map((device) => [device.address, devicePath(device)]));
  const instances = new Map<string, string>();
  if (snapshot.iommus !== undefined) tree.folder('sys/class/iommu');
  for (const { name, path, registers } of snapshot.iommus ?? []) {
    const at = `sys/devices/${path ?? `virtual/iommu/${name}`}`;
    instances.set(name, at);
    tree.folder(at);
    tree.link(`sys/class/iommu/${name}`, at);
    const kind = name.startsWith('ivhd') ? 'amd-iommu' : 'intel-iommu';
    for (const [register, value] of Object.entries(registers ?? {}))
      tree.text(`${at}/${kind}/${register}`, value);
  }
  const drivers = new Set<string>();
  for (const device of snapshot.devices) {
    writeDevice(tree, device, { group: groupOf.get(device.address), instances, paths });
    if (device.driver) drivers.add(device.driver);
  }
  for (const driver of drivers) tree.folder(`sys/bus/pci/drivers/${driver}`);
  writeOthers(tree, snapshot, { groupOf, instances, paths });
  writeGroups(tree, snapshot, paths);
  for (const [name, hex] of Object.entries(snapshot.acpi)) {
    tree.bytes(`sys/firmware/acpi/tables/${name}`, Buffer.from(hex, 'hex'));
  }
  writeMachine(tree, snapshot);
}

/** What `lspci -D -xxxx` prints, with group lines where groups are known and `withGroups` asks for them. */
export function lspciHex(snapshot: Snapshot, withGroups = false): string {
  const groupOf = new Map<string, number>();
  for (const group of snapshot.groups ?? []) for (const name of group.devices) groupOf.set(name, group.id);
  const lines: string[] = [];
  for (const device of snapshot.devices) {
    lines.push(`${device.address} ${digits((device.class ?? 0) >> 8, 4)}: ${ids(device)}`);
    const group = groupOf.get(device.address);
    if (withGroups && group !== undefined) lines.push(`\tIOMMU group: ${group}`);
    const bytes = spaceOf(device);
    for (let at = 0; at < bytes.length; at += 16) {
      const row = [...bytes.subarray(at, at + 16)].map((byte) => digits(byte, 2)).join(' ');
      lines.push(`${digits(at, 2)}: ${row}`);
    }
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

interface Around {
  groupOf: Map<string, number>;
  instances: Map<string, string>;
  paths: Map<string, string>;
}

function devicePath(device: PciFacts): string {
  return `sys/devices/${device.path ?? `pci${device.address.slice(0, -5)}/${device.address}`}`;
}

function writeDevice(
  tree: Tree,
  device: PciFacts,
  around: { group: number | undefined } & Pick<Around, 'instances' | 'paths'>,
): void {
  const at = devicePath(device);
  tree.folder(at);
  tree.link(`sys/bus/pci/devices/${device.address}`, at);
  tree.link(`${at}/subsystem`, 'sys/bus/pci');
  const attribute = (name: string, value: string | number | undefined) => {
    if (value !== undefined) tree.text(`${at}/${name}`, `${value}`);
  };
  const number = (name: string, value: number | undefined, width: number) =>
    attribute(name, value === undefined ? undefined : `0x${digits(value, width)}`);
  number('vendor', device.vendor, 4);
  number('device', device.device, 4);
  number('subsystem_vendor', device.subsystemVendor ?? 0, 4);
  number('subsystem_device', device.subsystemDevice ?? 0, 4);
  number('class', device.class, 6);
  number('revision', device.revision, 2);
  attribute('uevent', uevent(device));
  attribute('modalias', modalias(device));
  attribute('irq', device.irq ?? 0);
  attribute('numa_node', device.numaNode ?? -1);
  attribute('resource', resource(device));
  attribute('enable', 1);
  attribute('driver_override', device.driverOverride ?? '(null)');
  attribute('power_state', device.powerState);
  attribute('removable', device.removable);
  attribute('reset_method', device.resetMethods?.join(' '));
  if (device.bootVga !== undefined) attribute('boot_vga', device.bootVga ? 1 : 0);
  if (device.config !== undefined) tree.bytes(`${at}/config`, spaceOf(device));
  if (device.driver) tree.link(`${at}/driver`, `sys/bus/pci/drivers/${device.driver}`);
  if (around.group !== undefined) tree.link(`${at}/iommu_group`, `sys/kernel/iommu_groups/${around.group}`);
  if (device.iommu)
    tree.link(
      `${at}/iommu`,
      around.instances.get(device.iommu) ?? `sys/devices/virtual/iommu/${device.iommu}`,
    );
  const physical = device.physfn ? around.paths.get(device.physfn) : undefined;
  if (physical !== undefined) tree.link(`${at}/physfn`, physical);
}

function writeOthers(tree: Tree, snapshot: Snapshot, around: Around): void {
  for (const other of snapshot.others) {
    const at = `sys/devices/${other.path ?? `platform/${other.name}`}`;
    around.paths.set(other.name, at);
    tree.folder(at);
    if (other.bus !== undefined) tree.link(`${at}/subsystem`, `sys/bus/${other.bus}`);
    if (other.driver) tree.link(`${at}/driver`, `sys/bus/${other.bus ?? 'platform'}/drivers/${other.driver}`);
    if (other.iommu)
      tree.link(
        `${at}/iommu`,
        around.instances.get(other.iommu) ?? `sys/devices/virtual/iommu/${other.iommu}`,
      );
    const group = around.groupOf.get(other.name);
    if (group !== undefined) tree.link(`${at}/iommu_group`, `sys/kernel/iommu_groups/${group}`);
  }
}

function writeGroups(tree: Tree, snapshot: Snapshot, paths: Map<string, string>): void {
  if (snapshot.groups === undefined) return;
  tree.folder('sys/kernel/iommu_groups');
  for (const group of snapshot.groups) {
    const at = `sys/kernel/iommu_groups/${group.id}`;
    tree.folder(`${at}/devices`);
    if (group.type !== undefined) tree.text(`${at}/type`, group.type);
    if (group.name !== undefined) tree.text(`${at}/name`, group.name);
    if (group.reservedRegions !== undefined) {
      tree.text(
        `${at}/reserved_regions`,
        group.reservedRegions.map((region) => `${region.start} ${region.end} ${region.type}`).join('\n'),
      );
    }
    for (const name of group.devices) {
      const target = paths.get(name);
      if (target !== undefined) tree.link(`${at}/devices/${name}`, target);
    }
  }
}

function writeMachine(tree: Tree, snapshot: Snapshot): void {
  const { release, version, cmdline } = snapshot.kernel;
  if (release !== undefined) tree.text('proc/sys/kernel/osrelease', release);
  if (version !== undefined) tree.text('proc/sys/kernel/version', version);
  if (cmdline !== undefined) tree.text('proc/cmdline', cmdline);
  if (snapshot.board !== undefined) tree.text('sys/class/dmi/id/board_name', snapshot.board);
  if (snapshot.deviceOrder !== undefined) {
    const byAddress = new Map(snapshot.devices.map((device) => [device.address, device]));
    const rows = snapshot.deviceOrder.map((address) => {
      const [, bus, slot] = address.split(':');
      const [device, fn] = slot!.split('.');
      const devfn = Number.parseInt(device!, 16) * 8 + Number(fn);
      const { vendor = 0, device: id = 0 } = byAddress.get(address) ?? {};
      return `${bus}${digits(devfn, 2)}\t${digits(vendor, 4)}${digits(id, 4)}\t0`;
    });
    tree.text('proc/bus/pci/devices', rows.join('\n'));
  }
}

function uevent(device: PciFacts): string {
  const upper = (value: number | undefined, width: number) => digits(value ?? 0, width).toUpperCase();
  return [
    ...(device.driver ? [`DRIVER=${device.driver}`] : []),
    `PCI_CLASS=${(device.class ?? 0).toString(16).toUpperCase()}`,
    `PCI_ID=${upper(device.vendor, 4)}:${upper(device.device, 4)}`,
    `PCI_SUBSYS_ID=${upper(device.subsystemVendor, 4)}:${upper(device.subsystemDevice, 4)}`,
    `PCI_SLOT_NAME=${device.address}`,
    `MODALIAS=${modalias(device)}`,
  ].join('\n');
}

function modalias(device: PciFacts): string {
  const upper = (value: number | undefined, width: number) => digits(value ?? 0, width).toUpperCase();
  const code = digits(device.class ?? 0, 6);
  return (
    `pci:v${upper(device.vendor, 8)}d${upper(device.device, 8)}` +
    `sv${upper(device.subsystemVendor, 8)}sd${upper(device.subsystemDevice, 8)}` +
    `bc${code.slice(0, 2)}sc${code.slice(2, 4)}i${code.slice(4)}`
  );
}

/** Six BARs, the expansion ROM, and for bridges and physical functions more; unused ones are zero. */
function resource(device: PciFacts): string {
  const none = { start: `0x${digits(0, 16)}`, end: `0x${digits(0, 16)}`, flags: `0x${digits(0, 16)}` };
  return Array.from({ length: 13 }, (_, i) => device.resources?.[i] ?? none)
    .map((region) => `${region.start} ${region.end} ${region.flags}`)
    .join('\n');
}

function spaceOf(device: PciFacts): Uint8Array {
  const bytes = new Uint8Array(device.config?.read ?? 0);
  bytes.set(Buffer.from(device.config?.bytes ?? '', 'hex'));
  return bytes;
}

function ids(device: PciFacts): string {
  return `${digits(device.vendor ?? 0xffff, 4)}:${digits(device.device ?? 0xffff, 4)}`;
}

function digits(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}

/** Files below one directory; directories appear as needed. */
class Tree {
  readonly #root: string;
  readonly #made = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  folder(path: string): void {
    if (this.#made.has(path)) return;
    mkdirSync(join(this.#root, path), { recursive: true });
    this.#made.add(path);
  }

  /** One line, or several, ending in a newline as attributes do. */
  text(path: string, text: string): void {
    this.bytes(path, Buffer.from(text === '' ? '' : `${text}\n`));
  }

  bytes(path: string, bytes: Uint8Array): void {
    this.folder(dirname(path));
    writeFileSync(join(this.#root, path), bytes);
  }

  /** A relative link, as sysfs makes them. */
  link(path: string, target: string): void {
    this.folder(dirname(path));
    symlinkSync(relative(dirname(path), target), join(this.#root, path));
  }
}
