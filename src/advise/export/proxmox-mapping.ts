/**
 * Proxmox VE: resource mappings (/etc/pve/mapping/pci.cfg). Proxmox compares ids, subsystem ids and group before it
 * starts a guest, and refuses when they are not those of the machine.
 *
 * A path without function means the whole slot, with the ids of function 0. Several paths in one mapping would all
 * have to have the same ids, so functions that come one by one get a mapping each.
 */

import type { ExportDevice, Exporter } from './exporter.ts';
import { slotsOf } from './slots.ts';

export const proxmoxMapping: Exporter = {
  name: 'proxmox-mapping',
  summary: 'resource mappings of a Proxmox VE node (mapping/pci.cfg)',
  scope: 'devices',
  groups: 'numbers',
  styles: ['legacy'],
  needsNode: 'label',
  write(input) {
    const entries = slotsOf(input).flatMap((slot) =>
      slot.whole
        ? [{ path: slot.name, device: slot.devices[0]! }]
        : slot.devices.map((device) => ({ path: device.address, device })),
    );
    const unread = entries.filter(({ device }) => device.line.vendor === undefined || !device.line.device);
    if (unread.length > 0) {
      return {
        text: '',
        problems: unread.map(({ device }) => ({
          verdict: 'cannot tell',
          what: `${device.address}: its ids were not read, and a mapping needs them`,
        })),
      };
    }
    const guess = entries.filter(({ device }) => device.line.subsystemVendor === undefined);
    return {
      text: entries.map(({ path, device }) => section(path, device, input.node!)).join('\n'),
      notes: guess.map(
        ({ device }) =>
          `${device.address}: no subsystem ids were read; if it has some, Proxmox will ask for subsystem-id`,
      ),
    };
  },
};

function section(path: string, device: ExportDevice, node: string): string {
  const { vendor, device: id, subsystemVendor, subsystemDevice } = device.line;
  const properties: Record<string, string> = {
    id: `${vendor}:${id}`,
    iommugroup: String(device.group.id),
    node,
    path,
    ...(subsystemVendor !== undefined && { 'subsystem-id': `${subsystemVendor}:${subsystemDevice}` }),
  };
  const map = Object.entries(properties).map(([key, value]) => `${key}=${value}`);
  return `${mappingId(path)}\n\tdescription ${device.title.slice(0, 200)}\n\tmap ${map.join(',')}\n`;
}

/** `pve-configid`: a letter, then letters, digits, `-` and `_`. */
function mappingId(path: string): string {
  return `pci-${path.replace(/[:.]/g, '-')}`;
}
