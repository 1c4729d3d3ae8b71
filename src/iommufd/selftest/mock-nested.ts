/**
 * The mock's nested domains (`struct mock_iommu_domain_nested`): instead of a guest's page table they have an IOTLB of
 * four numbers, which a test fills when it makes the domain and sees become 0 when it invalidates.
 */

import { Domain, type DomainOps, DomainType } from '../../iommu/domain.ts';
import { copyStructFromUser, type UserData, type UserDataArray } from '../../iommu/user-data.ts';
import { KernelError } from '../../kernel/errors.ts';
import { checkInvalidation, invalidateCache } from './mock-cache.ts';
import type { MockViommu } from './mock-viommu.ts';
import { HWPT_DATA_SELFTEST, INVALIDATE_DATA_SELFTEST, MOCK_CACHE_ENTRIES } from './numbers.ts';

/** Bytes of `struct iommu_hwpt_selftest`: iotlb@0. */
const HWPT_SELFTEST_SIZE = 4;
/** Bytes of `struct iommu_hwpt_invalidate_selftest`: flags@0 iotlb_id@4. */
const INVALIDATE_SIZE = 8;

export class MockNestedDomain extends Domain {
  readonly parent: Domain;
  readonly viommu: MockViommu | undefined;
  readonly iotlb: Uint32Array;

  /** `__mock_domain_alloc_nested` */
  constructor(init: { ops: DomainOps; parent: Domain; iotlb: number; viommu?: MockViommu }) {
    super({ type: DomainType.Nested, name: 'nested mock', ops: init.ops });
    this.parent = init.parent;
    this.viommu = init.viommu;
    this.iotlb = new Uint32Array(MOCK_CACHE_ENTRIES).fill(init.iotlb);
  }
}

/**
 * The IOTLB value a user wants its nested domain to start with.
 *
 * @throws KernelError EOPNOTSUPP data for another driver; EINVAL, EFAULT as `copyStructFromUser`
 */
export function readNestedData(userData: UserData): number {
  if (userData.type !== HWPT_DATA_SELFTEST) {
    const problem = `data of type ${userData.type} is not for it`;
    throw new KernelError(
      'EOPNOTSUPP',
      'mock IOMMU',
      problem,
      `type 0x${HWPT_DATA_SELFTEST.toString(16)} is`,
    );
  }
  return copyStructFromUser(userData, HWPT_DATA_SELFTEST, HWPT_SELFTEST_SIZE).getUint32(0, true);
}

/**
 * `mock_domain_cache_invalidate_user`
 *
 * @throws KernelError EINVAL data of another type or length, or an entry there is not; EOPNOTSUPP an unknown flag;
 *   EFAULT
 */
export function invalidateIotlb(domain: Domain, array: UserDataArray): void {
  const { iotlb } = domain as MockNestedDomain;
  array.processed = 0;
  if (array.type !== INVALIDATE_DATA_SELFTEST) {
    throw new KernelError('EINVAL', domain.label, `cannot be invalidated with data of type ${array.type}`);
  }
  while (array.processed < array.entries) {
    const entry = array.entry(array.processed);
    const data = copyStructFromUser(entry, INVALIDATE_DATA_SELFTEST, INVALIDATE_SIZE);
    const invalidation = { flags: data.getUint32(0, true), entry: data.getUint32(4, true) };
    checkInvalidation(domain.label, invalidation);
    invalidateCache(iotlb, invalidation);
    array.processed++;
  }
}
