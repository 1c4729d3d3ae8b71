/** IOMMU groups as the kernel formed them, their members that are not PCI, and the IOMMU instances. */

import { baseName, resolveLink } from './file-tree.ts';
import { fullAddress, type HostTree, shown, under } from './host-tree.ts';
import type { Notes } from './notes.ts';
import type { Detail, GroupFacts, IommuFacts, OtherFacts, PciFacts } from './snapshot.ts';
import { firstLine } from './sysfs-device.ts';

/**
 * `undefined`: not known. A kernel without IOMMU support has no such directory, so its absence means none, if the
 * rest of /sys/kernel is there. Without the directory, the devices' own `iommu_group` links still tell members and
 * numbers.
 */
export function readGroups(
  tree: HostTree,
  devices: readonly PciFacts[],
  detail: Detail,
  notes: Notes,
): GroupFacts[] | undefined {
  const dir = under(tree.sys, 'kernel/iommu_groups');
  const names = tree.files.list(dir);
  if (names === undefined || (names.length === 0 && !tree.live)) {
    const linked = groupsFromLinks(tree, devices);
    if (linked.length > 0) return linked;
    if (names !== undefined) return [];
    return tree.files.exists(under(tree.sys, 'kernel')) && !tree.files.exists(dir) ? [] : undefined;
  }
  const groups: GroupFacts[] = [];
  for (const name of names) {
    const id = groupId(name);
    if (id === undefined) notes.add(`kernel/iommu_groups/${shown(name)}: not a group number; left out`);
    else groups.push(readGroup(tree, `${dir}/${name}`, id, detail));
  }
  groups.sort((a, b) => a.id - b.id);
  dropStrays(groups, new Set(devices.map(({ address }) => address)), notes);
  return groups;
}

/** Copies can be incomplete or put together: a member is left out that is no device of the tree, or in two groups. */
function dropStrays(groups: readonly GroupFacts[], known: ReadonlySet<string>, notes: Notes): void {
  const groupOf = new Map<string, number>();
  for (const group of groups) {
    group.devices = group.devices.filter((name) => {
      const stray = fullAddress(name) !== undefined && !known.has(name);
      const other = groupOf.get(name);
      if (stray) notes.add(`group ${group.id}: ${shown(name)} is no device of this tree; left out`);
      else if (other !== undefined)
        notes.add(`group ${group.id}: ${shown(name)} is in group ${other} already; left out`);
      else groupOf.set(name, group.id);
      return !stray && other === undefined;
    });
  }
}

function readGroup(tree: HostTree, dir: string, id: number, detail: Detail): GroupFacts {
  const devices = (tree.files.list(`${dir}/devices`) ?? []).sort();
  const group: GroupFacts = { id, devices };
  const type = firstLine(tree.files.readText(`${dir}/type`));
  if (type) group.type = type;
  const name = tree.files.exists(`${dir}/name`) ? firstLine(tree.files.readText(`${dir}/name`)) : undefined;
  if (name) group.name = name;
  const regions = detail === 'names' ? undefined : tree.files.readText(`${dir}/reserved_regions`);
  if (regions !== undefined) group.reservedRegions = parseRegions(regions);
  return group;
}

function parseRegions(text: string): NonNullable<GroupFacts['reservedRegions']> {
  const regions: NonNullable<GroupFacts['reservedRegions']> = [];
  for (const line of text.split('\n', 4096)) {
    const found = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) ([\w-]{1,32})$/.exec(line);
    if (found) regions.push({ start: found[1]!, end: found[2]!, type: found[3]! });
  }
  return regions;
}

function groupsFromLinks(tree: HostTree, devices: readonly PciFacts[]): GroupFacts[] {
  const groups = new Map<number, GroupFacts>();
  for (const { address, path } of devices) {
    const dir = path === undefined ? `bus/pci/devices/${address}` : `devices/${path}`;
    const target = tree.files.link(under(tree.sys, `${dir}/iommu_group`));
    const id = target === undefined ? undefined : groupId(baseName(target));
    if (id === undefined) continue;
    const group = groups.get(id) ?? { id, devices: [] };
    group.devices.push(address);
    groups.set(id, group);
  }
  return [...groups.values()].sort((a, b) => a.id - b.id);
}

function groupId(name: string): number | undefined {
  return /^(0|[1-9][0-9]{0,8})$/.test(name) ? Number(name) : undefined;
}

/** Members that are no PCI function of this tree: platform, ACPI, AMBA devices. */
export function readOthers(
  tree: HostTree,
  groups: readonly GroupFacts[] | undefined,
  known: ReadonlySet<string>,
): OtherFacts[] {
  const others: OtherFacts[] = [];
  for (const group of groups ?? []) {
    for (const name of group.devices) {
      if (known.has(name) || fullAddress(name) !== undefined) continue;
      others.push(readOther(tree, under(tree.sys, `kernel/iommu_groups/${group.id}/devices/${name}`), name));
    }
  }
  return others;
}

function readOther(tree: HostTree, link: string, name: string): OtherFacts {
  const target = tree.files.link(link);
  const dir = target === undefined ? undefined : resolveLink(link, target);
  if (dir === undefined) return { name };
  const names = tree.files.list(dir);
  const prefix = under(tree.sys, 'devices/');
  const bus = tree.files.link(`${dir}/subsystem`);
  const driver = tree.files.link(`${dir}/driver`);
  const iommu = tree.files.link(`${dir}/iommu`);
  return {
    name,
    ...(bus !== undefined && { bus: baseName(bus) }),
    ...(dir.startsWith(prefix) && { path: dir.slice(prefix.length) }),
    ...(driver !== undefined ? { driver: baseName(driver) } : names !== undefined && { driver: null }),
    ...(iommu !== undefined ? { iommu: baseName(iommu) } : names !== undefined && { iommu: null }),
  };
}

/** Which attributes say what an instance can do: VT-d's and AMD-Vi's. */
const REGISTERS = [
  'intel-iommu/address',
  'intel-iommu/cap',
  'intel-iommu/ecap',
  'intel-iommu/version',
  'amd-iommu/cap',
  'amd-iommu/features',
];

/** @param names listing of /sys/class/iommu; live, no such directory means no IOMMU */
export function readIommus(tree: HostTree, names: readonly string[] | undefined): IommuFacts[] | undefined {
  if (names === undefined) return tree.live ? [] : undefined;
  return [...names].sort().map((name) => {
    const at = under(tree.sys, `class/iommu/${name}`);
    const registers: Record<string, string> = {};
    for (const file of REGISTERS) {
      const value = firstLine(tree.files.readText(`${at}/${file}`));
      if (value) registers[baseName(file)] = value;
    }
    const target = tree.files.link(at);
    const dir = target === undefined ? undefined : resolveLink(at, target);
    const prefix = under(tree.sys, 'devices/');
    return {
      name,
      ...(Object.keys(registers).length > 0 && { registers }),
      ...(dir?.startsWith(prefix) && { path: dir.slice(prefix.length) }),
    };
  });
}
