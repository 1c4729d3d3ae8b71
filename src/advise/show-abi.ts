/** Where the attributes that `show` prints are documented. */

import type { AbiIndex } from '../abi/index.ts';
import { abiPlace } from './abi-lines.ts';
import type { AbiLink } from './report-abi.ts';
import type { ShowDevice, ShowGroup, ShowReport } from './report-groups.ts';

/** What is shown, and the attribute of the device it was read from. */
const SHOWN: readonly (readonly [attribute: string, shown: (device: ShowDevice) => unknown])[] = [
  ['vendor', ({ device }) => device.vendor],
  ['device', ({ device }) => device.device],
  ['class', ({ device }) => device.class],
  ['revision', ({ device }) => device.revision],
  ['subsystem_vendor', ({ device }) => device.subsystemVendor],
  ['subsystem_device', ({ device }) => device.subsystemDevice],
  ['driver', ({ device }) => device.driver],
  ['driver_override', ({ driverOverride }) => driverOverride],
  ['modalias', ({ modules }) => modules],
  ['numa_node', ({ device }) => device.numaNode],
  ['boot_vga', ({ bootVga }) => bootVga],
  ['removable', ({ removable }) => removable],
  ['irq', ({ irq }) => irq],
  ['config', ({ capabilities }) => capabilities.length > 0 || undefined],
  ['reset_method', ({ reset }) => (reset.from === 'kernel' && reset.methods.length > 0) || undefined],
  ['sriov_totalvfs', ({ sriov }) => sriov],
  ['sriov_numvfs', ({ sriov }) => sriov],
  ['virtfn0', ({ sriov }) => sriov?.vfs[0]],
  ['physfn', ({ physfn }) => physfn],
  ['iommu_group', ({ group }) => group],
  ['iommu', ({ device }) => device.iommu],
];

/** The report with `abi` where a shown attribute has an entry; the same where none has. */
export function withAbi(report: ShowReport, index: AbiIndex): ShowReport {
  return {
    ...report,
    devices: report.devices.map((device) => linked(device, deviceLinks(device, index))),
    groups: report.groups.map((group) => linked(group, groupLinks(group, index))),
  };
}

function linked<T extends { abi?: AbiLink[] }>(shown: T, abi: AbiLink[]): T {
  return abi.length === 0 ? shown : { ...shown, abi };
}

function deviceLinks(shown: ShowDevice, index: AbiIndex): AbiLink[] {
  const { address, bus } = shown.device;
  return SHOWN.flatMap(([attribute, value]) => {
    const known = value(shown);
    if (known === undefined || known === null) return [];
    const aliases = shown.path === undefined ? [] : [`${shown.path}/${attribute}`];
    return linkOf(attribute, index, `/sys/bus/${bus}/devices/${address}/${attribute}`, aliases);
  });
}

function groupLinks(group: ShowGroup, index: AbiIndex): AbiLink[] {
  if (group.source !== 'kernel') return [];
  const attributes = [
    ...(group.type === undefined ? [] : ['type']),
    ...(group.name === undefined ? [] : ['name']),
    ...(group.reservedRegions === undefined ? [] : ['reserved_regions']),
  ];
  return attributes.flatMap((attribute) =>
    linkOf(attribute, index, `/sys/kernel/iommu_groups/${group.id}/${attribute}`, []),
  );
}

function linkOf(attribute: string, index: AbiIndex, path: string, aliases: readonly string[]): AbiLink[] {
  const [best] = index.find(path, aliases);
  return best === undefined ? [] : [{ attribute, ...abiPlace(best) }];
}
