/**
 * What `CONFIG_IOMMUFD_TEST` adds to a machine: a bus, an IOMMU that translates its devices, and devices that come and
 * go as a test asks (`iommufd_test_init`).
 */

import { Bus } from '../../device/bus.ts';
import type { DeviceCore } from '../../device/core.ts';
import type { IommuInstance } from '../../iommu/driver.ts';
import type { FaultInjector } from '../../iommu/fault-injector.ts';
import type { Iommu } from '../../iommu/iommu.ts';
import { KernelError } from '../../kernel/errors.ts';
import { Ida } from '../../kernel/ida.ts';
import type { Context } from '../context.ts';
import { isMockDevice, MockDevice } from './mock-device.ts';
import { MockIommuDriver } from './mock-driver.ts';
import { DeviceFlag, MEMORY_LIMIT_DEFAULT, MEMORY_LIMIT_LEAST } from './numbers.ts';

const KNOWN_DEVICE_FLAGS = DeviceFlag.NoDirty | DeviceFlag.HugeIova | DeviceFlag.Pasid;

export class Selftest {
  readonly bus: Bus;
  readonly instance: IommuInstance;
  readonly #core: DeviceCore;
  readonly #faults: FaultInjector;
  /** `mock_dev_ida` */
  readonly #numbers = new Ida('numbers of mock devices');
  #memoryLimit = MEMORY_LIMIT_DEFAULT;

  /**
   * `iommufd_test_init`
   *
   * @throws KernelError EEXIST this machine has the mock bus or IOMMU already
   */
  constructor(init: { core: DeviceCore; iommu: Iommu; faults: FaultInjector }) {
    this.#core = init.core;
    this.#faults = init.faults;
    this.bus = new Bus({ name: 'iommufd_mock', ...init.iommu.dmaHooks });
    this.instance = {
      name: 'iommufd_selftest_iommu.0',
      driver: new MockIommuDriver(init.faults),
      covers: isMockDevice,
    };
    this.#core.addBus(this.bus);
    init.iommu.registerDevice(this.instance, this.bus);
  }

  /** Mock devices there are, in the order they were made. */
  get devices(): MockDevice[] {
    return this.bus.devices.filter(isMockDevice);
  }

  /**
   * `iommufd_test_memory_limit`: bytes of scratch memory for page frame numbers, for every context alike. The kernel
   * works in more and smaller batches under a low limit. This model keeps no such batches, so nothing else changes; in
   * the kernel a slow ACCESS_RW that fails has copied the batches before.
   */
  get memoryLimit(): number {
    return this.#memoryLimit;
  }

  /** @throws KernelError EINVAL too little for a single run of frames (12 bytes) */
  setMemoryLimit(bytes: number): void {
    if (bytes < MEMORY_LIMIT_LEAST) {
      const problem = `a memory limit of ${bytes} bytes is too small`;
      throw new KernelError(
        'EINVAL',
        'iommufd selftest',
        problem,
        `${MEMORY_LIMIT_LEAST} are needed at least`,
      );
    }
    this.#memoryLimit = bytes;
  }

  /**
   * `mock_dev_create`: a device in a group of its own.
   *
   * @param flags of `DeviceFlag`
   * @throws KernelError EINVAL an unknown flag; ENOMEM
   */
  createDevice(flags: number): MockDevice {
    if ((flags & ~KNOWN_DEVICE_FLAGS) !== 0) {
      const problem = `mock devices know no flags 0x${(flags & ~KNOWN_DEVICE_FLAGS).toString(16)}`;
      throw new KernelError('EINVAL', 'iommufd selftest', problem);
    }
    this.#faults.step('mock device');
    const device = new MockDevice(this.#numbers.alloc(), this.bus, flags);
    try {
      this.#faults.step('mock device registration');
      this.#core.addDevice(device);
    } catch (error) {
      this.#numbers.free(device.number);
      throw error;
    }
    return device;
  }

  /** `mock_dev_destroy` */
  destroyDevice(device: MockDevice): void {
    this.#core.deleteDevice(device);
    this.#numbers.free(device.number);
  }
}

/**
 * The selftest a context can ask.
 *
 * @throws KernelError ENOTTY this iommufd was made without
 */
export function selftestOf(context: Context): Selftest {
  const { selftest } = context.iommufd;
  if (selftest === undefined) {
    throw new KernelError(
      'ENOTTY',
      context.label,
      'has no selftest',
      'give iommufd a device core to test with',
    );
  }
  return selftest;
}
