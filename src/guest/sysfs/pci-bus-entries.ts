/** The directories `pci_bus/DDDD:BB`, one for each bus behind a bridge or host bridge, and their class. */

import { relativePath } from '../../kernel/sysfs.ts';
import type { PciBus } from '../../pci/bus.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { ViewContext } from './context.ts';
import { cpuListOf, cpuMask, parseCpuList } from './cpu-list.ts';
import { link, plainDirectory, type ViewDirectory, type ViewEntry } from './entry.ts';
import { parseUevent } from './events.ts';
import { identityOf } from './identities.ts';
import { parseUnsigned } from './numbers.ts';
import { powerDirectory } from './power.ts';
import { constantFile, textFile } from './text-file.ts';

/** Buses whose directories lie in that of a bridge: the one behind it, and those of virtual functions beside that. */
export function busBehind({ subordinate }: PciDevice): PciBus[] {
  return subordinate === undefined ? [] : withVirtual(subordinate);
}

export function withVirtual(bus: PciBus): PciBus[] {
  return [bus, ...bus.children.filter(({ self }) => self === undefined)];
}

/** All buses, those of virtual functions included. */
export function allBuses({ machine }: ViewContext): PciBus[] {
  const found: PciBus[] = [];
  const left = [...machine.pci.rootBuses].reverse();
  for (let bus = left.pop(); bus !== undefined; bus = left.pop()) {
    found.push(bus);
    left.push(...[...bus.children].reverse());
  }
  return found;
}

/** `pci_bus`, of the bridge whose directory is at `path`. */
export function pciBusEntries(
  owner: object,
  path: string,
  buses: readonly PciBus[],
  context: ViewContext,
): ViewDirectory | undefined {
  if (buses.length === 0) return undefined;
  const at = `${path}/pci_bus`;
  return plainDirectory(
    at,
    identityOf(owner, 'pci_bus'),
    () =>
      new Map(buses.map((bus) => [bus.name, () => busDirectory(bus, `${at}/${bus.name}`, path, context)])),
  );
}

/** Where the directory of a bus is; nothing while its bridge is going. */
export function busPath(bus: PciBus): string | undefined {
  const path = bus.bridge.kobj?.path;
  return path && `${path}/pci_bus/${bus.name}`;
}

function busDirectory(bus: PciBus, path: string, bridge: string, context: ViewContext): ViewDirectory {
  const cpus = cpuListOf(context.cpus);
  const files = new Map<string, () => ViewEntry>([
    ['device', () => link(relativePath(path, bridge))],
    ['subsystem', () => link(relativePath(path, '/class/pci_bus'))],
    ['cpulistaffinity', () => constantFile(`${path}/cpulistaffinity`, `${cpus}\n`)],
    ['cpuaffinity', () => constantFile(`${path}/cpuaffinity`, `${cpuMask(parseCpuList(cpus)!)}\n`)],
    ['power', () => powerDirectory(`${path}/power`, bus)],
    [
      'rescan',
      () =>
        textFile({
          name: `${path}/rescan`,
          mode: 0o200,
          store: (text) => {
            if (parseUnsigned(text, `${path}/rescan`) !== 0n) context.hotPlug.rescan(bus);
          },
        }),
    ],
    [
      'uevent',
      () =>
        textFile({
          name: `${path}/uevent`,
          mode: 0o644,
          show: () => '',
          store: (text) => context.tell(parseUevent(text, path)),
        }),
    ],
  ]);
  return plainDirectory(path, bus, () => files);
}
