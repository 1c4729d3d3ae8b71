/**
 * Container Device Interface: a spec for /etc/cdi. One CDI device a group, since a group goes to one container or to
 * none; its name is the address of its first device.
 *
 * Legacy: /dev/vfio/vfio and /dev/vfio/N. iommufd: /dev/iommu and a node per device, whose number the kernel gives
 * when vfio-pci binds it, so that it is only known of devices that are bound.
 */

import { isVfioDriver, managesDma } from '../../machine/drivers.ts';
import { oneLine } from './escape.ts';
import type { ExportDevice, Exporter, ExportGroup, ExportInput, Problem } from './exporter.ts';

/** Annotations came with this version; nothing here needs a newer one. */
const VERSION = '0.6.0';
/** What vfio calls groups that no IOMMU protects. */
const NO_IOMMU = 'vfio-noiommu';

export const cdi: Exporter = {
  name: 'cdi',
  summary: 'Container Device Interface spec (JSON)',
  scope: 'devices',
  groups: 'numbers',
  styles: ['legacy', 'iommufd'],
  write(input) {
    const problems = input.groups.flatMap((group) => problemsOf(group, input));
    if (problems.length > 0) return { text: '', problems };
    const spec = {
      cdiVersion: VERSION,
      kind: `${input.domain}/vfio`,
      devices: input.groups.map((group) => ({
        name: group.devices[0]!.address,
        annotations: {
          [`${input.domain}/devices`]: group.devices.map((device) => device.address).join(','),
          [`${input.domain}/iommu-group`]: String(group.id),
        },
        containerEdits: { deviceNodes: nodes(group, input).map(node) },
      })),
      containerEdits: { deviceNodes: [node(input.style === 'iommufd' ? '/dev/iommu' : '/dev/vfio/vfio')] },
    };
    return { text: `${JSON.stringify(spec, undefined, 2)}\n`, notes: input.groups.flatMap(notesOf) };
  },
};

/** vfio makes a group's node with its first device, and lets nobody in while a host driver has another. */
function notesOf({ id, devices }: ExportGroup): string[] {
  const drivers = devices.flatMap(({ line }) => line.driver ?? []);
  const hosts = devices.filter(
    ({ line }) => line.driver && !isVfioDriver(line.driver) && !managesDma(line.driver),
  );
  return [
    ...(drivers.some(isVfioDriver)
      ? []
      : [`/dev/vfio/${id} is not there until vfio-pci is bound to a device of group ${id}`]),
    ...hosts.map(
      ({ address, line }) =>
        `${address} is driven by ${oneLine(line.driver!)}; while it is, group ${id} cannot be opened`,
    ),
  ];
}

const node = (path: string): { path: string; permissions: string } => ({ path, permissions: 'rw' });

function nodes(group: ExportGroup, { style }: ExportInput): string[] {
  return style === 'iommufd'
    ? group.devices.map(({ facts }) => `/dev/vfio/devices/${facts.vfioDevice}`)
    : [`/dev/vfio/${group.id}`];
}

function problemsOf(group: ExportGroup, { style }: ExportInput): Problem[] {
  if (group.name === NO_IOMMU) {
    return [
      {
        verdict: 'no',
        what: `group ${group.id} is one that vfio made without an IOMMU; nothing protects the host from its devices`,
      },
    ];
  }
  return style === 'iommufd' ? group.devices.flatMap(withoutNode) : [];
}

function withoutNode({ address, facts, line }: ExportDevice): Problem[] {
  if (facts.vfioDevice) return [];
  if (facts.vfioDevice === null) {
    return [
      {
        verdict: 'no',
        what: `${address}: this kernel makes no device nodes for iommufd (CONFIG_VFIO_DEVICE_CDEV); leave out --iommufd`,
      },
    ];
  }
  return line.driver === undefined || (line.driver !== null && isVfioDriver(line.driver))
    ? [
        {
          verdict: 'cannot tell',
          what: `${address}: the recording does not tell its node in /dev/vfio/devices`,
        },
      ]
    : [
        {
          verdict: 'no',
          what: `${address} has no node in /dev/vfio/devices until it is bound to vfio-pci; bind it first`,
        },
      ];
}
