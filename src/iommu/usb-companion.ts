/**
 * Optional quirk from the discussion of the first IOMMU groups: USB 1 controllers (UHCI, OHCI) and the USB 2
 * controller (EHCI) of one PCI device hand ports to each other, so they stay together even where nothing else
 * says so.
 */

import type { Device } from '../device/device.ts';
import { PciDevice } from '../pci/device.ts';
import type { GroupingPolicy } from './grouping/policy.ts';

/** Class codes with programming interface. */
const UHCI = 0x0c0300;
const OHCI = 0x0c0310;
const EHCI = 0x0c0320;

/** `policy`, and where that would make a new group, companions of a grouped controller join it instead. */
export function withUsbCompanions(policy: GroupingPolicy): GroupingPolicy {
  return {
    name: `${policy.name} with USB companions`,
    deviceGroup<G>(device: Device, groupOf: (device: Device) => G | undefined) {
      const decision = policy.deviceGroup(device, groupOf);
      if (decision.group !== undefined || !(device instanceof PciDevice)) return decision;
      for (const companion of companionsOf(device)) {
        const group = groupOf(companion);
        if (group === undefined) continue;
        const step = { step: 'usb-companion', device: device.name, companion: companion.name } as const;
        const { reason } = decision;
        return {
          group,
          reason: {
            ...reason,
            steps: [...reason.steps, { ...step, grouped: true }],
            joined: { through: companion.name, step: step.step },
          },
        };
      }
      return decision;
    },
  };
}

/** The other USB 1 and 2 controllers of the slot, if both kinds are there. */
function companionsOf(device: PciDevice): PciDevice[] {
  const controllers = device.pciBus
    .functionsOf(device.slot)
    .filter((each) => each.class === UHCI || each.class === OHCI || each.class === EHCI);
  const fast = controllers.some((each) => each.class === EHCI);
  const slow = controllers.some((each) => each.class !== EHCI);
  if (!fast || !slow || !controllers.includes(device)) return [];
  return controllers.filter((each) => each !== device);
}
