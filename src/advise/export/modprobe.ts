/**
 * modprobe.d: vfio-pci takes the devices at boot, by ids, before the drivers that would. Ids cannot tell identical
 * cards apart; where the makers' ids do, they are added, and where nothing does, the file says what else it takes.
 */

import { isVfioDriver } from '../../machine/drivers.ts';
import type { ExportDevice, Exporter } from './exporter.ts';
import { identicalCards } from './identical.ts';

export const modprobe: Exporter = {
  name: 'modprobe',
  summary: 'modprobe.d file that binds vfio-pci at boot',
  scope: 'devices',
  groups: 'nothing',
  styles: 'either',
  write(input) {
    const { devices } = input;
    const unread = devices.filter(({ line }) => line.vendor === undefined || line.device === undefined);
    if (unread.length > 0) {
      return {
        text: '',
        problems: unread.map(({ address }) => ({
          verdict: 'cannot tell',
          what: `${address}: its ids were not read, and vfio-pci goes by them`,
        })),
      };
    }
    const alike = new Set(identicalCards(input).map(({ device }) => device.address));
    const taken = identicalCards(input, true);
    const warnings = taken.map(
      ({ device, others }) =>
        `${others.join(', ')} ${others.length === 1 ? 'has' : 'have'} the same ids as ${device.address} and would be taken as well; tell them apart by path, as ringfence plan does`,
    );
    const ids = [...new Set(devices.map((device) => idsOf(device, alike.has(device.address))))].sort();
    const modules = [...new Set(devices.flatMap(modulesOf))].sort();
    const unknown = devices.filter(
      ({ line, facts }) => facts.modules === undefined && (!line.driver || isVfioDriver(line.driver)),
    );
    return {
      text: [
        ...devices.map((device) => `# ${device.address} ${device.title}\n`),
        ...devices.flatMap(({ address, inUse }) =>
          inUse === undefined ? [] : [`# WARNING: the host uses ${address}: ${inUse}\n`],
        ),
        ...warnings.map((warning) => `# WARNING: ${warning}\n`),
        `options vfio-pci ids=${ids.join(',')}\n`,
        ...modules.map((module) => `softdep ${module} pre: vfio-pci\n`),
      ].join(''),
      notes: [
        ...warnings,
        ...(unknown.length > 0
          ? [
              `no driver of ${unknown.map((device) => device.address).join(', ')} is known, so there is no softdep for one; a driver that is loaded earlier takes it`,
            ]
          : []),
        'then rebuild the initramfs (update-initramfs -u, dracut -f); drivers built into the kernel come first all the same',
      ],
    };
  },
};

/** `vendor:device`, with the maker's ids where there is another card that they may tell apart. */
function idsOf({ line }: ExportDevice, narrow: boolean): string {
  const { vendor, device, subsystemVendor, subsystemDevice } = line;
  const plain = `${vendor}:${device}`;
  return narrow && subsystemVendor !== undefined && subsystemDevice !== undefined
    ? `${plain}:${subsystemVendor}:${subsystemDevice}`
    : plain;
}

/** Modules whose driver has another name. */
const MODULE_OF: Record<string, string> = {
  xhci_hcd: 'xhci_pci',
  ehci_hcd: 'ehci_pci',
  i801_smbus: 'i2c_i801',
  piix4_smbus: 'i2c_piix4',
  'thunderbolt-nhi': 'thunderbolt',
};

/** Modules that would take the device: as lspci lists them, else the module of its driver. */
function modulesOf({ line, facts }: ExportDevice): string[] {
  const driver = line.driver && !isVfioDriver(line.driver) ? [line.driver] : [];
  return [...(facts.modules ?? []), ...driver]
    .map((name) => (Object.hasOwn(MODULE_OF, name) ? MODULE_OF[name]! : name.replaceAll('-', '_')))
    .filter((name) => /^\w{1,64}$/.test(name) && !isVfioDriver(name));
}
