/** The directory of a PCI function: everything in it that is no kobject of the model. */

import { KernelError } from '../../kernel/errors.ts';
import { relativePath } from '../../kernel/sysfs.ts';
import type { PciDevice } from '../../pci/device.ts';
import { recordedDirectory, type ViewContext } from './context.ts';
import { link, type ViewEntry } from './entry.ts';
import { PCI_ATTRIBUTES, type PciAttribute } from './pci-attributes.ts';
import { configFile, resourceFile, romFile } from './pci-binary-files.ts';
import { busBehind, pciBusEntries } from './pci-bus-entries.ts';
import { powerDirectory } from './power.ts';
import { ROM, resourcesOf } from './resources.ts';
import { textFile } from './text-file.ts';
import { vfioDevEntries } from './vfio-entries.ts';

/** Names that only the model gives, whatever was recorded. */
const LIVE_NAMES =
  /^(?:driver|iommu|iommu_group|subsystem|physfn|virtfn\d+|dep_link|vfio-dev|pci_bus|config|rom|resource\d.*|[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/;
/** Directories that do not come from the driver of the function. */
const WITHOUT_DRIVER: ReadonlySet<string> = new Set(['power', 'link', 'firmware_node', 'firmware_node.1']);

export function* pciDeviceNames(device: PciDevice, context: ViewContext): Generator<string> {
  const seen = new Set<string>();
  const once = function* (names: Iterable<string>): Generator<string> {
    for (const name of names) {
      if (seen.has(name)) continue;
      seen.add(name);
      yield name;
    }
  };
  yield* once(['config', 'power']);
  for (const row of PCI_ATTRIBUTES.values()) {
    if (row.visible?.(device, context) ?? true) yield* once([row.name]);
  }
  for (const [number, resource] of resourcesOf(context.facts.get(device.address)).entries()) {
    if (resource === undefined || number > ROM) continue;
    if (number === ROM) yield* once(['rom']);
    else
      yield* once(
        resource.prefetchable ? [`resource${number}`, `resource${number}_wc`] : [`resource${number}`],
      );
  }
  if (device.physfn !== undefined) yield* once(['physfn']);
  for (const [index] of context.virtualFunctions.of(device)) yield* once([`virtfn${index}`]);
  if (busBehind(device).length > 0) yield* once(['pci_bus']);
  if (context.vfio?.find(device)?.isRegistered === true) yield* once(['vfio-dev']);
  for (const name of context.recorded.names(recordedDirectory(device, context.facts))) {
    if (isRecorded(device, name, context)) yield* once([name]);
  }
}

export function pciDeviceEntry(device: PciDevice, name: string, context: ViewContext): ViewEntry | undefined {
  const path = device.kobj?.path;
  if (path === undefined) return undefined;
  const row = PCI_ATTRIBUTES.get(name);
  if (row !== undefined) return attributeEntry(device, row, path, context);
  if (!LIVE_NAMES.test(name)) {
    if (isRecorded(device, name, context)) {
      return context.recorded.entry(`${recordedDirectory(device, context.facts)}/${name}`, `${path}/${name}`);
    }
    return name === 'power' ? powerDirectory(`${path}/power`, device) : undefined;
  }
  return liveEntry(device, name, path, context);
}

function liveEntry(
  device: PciDevice,
  name: string,
  path: string,
  context: ViewContext,
): ViewEntry | undefined {
  if (name === 'config') return configFile(device, context.registers);
  const region = /^resource(\d{1,2})(_wc)?$/.exec(name);
  if (name === 'rom' || region !== null) {
    const number = region === null ? ROM : Number(region[1]);
    const resource = number > ROM ? undefined : resourcesOf(context.facts.get(device.address))[number];
    if (resource === undefined || (region?.[2] !== undefined && !resource.prefetchable)) return undefined;
    return name === 'rom' ? romFile(device, resource) : resourceFile(device, name, resource);
  }
  if (name === 'physfn') return device.physfn?.kobj && link(relativePath(path, device.physfn.kobj.path));
  const virtual = /^virtfn(\d{1,5})$/.exec(name);
  if (virtual !== null) {
    const index = Number(virtual[1]);
    const { sriov } = device.facts;
    const found =
      sriov &&
      !device.isVirtual &&
      String(index) === virtual[1] &&
      index < context.virtualFunctions.countOf(device)
        ? context.virtualFunctions.at(device, sriov, index)
        : undefined;
    return found?.kobj && link(relativePath(path, found.kobj.path));
  }
  if (name === 'pci_bus') return pciBusEntries(device, path, busBehind(device), context);
  if (name === 'vfio-dev') return vfioDevEntries(device, path, context);
  return undefined;
}

/** Recorded, not decided by the model, and not what a driver made that has let go since. */
function isRecorded(device: PciDevice, name: string, context: ViewContext): boolean {
  if (LIVE_NAMES.test(name) || PCI_ATTRIBUTES.get(name)?.live === true) return false;
  const entry = context.recorded.entry(`${recordedDirectory(device, context.facts)}/${name}`, '');
  if (entry === undefined) return false;
  return entry.kind === 'file' || WITHOUT_DRIVER.has(name) || context.drivers.isRecorded(device);
}

function attributeEntry(
  device: PciDevice,
  row: PciAttribute,
  path: string,
  context: ViewContext,
): ViewEntry | undefined {
  const { name, mode, show, store } = row;
  const recorded = row.live
    ? undefined
    : context.recorded.text(`${recordedDirectory(device, context.facts)}/${name}`);
  if (recorded === undefined && !(row.visible?.(device, context) ?? true)) return undefined;
  const present = () => {
    if (device.kobj?.path !== path) throw new KernelError('ENODEV', `${path}/${name}`, 'its device is gone');
  };
  return textFile({
    name: `${path}/${name}`,
    mode,
    ...(show !== undefined && {
      show: () => {
        present();
        const written = row.live ? undefined : context.written.get(device)?.get(name);
        return written ?? recorded ?? show(device, context);
      },
    }),
    ...(store !== undefined && {
      store: (text, credentials) => {
        present();
        const says = store(device, text, context, credentials);
        if (says === undefined) return;
        const written = context.written.get(device) ?? new Map<string, string>();
        context.written.set(device, written.set(name, says));
      },
    }),
  });
}
