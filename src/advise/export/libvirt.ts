/**
 * libvirt domain XML: one `<hostdev>` per function, for `virsh edit` or, one at a time, `virsh attach-device`.
 *
 * iommufd is an attribute of the device's driver element, from libvirt 12.1.0 (2026-03) on.
 */

import { functionOf, parseAddress, slotOf } from '../../pci/address.ts';
import { xmlComment } from './escape.ts';
import type { ExportDevice, Exporter, ExportInput } from './exporter.ts';

export const libvirt: Exporter = {
  name: 'libvirt',
  summary: 'hostdev elements of a libvirt domain',
  scope: 'devices',
  groups: 'presence',
  styles: ['legacy', 'iommufd'],
  write(input) {
    return {
      text: input.devices.map((device) => hostdev(device, input)).join(''),
      ...(input.style === 'iommufd' && { notes: ['iommufd needs libvirt 12.1 or newer, and QEMU 9.0'] }),
    };
  },
};

function hostdev(device: ExportDevice, { managed, source, style }: ExportInput): string {
  const { domain, bus, devfn } = parseAddress(device.address)!;
  const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;
  const iommufd = style === 'iommufd' ? " iommufd='yes'" : '';
  const group = source === 'kernel' ? `, IOMMU group ${device.group.id}` : '';
  return `\
<!-- ${xmlComment(`${device.address} ${device.title}${group}`)} -->
<hostdev mode='subsystem' type='pci' managed='${managed ? 'yes' : 'no'}'>
  <driver name='vfio'${iommufd}/>
  <source>
    <address domain='${hex(domain, 4)}' bus='${hex(bus, 2)}' slot='${hex(slotOf(devfn), 2)}' function='${hex(functionOf(devfn), 1)}'/>
  </source>
</hostdev>
`;
}
