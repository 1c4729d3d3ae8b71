/**
 * Proxmox VE: `hostpciN` lines of a guest's configuration (/etc/pve/qemu-server/ID.conf).
 *
 * A line is one device of the guest: a slot with all its functions, or single functions joined by `;`. There are
 * no comments in it, since Proxmox takes `#` lines for the guest's description.
 */

import type { Exporter } from './exporter.ts';
import { type Slot, slotsOf } from './slots.ts';

/** `$MAX_HOSTPCI_DEVICES` */
const MOST = 16;

export const proxmox: Exporter = {
  name: 'proxmox',
  summary: 'hostpci lines of a Proxmox VE guest',
  scope: 'devices',
  groups: 'presence',
  styles: ['legacy'],
  write(input) {
    const slots = slotsOf(input);
    if (slots.length > MOST) {
      return {
        text: '',
        problems: [
          {
            verdict: 'no',
            what: `a Proxmox guest takes ${MOST} devices (hostpci0 to hostpci${MOST - 1}), and these are ${slots.length}`,
          },
        ],
      };
    }
    return {
      text: slots.map((slot, index) => `hostpci${index}: ${host(slot)},pcie=1\n`).join(''),
      notes: ['pcie=1 needs machine type q35; for i440fx leave it out'],
    };
  },
};

function host(slot: Slot): string {
  return slot.whole ? slot.name : slot.devices.map((device) => device.address).join(';');
}
