/** Ids that a driver is for, as `new_id` and `remove_id` change them (drivers/pci/pci-driver.c). */

import { KernelError } from '../../kernel/errors.ts';
import type { PciDevice } from '../../pci/device.ts';

/** `struct pci_device_id`; a part that is not there fits any device. */
export interface DeviceId {
  vendor: number;
  device: number;
  subsystemVendor?: number | undefined;
  subsystemDevice?: number | undefined;
  class: number;
  /** Bits of the class that have to be those of `class`. */
  classMask: number;
}

/** `PCI_ANY_ID`. */
const ANY = 0xffff_ffff;

/** `pci_match_one_device`. */
export function matchesId(id: DeviceId, device: PciDevice): boolean {
  const fits = (wanted: number | undefined, is: number | undefined) => wanted === undefined || wanted === is;
  return (
    fits(id.vendor === ANY ? undefined : id.vendor, device.vendor) &&
    fits(id.device === ANY ? undefined : id.device, device.device) &&
    fits(id.subsystemVendor, device.subsystemVendor) &&
    fits(id.subsystemDevice, device.subsystemDevice) &&
    ((id.class ^ (device.class ?? 0)) & id.classMask) === 0
  );
}

/**
 * What is written to `new_id` and `remove_id`: vendor, device, and as far as given the subsystem's, class, mask and
 * driver data, in hex.
 *
 * @throws KernelError EINVAL fewer than two numbers
 */
export function parseDeviceId(text: string, name: string): DeviceId {
  const numbers: number[] = [];
  for (const word of text.trim().split(/\s+/).slice(0, 6)) {
    const found = /^(?:0x)?([0-9a-f]{1,8})/i.exec(word);
    if (found === null) break;
    numbers.push(Number.parseInt(found[1]!, 16));
  }
  const [vendor, device, subsystemVendor, subsystemDevice, code = 0, classMask = 0] = numbers;
  if (vendor === undefined || device === undefined) {
    throw new KernelError('EINVAL', name, 'wants at least a vendor and a device id, in hex');
  }
  return {
    vendor,
    device,
    subsystemVendor: subsystemVendor === ANY ? undefined : subsystemVendor,
    subsystemDevice: subsystemDevice === ANY ? undefined : subsystemDevice,
    class: code,
    classMask,
  };
}

export class DynamicIds {
  readonly #ids: DeviceId[] = [];

  matches(device: PciDevice): boolean {
    return this.#ids.some((id) => matchesId(id, device));
  }

  /** `pci_add_dynid`. */
  add(id: DeviceId): void {
    this.#ids.push(id);
  }

  /**
   * The first that fits goes; who is bound stays bound.
   *
   * @throws KernelError ENODEV there is none
   */
  remove(wanted: DeviceId, name: string): void {
    const at = this.#ids.findIndex(
      (id) =>
        id.vendor === wanted.vendor &&
        id.device === wanted.device &&
        (wanted.subsystemVendor === undefined || id.subsystemVendor === wanted.subsystemVendor) &&
        (wanted.subsystemDevice === undefined || id.subsystemDevice === wanted.subsystemDevice) &&
        ((id.class ^ wanted.class) & wanted.classMask) === 0,
    );
    if (at < 0)
      throw new KernelError('ENODEV', name, 'has no such id', 'only ids added by new_id can be removed');
    this.#ids.splice(at, 1);
  }
}
