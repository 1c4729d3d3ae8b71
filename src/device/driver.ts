/** A driver as the device core sees it. */

import type { Bus } from './bus.ts';
import type { Device } from './device.ts';

/** A `struct device_driver`. */
export interface Driver {
  readonly name: string;
  readonly bus: Bus;
  /** Owns the DMA of its devices itself (VFIO, pci-stub, pcieport): binding it does not use the default domain. */
  readonly driverManagedDma?: boolean;
  /** Its id table. Asked when the bus has no `match` of its own; without either, every device matches. */
  match?(device: Device): boolean;
  /** Refuses the device by throwing a KernelError; EPROBE_DEFER to be asked again later. */
  probe?(device: Device): void;
  remove?(device: Device): void;
}
