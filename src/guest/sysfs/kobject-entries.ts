/** What directories of the model show beside what the model puts there, by what they are the directories of. */

import { deviceOf } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Kobject } from '../../kernel/kobject.ts';
import { relativePath } from '../../kernel/sysfs.ts';
import { firmwareTables } from './acpi-entries.ts';
import { pciDeviceOf, type ViewContext } from './context.ts';
import { link, plainDirectory, type ViewEntry } from './entry.ts';
import { parseUevent } from './events.ts';
import { identityOf } from './identities.ts';
import { instanceEntries } from './iommu-entries.ts';
import { parseUnsigned } from './numbers.ts';
import { allBuses, busPath, pciBusEntries, withVirtual } from './pci-bus-entries.ts';
import { pciDeviceEntry, pciDeviceNames } from './pci-device-entries.ts';
import { powerDirectory } from './power.ts';
import { textFile } from './text-file.ts';
import { VFIO_GROUPS, vfioDevPaths, vfioGroups } from './vfio-entries.ts';

/** More entries of one directory. */
export interface Entries {
  names(): Iterable<string>;
  entry(name: string): ViewEntry | undefined;
}

type Table = ReadonlyMap<string, () => ViewEntry | undefined>;

const PCI_DRIVERS = /^\/bus\/pci\/drivers\/([^/]+)$/;
const BUS = /^\/bus\/[^/]+$/;
/** What recorded directories beside those of PCI functions do not add: what the model would have put there. */
const MODELLED =
  /^(?:driver|iommu|iommu_group|subsystem|devices|[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/;

export function entriesOf(kobj: Kobject, context: ViewContext): Entries {
  const function_ = pciDeviceOf(kobj);
  if (function_ !== undefined) {
    return {
      names: () => pciDeviceNames(function_, context),
      entry: (name) => pciDeviceEntry(function_, name, context),
    };
  }
  const { path } = kobj;
  const table = tableOf(kobj, path, context);
  const recorded = (path.startsWith('/devices/') && path !== '/devices/virtual') || PCI_DRIVERS.test(path);
  return {
    names: () => new Set([...table.keys(), ...(recorded ? recordedNames(path, context) : [])]),
    entry: (name) => {
      const made = table.get(name);
      if (made !== undefined) return made();
      if (!recorded || MODELLED.test(name)) return undefined;
      return context.recorded.entry(`${path}/${name}`, `${path}/${name}`);
    },
  };
}

function recordedNames(path: string, { recorded }: ViewContext): string[] {
  return recorded
    .names(path)
    .filter((name) => !MODELLED.test(name) && recorded.entry(`${path}/${name}`, '') !== undefined);
}

function tableOf(kobj: Kobject, path: string, context: ViewContext): Table {
  if (deviceOf(kobj) !== undefined) return deviceTable(kobj, path, context);
  if (path === '/bus/pci') return pciBusTable(path, context);
  if (BUS.test(path)) return new Map([uevent(path, context)]);
  const driver = PCI_DRIVERS.exec(path)?.[1];
  if (driver !== undefined) return driverTable(path, driver, context);
  switch (path) {
    case '/class/pci_bus':
      return links(
        path,
        allBuses(context).map((bus) => [bus.name, busPath(bus)]),
      );
    case '/class/vfio':
      return links(
        path,
        [...vfioGroups(context).keys()].map((name) => [name, `${VFIO_GROUPS}/${name}`]),
      );
    case '/class/vfio-dev':
      return links(path, [...vfioDevPaths(context)]);
    case VFIO_GROUPS:
      return vfioGroups(context);
    case '/firmware/acpi/tables':
      return firmwareTables(path, context);
    default:
      return instanceEntries(kobj, path, context) ?? new Map();
  }
}

/** Host bridges and devices of other buses. */
function deviceTable(kobj: Kobject, path: string, context: ViewContext): Table {
  const device = deviceOf(kobj);
  const roots = context.machine.pci.rootBuses.filter(({ bridge }) => bridge === device);
  return new Map<string, () => ViewEntry | undefined>([
    uevent(path, context),
    [
      'power',
      () => context.recorded.entry(`${path}/power`, `${path}/power`) ?? powerDirectory(`${path}/power`, kobj),
    ],
    ...(roots.length === 0
      ? []
      : [['pci_bus', () => pciBusEntries(kobj, path, roots.flatMap(withVirtual), context)] as const]),
  ]);
}

function pciBusTable(path: string, context: ViewContext): Table {
  return new Map<string, () => ViewEntry | undefined>([
    uevent(path, context),
    [
      'rescan',
      () =>
        textFile({
          name: `${path}/rescan`,
          mode: 0o200,
          store: (text) => {
            if (parseUnsigned(text, `${path}/rescan`) !== 0n) context.hotPlug.rescan();
          },
        }),
    ],
    [
      'resource_alignment',
      () =>
        textFile({
          name: `${path}/resource_alignment`,
          mode: 0o644,
          show: () => context.settings.get('resource_alignment') ?? '\n',
          store: (text) => {
            context.settings.set('resource_alignment', `${text.replace(/\n$/, '')}\n`);
          },
        }),
    ],
    [
      'slots',
      () =>
        context.recorded.entry(`${path}/slots`, `${path}/slots`) ??
        plainDirectory(`${path}/slots`, identityOf(context, 'slots'), () => new Map()),
    ],
  ]);
}

/** `new_id` and `remove_id` of a PCI driver. */
function driverTable(path: string, driver: string, context: ViewContext): Table {
  const file = (name: string, store: (text: string) => void) =>
    [name, () => textFile({ name: `${path}/${name}`, mode: 0o200, store })] as const;
  return new Map<string, () => ViewEntry | undefined>([
    file('new_id', (text) => context.drivers.newId(driver, text)),
    file('remove_id', (text) => context.drivers.removeId(driver, text)),
    file('uevent', (text) => context.tell(parseUevent(text, path))),
  ]);
}

function links(path: string, targets: Iterable<readonly [string, string | undefined]>): Table {
  const table = new Map<string, () => ViewEntry | undefined>();
  for (const [name, target] of targets) {
    if (target !== undefined) table.set(name, () => link(relativePath(path, target)));
  }
  return table;
}

/** A file that tells listeners and says nothing. */
function uevent(path: string, context: ViewContext): readonly [string, () => ViewEntry] {
  const name = `${path}/uevent`;
  const store = (text: string) => context.tell(parseUevent(text, path));
  return ['uevent', () => textFile({ name, mode: 0o644, show: () => '', store })];
}

/** @throws KernelError ENODEV its directory is gone */
export function assertPresent(kobj: Kobject): void {
  if (!kobj.inSysfs) throw new KernelError('ENODEV', kobj.path, 'has been removed');
}
