/** Arguments of qemu-system-*, one a line, for a shell script. */

import { parseAddress } from '../../pci/address.ts';
import type { Exporter } from './exporter.ts';

/** One object serves all devices: it is one address space for the guest. */
const IOMMUFD = 'iommufd0';

export const qemu: Exporter = {
  name: 'qemu',
  summary: 'arguments of QEMU',
  scope: 'devices',
  groups: 'presence',
  styles: ['legacy', 'iommufd'],
  write({ devices, style }) {
    const iommufd = style === 'iommufd';
    const lines = devices.map(
      ({ address }) => `-device vfio-pci,${place(address)}${iommufd ? `,iommufd=${IOMMUFD}` : ''}`,
    );
    if (iommufd) lines.unshift(`-object iommufd,id=${IOMMUFD}`);
    return {
      text: `${lines.join(' \\\n')}\n`,
      ...(iommufd && { notes: ['iommufd needs QEMU 9.0 or newer, and Linux 6.6'] }),
    };
  },
};

/** `host=` takes domains of four digits; those of VMD have more, and go by their place in sysfs. */
function place(address: string): string {
  return parseAddress(address)!.domain > 0xffff
    ? `sysfsdev=/sys/bus/pci/devices/${address}`
    : `host=${address}`;
}
