/**
 * KubeVirt: `permittedHostDevices` of the KubeVirt object. KubeVirt knows devices by vendor and device id only, so
 * that an entry permits every such card of every node that vfio-pci drives. Resource names are made of the ids too:
 * names from pci.ids would differ between nodes.
 */

import { oneLine } from './escape.ts';
import type { ExportDevice, Exporter } from './exporter.ts';
import { identicalCards } from './identical.ts';
import { type YamlValue, yaml } from './yaml.ts';

export const kubevirt: Exporter = {
  name: 'kubevirt',
  summary: 'permittedHostDevices of KubeVirt',
  scope: 'devices',
  groups: 'presence',
  styles: ['legacy', 'iommufd'],
  write(input) {
    const { devices, domain, style } = input;
    const byIds = new Map<string, ExportDevice>();
    const unread: string[] = [];
    for (const device of devices) {
      const { vendor, device: id } = device.line;
      if (vendor === undefined || id === undefined) unread.push(device.address);
      else if (!byIds.has(`${vendor}:${id}`)) byIds.set(`${vendor}:${id}`, device);
    }
    if (unread.length > 0) {
      return {
        text: '',
        problems: unread.map((address) => ({
          verdict: 'cannot tell',
          what: `${address}: its ids were not read, and KubeVirt goes by them`,
        })),
      };
    }
    const gates = ['HostDevices', ...(style === 'iommufd' ? ['IOMMUFD'] : [])];
    const object: YamlValue = {
      apiVersion: 'kubevirt.io/v1',
      kind: 'KubeVirt',
      metadata: { name: 'kubevirt', namespace: 'kubevirt' },
      spec: {
        configuration: {
          developerConfiguration: { featureGates: gates },
          permittedHostDevices: {
            pciHostDevices: [...byIds.keys()].map((ids) => ({
              pciVendorSelector: ids.toUpperCase(),
              resourceName: `${domain}/pci-${ids.replace(':', '-')}`,
            })),
          },
        },
      },
    };
    const comments = [...byIds].map(
      ([ids, device]) => `# ${ids.toUpperCase()} ${oneLine(device.title)} (${device.address})\n`,
    );
    return {
      text: comments.join('') + yaml(object),
      notes: [
        'add these entries to the lists of your KubeVirt object; a merge patch would put them in the place of what is there',
        ...(style === 'iommufd'
          ? ['the IOMMUFD feature gate needs KubeVirt 1.9 and libvirt 12.2 in virt-launcher']
          : []),
        ...identicalCards(input).map(
          ({ device, others }) =>
            `KubeVirt goes by ids: ${others.join(', ')}, identical to ${device.address}, is permitted as well if vfio-pci drives it`,
        ),
      ],
    };
  },
};
