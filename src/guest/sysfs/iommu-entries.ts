/** The directory of an IOMMU: its registers, as the drivers of VT-d and AMD-Vi show them. */

import type { Kobject } from '../../kernel/kobject.ts';
import { relativePath } from '../../kernel/sysfs.ts';
import type { ViewContext } from './context.ts';
import { link, plainDirectory, type ViewEntry } from './entry.ts';
import { parseUevent } from './events.ts';
import { identityOf } from './identities.ts';
import { powerDirectory } from './power.ts';
import { constantFile, textFile } from './text-file.ts';

type Table = Map<string, () => ViewEntry | undefined>;

/** Nothing where the directory is not that of an IOMMU. */
export function instanceEntries(kobj: Kobject, path: string, context: ViewContext): Table | undefined {
  if (kobj.parent?.name !== 'iommu') return undefined;
  const instance = context.machine.iommu.instances.find(({ name }) => name === kobj.name);
  if (instance === undefined) return undefined;
  const table: Table = new Map<string, () => ViewEntry | undefined>([
    ['subsystem', () => link(relativePath(path, '/class/iommu'))],
    [
      'power',
      () => context.recorded.entry(`${path}/power`, `${path}/power`) ?? powerDirectory(`${path}/power`, kobj),
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
  const registers = context.machine.snapshot.iommus?.find(({ name }) => name === kobj.name)?.registers;
  const folder = kobj.name.startsWith('ivhd') ? 'amd-iommu' : 'intel-iommu';
  if (registers !== undefined) {
    const at = `${path}/${folder}`;
    table.set(folder, () => context.recorded.entry(at, at) ?? registerDirectory(kobj, at, folder, registers));
  }
  return table;
}

function registerDirectory(
  kobj: Kobject,
  at: string,
  folder: string,
  registers: Readonly<Record<string, string>>,
) {
  return plainDirectory(
    at,
    identityOf(kobj, folder),
    () =>
      new Map(
        Object.entries(registers).map(([name, text]) => [
          name,
          () => constantFile(`${at}/${name}`, `${text}\n`),
        ]),
      ),
  );
}
