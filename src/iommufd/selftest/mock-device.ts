/** A device that does nothing but stand behind the mock IOMMU (`struct mock_dev`). */

import type { Bus } from '../../device/bus.ts';
import { Device } from '../../device/device.ts';
import type { MockViommu } from './mock-viommu.ts';
import { DeviceFlag, MOCK_CACHE_DEFAULT, MOCK_CACHE_ENTRIES } from './numbers.ts';

export class MockDevice extends Device {
  /** The `N` of `iommufd_mock<N>`. */
  readonly number: number;
  readonly #flags: number;
  /** Stands for whatever a device caches of translations; a vIOMMU's invalidation clears it. */
  readonly cache = new Uint32Array(MOCK_CACHE_ENTRIES).fill(MOCK_CACHE_DEFAULT);
  /** The vIOMMU behind the nested domain it is attached to, and what the guest calls the device there. */
  viommu: { readonly mock: MockViommu; readonly virtId: bigint } | undefined;
  /** `pasid_1024_fake_error`: the next attach to that PASID fails. */
  failNextFakeError = false;

  /** @param flags of `DeviceFlag` */
  constructor(number: number, bus: Bus, flags: number) {
    super({ name: `iommufd_mock${number}`, bus });
    this.number = number;
    this.#flags = flags;
  }

  get tracksDirty(): boolean {
    return (this.#flags & DeviceFlag.NoDirty) === 0;
  }

  get hasHugePages(): boolean {
    return (this.#flags & DeviceFlag.HugeIova) !== 0;
  }

  get hasPasids(): boolean {
    return (this.#flags & DeviceFlag.Pasid) !== 0;
  }
}

/** `iommufd_selftest_is_mock_dev`. */
export function isMockDevice(device: Device): device is MockDevice {
  return device instanceof MockDevice;
}
