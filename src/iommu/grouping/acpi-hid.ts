/** Devices that firmware lists under one id share (`acpihid_device_group` of the AMD driver). */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { KeyedGrouping } from './keyed.ts';

export class AcpiHidGrouping extends KeyedGrouping {
  readonly #idOf: (device: Device) => string | undefined;

  /** @param idOf the id firmware has for a device */
  constructor(idOf: (device: Device) => string | undefined) {
    super('acpi-hid');
    this.#idOf = idOf;
  }

  /** @throws KernelError EINVAL for a device firmware does not list */
  protected override keyOf(device: Device) {
    const key = this.#idOf(device);
    if (key === undefined) throw new KernelError('EINVAL', device.name, 'is not listed in IVRS');
    return { key, step: { step: 'firmware' as const, key, table: 'IVRS', grouped: false } };
  }
}
