/** What the IOMMU core knows of one device (`struct dev_iommu` and the device's group pointer). */

import { type Device, DeviceSlot } from '../device/device.ts';
import type { KernelError } from '../kernel/errors.ts';
import type { IommuInstance } from './driver.ts';
import type { Group } from './group.ts';
import type { Reason } from './grouping/reason.ts';
import type { DeviceFaults } from './page-faults.ts';

/** Why a device is in no group. */
export type NoGroup =
  /** No IOMMU was there to ask, or the device never reached one (wrong bus, left out by the driver's order). */
  | { because: 'never-probed' }
  /** IOMMUs are there and none translates it; `details`: what they say about it. */
  | { because: 'not-covered'; details: string[] }
  /** Probing failed; the kernel logs it at most. */
  | { because: 'refused'; iommu: string; error: KernelError }
  /** Its IOMMU was unregistered again. */
  | { because: 'iommu-gone'; iommu: string };

export class DeviceIommu {
  group: Group | undefined;
  /** Which IOMMU translates it; a device can be in a group without one (vfio-noiommu, mediated devices). */
  instance: IommuInstance | undefined;
  maxPasids = 0;
  attachDeferred = false;
  /** Firmware wants a range mapped 1:1, so its DMA may never be blocked. */
  requireDirect = false;
  /** `fault_param`: there while the device may ask for pages. */
  faults: DeviceFaults | undefined;
  /** Its kernel driver's DMA goes through the default domain (`dma_iommu`). */
  usesDmaApi = false;
  reason: Reason | undefined;
  noGroup: NoGroup | undefined;
}

/** The states of one machine's devices. */
export class DeviceStates {
  readonly #slot = new DeviceSlot<DeviceIommu>();

  /** The state of a device the core has met. */
  find(device: Device): DeviceIommu | undefined {
    return this.#slot.get(device);
  }

  /** `dev_iommu_get`: the same, made on first use. */
  of(device: Device): DeviceIommu {
    let state = this.#slot.get(device);
    if (state === undefined) {
      state = new DeviceIommu();
      this.#slot.set(device, state);
    }
    return state;
  }

  /** `dev_iommu_free`. */
  forget(device: Device): void {
    this.#slot.set(device, undefined);
  }
}
