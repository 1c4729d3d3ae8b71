/** The device nodes of a machine: what there is below /dev, and what opening it gives. */

import type { Iommufd } from '../iommufd/iommufd.ts';
import type { Vfio } from '../iommufd/vfio/vfio.ts';
import { KernelError } from '../kernel/errors.ts';
import { IommufdFile } from './iommufd-file.ts';
import type { CallingProcess, OpenFile } from './open-file.ts';
import { VfioDeviceNodeFile } from './vfio-device-file.ts';
import { VfioGroupNodeFile } from './vfio-group-file.ts';

export interface DeviceNode {
  /** Below /dev: `iommu`, `vfio/vfio`, `vfio/7`, `vfio/devices/vfio0`. */
  readonly path: string;
  /** Permission bits as devtmpfs sets them, e.g. 0o600. */
  readonly mode: number;
  /** Device numbers, the same as long as the node is there; dynamic ones, as these nodes have. */
  readonly major: number;
  readonly minor: number;
}

/** What nodes open. */
export interface NodeOwner {
  readonly iommufd: Iommufd;
  /** None: no node of a group or device is there. */
  readonly vfio?: Vfio | undefined;
}

/** `MISC_MAJOR`; iommufd's minor is dynamic, `VFIO_MINOR` is not. */
const MISC_MAJOR = 10;
const IOMMU_MINOR = 123;
const VFIO_MINOR = 196;
/** Given out at run time, downwards from 255 and from 511. */
const GROUP_MAJOR = 243;
const DEVICE_MAJOR = 511;

/**
 * All nodes there are now, in the order of their paths. Groups and devices come and go with VFIO drivers; nothing is
 * kept, so ask again.
 */
export function deviceNodes(owner: NodeOwner): DeviceNode[] {
  const nodes: DeviceNode[] = [
    { path: 'iommu', mode: 0o660, major: MISC_MAJOR, minor: IOMMU_MINOR },
    { path: 'vfio/vfio', mode: 0o666, major: MISC_MAJOR, minor: VFIO_MINOR },
  ];
  const groups = [...(owner.vfio?.groups.keys() ?? [])];
  for (const [minor, name] of groups.entries()) {
    nodes.push({ path: `vfio/${name}`, mode: 0o600, major: GROUP_MAJOR, minor });
  }
  for (const device of owner.vfio?.devices ?? []) {
    if (!device.isRegistered || device.isNoiommu) continue;
    nodes.push({
      path: `vfio/devices/${device.name}`,
      mode: 0o600,
      major: DEVICE_MAJOR,
      minor: device.index,
    });
  }
  return nodes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * `open` of a node.
 *
 * @param path as `DeviceNode.path`
 * @throws KernelError ENOENT there is no such node; else what opening refuses: EBUSY, EPERM, ENODEV, ENOMEM
 */
export function openNode(owner: NodeOwner, path: string, process: CallingProcess): OpenFile {
  if (path === 'iommu') return new IommufdFile(owner.iommufd.open(process));
  if (path === 'vfio/vfio') return new IommufdFile(owner.iommufd.open(process, { vfio: true }));
  const [, kind, name] = /^vfio\/(?:(devices)\/)?([^/]+)$/.exec(path) ?? [];
  if (owner.vfio === undefined || name === undefined) {
    throw new KernelError('ENOENT', `/dev/${path}`, 'does not exist');
  }
  if (kind === 'devices') return new VfioDeviceNodeFile(owner.vfio.openDevice(name, process));
  return new VfioGroupNodeFile(owner.vfio.openGroup(name, process));
}
