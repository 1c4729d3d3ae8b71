/**
 * The slice of the mock IOMMU that a guest is given (`struct mock_viommu`; since 6.13): nested domains of its own,
 * devices by the guest's numbers, whose caches it can invalidate, and two queues.
 */

import type { Device } from '../../device/device.ts';
import type { Domain, DomainOps } from '../../iommu/domain.ts';
import type { DriverViommu } from '../../iommu/driver.ts';
import { copyStructFromUser, type UserData, type UserDataArray } from '../../iommu/user-data.ts';
import { KernelError } from '../../kernel/errors.ts';
import { checkInvalidation, invalidateCache } from './mock-cache.ts';
import { isMockDevice, type MockDevice } from './mock-device.ts';
import { MockNestedDomain, readNestedData } from './mock-nested.ts';
import { HW_QUEUE_TYPE_SELFTEST, INVALIDATE_DATA_SELFTEST, MOCK_HW_QUEUES } from './numbers.ts';

/** Bytes of `struct iommu_viommu_invalidate_selftest`: flags@0 vdev_id@4 cache_id@8. */
const INVALIDATE_SIZE = 12;

export class MockViommu implements DriverViommu {
  readonly #parent: Domain;
  readonly #nestedOps: DomainOps;
  readonly #devices = new Map<bigint, MockDevice>();
  readonly #queues: boolean[] = Array.from({ length: MOCK_HW_QUEUES }, () => false);

  constructor(parent: Domain, nestedOps: DomainOps) {
    this.#parent = parent;
    this.#nestedOps = nestedOps;
  }

  /** What the guest calls a device (`iommufd_viommu_get_vdev_id`). */
  virtIdOf(device: MockDevice): bigint | undefined {
    for (const [virtId, each] of this.#devices) if (each === device) return virtId;
    return undefined;
  }

  allocDomainNested(userData: UserData): Domain {
    return new MockNestedDomain({
      ops: this.#nestedOps,
      parent: this.#parent,
      iotlb: readNestedData(userData),
      viommu: this,
    });
  }

  /**
   * `mock_viommu_cache_invalidate`: the caches of devices. Without entries it only answers whether the type is right.
   *
   * @throws KernelError EINVAL data of another type or length, no such entry or device; EOPNOTSUPP an unknown flag;
   *   EFAULT
   */
  cacheInvalidate(array: UserDataArray): void {
    array.processed = 0;
    if (array.type !== INVALIDATE_DATA_SELFTEST) {
      throw new KernelError('EINVAL', 'mock vIOMMU', `cannot be invalidated with data of type ${array.type}`);
    }
    while (array.processed < array.entries) {
      const entry = array.entry(array.processed);
      const data = copyStructFromUser(entry, INVALIDATE_DATA_SELFTEST, INVALIDATE_SIZE);
      const invalidation = { flags: data.getUint32(0, true), entry: data.getUint32(8, true) };
      checkInvalidation('mock vIOMMU', invalidation);
      const virtId = data.getUint32(4, true);
      const device = this.#devices.get(BigInt(virtId));
      if (device === undefined) {
        throw new KernelError('EINVAL', 'mock vIOMMU', `the guest has no device ${virtId}`);
      }
      invalidateCache(device.cache, invalidation);
      array.processed++;
    }
  }

  vdeviceInit(device: Device, virtId: bigint): void {
    if (isMockDevice(device)) this.#devices.set(virtId, device);
  }

  vdeviceDestroy(_device: Device, virtId: bigint): void {
    this.#devices.delete(virtId);
  }

  hasHwQueue(type: number): boolean {
    return type === HW_QUEUE_TYPE_SELFTEST;
  }

  /** @throws KernelError EINVAL there are two queues; EEXIST it is in use; EIO the queue before it is not */
  hwQueueInit(_type: number, index: number): void {
    if (index >= this.#queues.length) {
      throw new KernelError('EINVAL', 'mock vIOMMU', `has no queue ${index}, only ${this.#queues.length}`);
    }
    if (this.#queues[index]) throw new KernelError('EEXIST', 'mock vIOMMU', `queue ${index} is in use`);
    if (index > 0 && !this.#queues[index - 1]) {
      throw new KernelError('EIO', 'mock vIOMMU', `queue ${index} needs queue ${index - 1} before it`);
    }
    this.#queues[index] = true;
  }

  hwQueueDestroy(_type: number, index: number): void {
    this.#queues[index] = false;
  }
}
