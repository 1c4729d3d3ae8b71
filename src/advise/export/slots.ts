/** Exported devices by slot, for consumers that name `0000:01:00` and mean every function there. */

import type { ExportDevice, ExportInput } from './exporter.ts';

export interface Slot {
  /** `0000:01:00` */
  name: string;
  devices: ExportDevice[];
  /** Every function the machine has there is exported, so the slot's name says it all. */
  whole: boolean;
}

export function slotsOf({ devices, describer }: ExportInput): Slot[] {
  const slots = new Map<string, ExportDevice[]>();
  for (const device of devices) {
    const name = slotName(device.address);
    slots.set(name, [...(slots.get(name) ?? []), device]);
  }
  const present = new Map<string, number>();
  for (const { address } of describer.snapshot.devices) {
    const name = slotName(address);
    present.set(name, (present.get(name) ?? 0) + 1);
  }
  return [...slots].map(([name, list]) => ({
    name,
    devices: list,
    whole: present.get(name) === list.length && list[0]!.address.endsWith('.0'),
  }));
}

function slotName(address: string): string {
  return address.slice(0, address.lastIndexOf('.'));
}
