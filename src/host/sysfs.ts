/**
 * Facts of a machine from its sysfs tree: this machine's own, a copy in a directory, or one in an archive.
 *
 * What a missing file means depends on the tree. On the live machine the kernel shows what there is, so missing
 * is absent. A copy may lack whatever its maker left out, so missing is absent only where something beside it
 * proves that such things were copied.
 */

import { InputError } from '../kernel/errors.ts';
import { resolveLink } from './file-tree.ts';
import { fullAddress, type HostTree, shown, sortByAddress, under } from './host-tree.ts';
import { Notes } from './notes.ts';
import type { Detail, PciFacts, Snapshot } from './snapshot.ts';
import { SNAPSHOT_VERSION } from './snapshot.ts';
import { type DevicePlace, readDevice } from './sysfs-device.ts';
import { readGroups, readIommus, readOthers } from './sysfs-groups.ts';
import { readAcpi, readArch, readBoard, readDeviceOrder, readKernel } from './sysfs-machine.ts';
import { readUsage } from './usage.ts';

/** @throws InputError naming `place` when the tree has no usable PCI device. */
export function readSysfs(tree: HostTree, place: string, detail: Detail): Snapshot {
  const notes = new Notes();
  const found = findDevices(tree, notes);
  if (found === undefined && !tree.live) {
    throw new InputError(
      place,
      'no PCI devices: neither bus/pci/devices nor devices/pci* is in this sysfs tree',
    );
  }
  const places = found ?? [];
  const linksShow = tree.live || places.some((device) => device.path !== undefined);
  const iommuClass = tree.files.list(under(tree.sys, 'class/iommu'));
  const devices: PciFacts[] = [];
  for (const device of places) {
    const facts = readDevice(tree, device, { detail, linksShow, notes });
    if (facts === undefined) notes.add(`${device.address}: nothing readable there; left out`);
    else devices.push(facts);
  }
  if (devices.length === 0 && places.length > 0) {
    throw new InputError(place, `none of the ${places.length} PCI devices can be read`);
  }
  noteHiddenCapabilities(devices, notes);
  const groups = readGroups(tree, devices, detail, notes);
  const others = readOthers(tree, groups, new Set(devices.map((device) => device.address)));
  const iommus = readIommus(tree, iommuClass);
  settleIommuLinks(devices, tree.live || iommuClass !== undefined, groups?.length === 0);
  const board = readBoard(tree);
  const kernel = readKernel(tree);
  const arch = readArch(tree, kernel.release);
  const deviceOrder = detail === 'names' ? undefined : readDeviceOrder(tree, devices);
  const usage = detail === 'all' ? readUsage(tree, notes) : undefined;
  return {
    ringfence: 'snapshot',
    version: SNAPSHOT_VERSION,
    form: tree.live ? 'live' : 'sysfs',
    ...(board !== undefined && { board }),
    ...(arch !== undefined && { arch }),
    kernel,
    devices,
    others,
    ...(groups !== undefined && { groups }),
    ...(iommus !== undefined && { iommus }),
    acpi: detail === 'names' ? {} : readAcpi(tree, notes),
    ...(deviceOrder !== undefined && { deviceOrder }),
    ...(usage !== undefined && { usage }),
    ...notes.field(),
  };
}

/** Without privilege the header is all there is to read, and its pointer to capabilities leads nowhere. */
function noteHiddenCapabilities(devices: readonly PciFacts[], notes: Notes): void {
  const hasList = (bytes: string) => (Number.parseInt(bytes.slice(12, 14), 16) & 0x10) !== 0;
  const hidden = devices.filter(
    ({ config }) => config !== undefined && config.read <= 64 && hasList(config.bytes),
  );
  if (hidden.length > 0) notes.add(`capabilities of ${hidden.length} devices are hidden; root can read them`);
}

/**
 * A device without an `iommu` link is one that nothing translates, but only in a tree in which the links show:
 * one that has /sys/class/iommu or any such link, or whose kernel formed no groups (no group, no link).
 */
function settleIommuLinks(devices: PciFacts[], classShows: boolean, noGroups: boolean): void {
  if (!classShows && !noGroups && !devices.some((device) => device.iommu !== undefined)) return;
  for (const device of devices) device.iommu ??= null;
}

/** Devices in numeric order of address; `undefined` when the tree has no place for them. */
function findDevices(tree: HostTree, notes: Notes): DevicePlace[] | undefined {
  const bus = under(tree.sys, 'bus/pci/devices');
  const names = tree.files.list(bus);
  const places: DevicePlace[] = [];
  if (names !== undefined) {
    for (const name of names) {
      const address = fullAddress(name);
      if (address === undefined) {
        notes.add(`bus/pci/devices/${shown(name)}: not a PCI address; left out`);
        continue;
      }
      const at = `${bus}/${name}`;
      const target = tree.files.link(at);
      const dir = target === undefined ? undefined : resolveLink(at, target);
      const path = dir === undefined ? undefined : belowDevices(tree.sys, dir);
      places.push({ address, dir: path === undefined ? at : dir!, path });
    }
  } else {
    walkDevices(tree, under(tree.sys, 'devices'), 0, places);
    if (places.length === 0) return undefined;
  }
  return sortByAddress([...new Map(places.map((place) => [place.address, place])).values()]);
}

/** Without bus/pci (a copy of /sys/devices alone) the directories themselves tell: below pciDDDD:BB. */
function walkDevices(tree: HostTree, dir: string, depth: number, places: DevicePlace[]): void {
  if (depth > 32) return;
  for (const name of tree.files.list(dir) ?? []) {
    const path = `${dir}/${name}`;
    const address = fullAddress(name);
    if (address !== undefined) places.push({ address, dir: path, path: belowDevices(tree.sys, path) });
    // Host bridges lie at most a few levels deep (platform/soc/….pcie/pci0000:00).
    if (
      address !== undefined ||
      /^pci[0-9a-f]{4,8}:[0-9a-f]{2}$/.test(name) ||
      isBridgeParent(dir, name, depth)
    ) {
      walkDevices(tree, path, depth + 1, places);
    }
  }
}

function isBridgeParent(dir: string, name: string, depth: number): boolean {
  return depth < 4 && (dir.endsWith('/platform') || /^(platform|soc.*|.*\.pcie?)$/.test(name));
}

function belowDevices(sys: string, dir: string): string | undefined {
  const prefix = under(sys, 'devices/');
  return dir.startsWith(prefix) ? dir.slice(prefix.length) : undefined;
}
