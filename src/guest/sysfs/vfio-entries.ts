/** What VFIO shows: `vfio-dev/vfioN` of its devices, and the groups below /devices/virtual/vfio. */

import type { VfioDevice } from '../../iommufd/vfio/device.ts';
import { relativePath } from '../../kernel/sysfs.ts';
import type { PciDevice } from '../../pci/device.ts';
import { deviceNodes } from '../../uapi/nodes.ts';
import type { ViewContext } from './context.ts';
import { link, plainDirectory, type ViewDirectory, type ViewEntry } from './entry.ts';
import { parseUevent } from './events.ts';
import { identityOf } from './identities.ts';
import { powerDirectory } from './power.ts';
import { constantFile, textFile } from './text-file.ts';

/** Where VFIO's groups are. */
export const VFIO_GROUPS = '/devices/virtual/vfio';

/** `vfio-dev` of a device that a VFIO driver has. */
export function vfioDevEntries(
  device: PciDevice,
  path: string,
  context: ViewContext,
): ViewDirectory | undefined {
  const vfioDevice = context.vfio?.find(device);
  if (vfioDevice?.isRegistered !== true) return undefined;
  const at = `${path}/vfio-dev`;
  const { name } = vfioDevice;
  return plainDirectory(
    at,
    identityOf(vfioDevice, 'vfio-dev'),
    () => new Map([[name, () => deviceDirectory(vfioDevice, `${at}/${name}`, path, context)]]),
  );
}

function deviceDirectory(
  vfioDevice: VfioDevice,
  path: string,
  device: string,
  context: ViewContext,
): ViewDirectory {
  const files = nodeFiles(path, `vfio/devices/${vfioDevice.name}`, '/class/vfio-dev', vfioDevice, context);
  files.set('device', () => link(relativePath(path, device)));
  return plainDirectory(path, vfioDevice, () => files);
}

/** Where the directory of each of VFIO's devices is, by name. */
export function vfioDevPaths({ vfio }: ViewContext): Map<string, string> {
  const paths = new Map<string, string>();
  for (const vfioDevice of vfio?.devices ?? []) {
    const path = vfioDevice.isRegistered ? vfioDevice.device.kobj?.path : undefined;
    if (path !== undefined) paths.set(vfioDevice.name, `${path}/vfio-dev/${vfioDevice.name}`);
  }
  return paths;
}

/** Groups that have a node below /dev/vfio, by name. */
export function vfioGroups(context: ViewContext): Map<string, () => ViewEntry> {
  const groups = new Map<string, () => ViewEntry>();
  for (const [name, group] of context.vfio?.groups ?? []) {
    const path = `${VFIO_GROUPS}/${name}`;
    groups.set(name, () =>
      plainDirectory(path, group, () => nodeFiles(path, `vfio/${name}`, '/class/vfio', group, context)),
    );
  }
  return groups;
}

function nodeFiles(
  path: string,
  node: string,
  subsystem: string,
  owner: object,
  context: ViewContext,
): Map<string, () => ViewEntry> {
  const files = new Map<string, () => ViewEntry>([
    ['subsystem', () => link(relativePath(path, subsystem))],
    ['power', () => powerDirectory(`${path}/power`, owner)],
  ]);
  const { vfio } = context;
  const numbers = vfio && deviceNodes({ iommufd: vfio.iommufd, vfio }).find((each) => each.path === node);
  if (numbers !== undefined) {
    files.set('dev', () => constantFile(`${path}/dev`, `${numbers.major}:${numbers.minor}\n`));
  }
  const text = numbers && `MAJOR=${numbers.major}\nMINOR=${numbers.minor}\nDEVNAME=${node}\n`;
  return files.set('uevent', () =>
    textFile({
      name: `${path}/uevent`,
      mode: 0o644,
      show: () => text ?? '',
      store: (written) => context.tell(parseUevent(written, path)),
    }),
  );
}
