/** The driver vfio-pci. */

import type { Bus } from '../../../device/bus.ts';
import type { Device } from '../../../device/device.ts';
import type { Driver } from '../../../device/driver.ts';
import { KernelError } from '../../../kernel/errors.ts';
import { PciDevice } from '../../../pci/device.ts';
import type { Vfio } from '../vfio.ts';
import { VfioPciDevice } from './device.ts';
import type { PciHardwareInit } from './hardware.ts';

const INTEL = 0x8086;
/** Crypto and data movers that a program could use to break out (`vfio_pci_dev_in_denylist`). */
const DENIED: ReadonlySet<number> = new Set([0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443, 0x0b25, 0x0cfe]);

export interface VfioPciOptions {
  /** Parameter `disable_denylist`. */
  disableDenylist?: boolean;
  /** Devices it is for beside those whose `driver_override` names it (parameter `ids`, `new_id`). */
  match?(device: Device): boolean;
  /** BARs and more of each function, as far as they are known. */
  hardware?(device: PciDevice): PciHardwareInit & { vga?: boolean; onRequest?(times: number): void };
}

/**
 * The driver, to be registered with the device core: binding a device hands it to VFIO, unbinding takes it back.
 */
export function vfioPciDriver(vfio: Vfio, bus: Bus, options: VfioPciOptions = {}): Driver {
  return {
    name: 'vfio-pci',
    bus,
    driverManagedDma: true,
    match: (device) => options.match?.(device) ?? false,
    probe: (device) => {
      assertFits(device, options.disableDenylist === true);
      const { faults } = vfio.iommufd;
      vfio.registerGroupDev(device, new VfioPciDevice(device, faults, options.hardware?.(device)));
    },
    remove: (device) => vfio.unregisterGroupDev(device),
  };
}

/** `vfio_pci_probe`, `vfio_pci_core_register_device`. */
function assertFits(device: Device, disableDenylist: boolean): asserts device is PciDevice {
  if (!(device instanceof PciDevice)) throw new KernelError('EINVAL', device.name, 'is not a PCI function');
  const denied = device.vendor === INTEL && device.device !== undefined && DENIED.has(device.device);
  if (denied && !disableDenylist) {
    throw new KernelError('EINVAL', device.name, 'is on the denylist of vfio-pci', 'set disable_denylist');
  }
  if (device.facts.headerType !== undefined && device.facts.headerType !== 0) {
    throw new KernelError('EINVAL', device.name, 'is a bridge');
  }
  const { sriov } = device.facts;
  if (sriov?.enabled === true && sriov.numVfs > 0) {
    throw new KernelError('EBUSY', device.name, `has ${sriov.numVfs} virtual functions`, 'remove them first');
  }
}
