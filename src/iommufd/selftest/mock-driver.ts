/**
 * The mock IOMMU's driver (`mock_ops`): no hardware, page tables of half pages, and every optional thing iommufd knows
 * how to ask an IOMMU for.
 */

import type { Device } from '../../device/device.ts';
import { type DirtyOps, Domain, type DomainOps, DomainType } from '../../iommu/domain.ts';
import type { Capability, DriverViommu, HwInfo, IommuDriver, UserDomainFlags } from '../../iommu/driver.ts';
import type { FaultInjector } from '../../iommu/fault-injector.ts';
import { GenericGrouping } from '../../iommu/grouping/generic.ts';
import type { GroupingPolicy } from '../../iommu/grouping/policy.ts';
import { MockTable2K } from '../../iommu/pagetable/mock-table-2k.ts';
import type { UserData } from '../../iommu/user-data.ts';
import { KernelError } from '../../kernel/errors.ts';
import { isMockDevice, type MockDevice } from './mock-device.ts';
import { invalidateIotlb, MockNestedDomain, readNestedData } from './mock-nested.ts';
import { MockViommu } from './mock-viommu.ts';
import {
  HW_INFO_SELFTEST_REGISTER,
  HW_INFO_TYPE_SELFTEST,
  MOCK_APERTURE,
  MOCK_HUGE_PAGE_SIZE,
  MOCK_PAGE_SIZE,
  MOCK_PASID_WIDTH,
  PASID_OF_FAKE_ERRORS,
  VIOMMU_TYPE_SELFTEST,
} from './numbers.ts';

/** Bytes of `struct iommu_test_hw_info`: flags@0 test_reg@4. */
const HW_INFO_SIZE = 8;

/** A paging domain (`struct mock_iommu_domain`). */
export class MockDomain extends Domain {
  readonly table: MockTable2K;
  /** `MOCK_DIRTY_TRACK` */
  trackingDirty = false;

  constructor(ops: DomainOps, table: MockTable2K, pageSizes: bigint, dirtyOps?: DirtyOps) {
    super({
      type: DomainType.Unmanaged,
      name: 'mock',
      ops,
      pageTable: table,
      pageSizes,
      aperture: { ...MOCK_APERTURE },
      ...(dirtyOps && { dirtyOps }),
    });
    this.table = table;
  }
}

export class MockIommuDriver implements IommuDriver {
  readonly name = 'iommufd_mock';
  readonly pageSizes = BigInt(MOCK_PAGE_SIZE);
  readonly blockedDomain: Domain;
  readonly defaultDomain: Domain;
  readonly userPasidTable = true;
  readonly #faults: FaultInjector;
  readonly #policy = new GenericGrouping();
  readonly #pagingOps: DomainOps;
  readonly #nestedOps: DomainOps;

  /** @param faults counts the driver's allocations and attaches, which may fail */
  constructor(faults: FaultInjector) {
    this.#faults = faults;
    // Blocking must work whatever else fails, so it is no step that can.
    const attachDev = (_domain: Domain, device: Device) => this.#leaveViommu(device);
    this.blockedDomain = new Domain({ type: DomainType.Blocked, name: 'mock blocked', ops: { attachDev } });
    this.defaultDomain = this.blockedDomain;
    this.#pagingOps = {
      attachDev: (domain, device) => this.#attach(domain, device),
      setDevPasid: (_domain, device, pasid) => this.#setPasid(device, pasid),
      free: (domain) => domain instanceof MockDomain && domain.table.free(),
    };
    this.#nestedOps = {
      attachDev: (domain, device) => this.#attach(domain, device),
      setDevPasid: (_domain, device, pasid) => this.#setPasid(device, pasid),
      cacheInvalidateUser: invalidateIotlb,
      // A guest's table here is only a number, so what it is asked for the parent is asked as it is.
      translateDma: (domain, iova, write) => parentOf(domain).table.access(iova, write),
      free: () => {},
    };
  }

  probeDevice(device: Device): void {
    if (!isMockDevice(device)) throw new KernelError('ENODEV', device.name, 'is no mock device');
    this.#faults.step('mock device probe');
  }

  releaseDevice(): void {}

  groupingPolicy(): GroupingPolicy {
    return this.#policy;
  }

  /** `mock_domain_alloc_paging` */
  domainAllocPaging(device: Device): Domain {
    return this.#allocPaging(device, false);
  }

  /**
   * `mock_domain_alloc_user`
   *
   * @throws KernelError EOPNOTSUPP dirty tracking on a device without, data for a domain without parent, any flag or
   *   other data for one with; EINVAL the parent is another driver's, or the data is too short; EFAULT; ENOMEM
   */
  domainAllocUser(device: Device, flags: UserDomainFlags, parent?: Domain, userData?: UserData): Domain {
    if (parent === undefined) {
      if (userData !== undefined) throw this.#unsupported('data for a domain without parent');
      const dirty = flags.dirtyTracking === true;
      if (dirty && !mockOf(device).tracksDirty)
        throw this.#unsupported(`dirty tracking behind ${device.name}`);
      return this.#allocPaging(device, dirty);
    }
    if (userData === undefined) throw this.#unsupported('a nested domain without data');
    const iotlb = () => readNestedData(userData);
    if (flags.nestParent || flags.dirtyTracking) throw this.#unsupported('flags for a nested domain');
    return this.#allocNested(parent, iotlb);
  }

  /** `mock_domain_hw_info` */
  hwInfo(): HwInfo {
    this.#faults.step('hardware information');
    const data = new Uint8Array(HW_INFO_SIZE);
    new DataView(data.buffer).setUint32(4, HW_INFO_SELFTEST_REGISTER, true);
    return { type: HW_INFO_TYPE_SELFTEST, data };
  }

  /** @throws KernelError EOPNOTSUPP a type of another driver; EINVAL the parent is another driver's */
  viommuAlloc(_device: Device, type: number, parent: Domain): DriverViommu {
    if (type !== VIOMMU_TYPE_SELFTEST) throw this.#unsupported(`a vIOMMU of type ${type}`);
    if (!(parent instanceof MockDomain)) throw notOurs(parent);
    this.#faults.step('mock vIOMMU');
    return new MockViommu(parent, this.#nestedOps);
  }

  /** `mock_domain_capable` */
  capable(device: Device, capability: Capability): boolean {
    if (capability === 'cache-coherency') return true;
    return capability === 'dirty-tracking' && mockOf(device).tracksDirty;
  }

  maxPasids(device: Device): number {
    return mockOf(device).hasPasids ? 2 ** MOCK_PASID_WIDTH : 0;
  }

  /** `mock_domain_set_dev_pasid_nop` of the blocked domain. */
  removeDevPasid(device: Device, pasid: number): void {
    if (pasid === PASID_OF_FAKE_ERRORS) mockOf(device).failNextFakeError = false;
  }

  /** `mock_dev_enable_feat` */
  enableFeature(): void {
    this.#faults.step('page fault queue');
  }

  disableFeature(): void {}

  /** `mock_domain_page_response`: there is no hardware to tell. */
  pageResponse(): void {}

  #allocPaging(device: Device, dirty: boolean): MockDomain {
    this.#faults.step('mock domain');
    const huge = mockOf(device).hasHugePages;
    const pageSizes = this.pageSizes | (huge ? BigInt(MOCK_HUGE_PAGE_SIZE) : 0n);
    const table = new MockTable2K({ huge });
    return new MockDomain(this.#pagingOps, table, pageSizes, dirty ? mockDirtyOps : undefined);
  }

  #allocNested(parent: Domain, iotlb: () => number): Domain {
    if (!(parent instanceof MockDomain)) throw notOurs(parent);
    const value = iotlb();
    this.#faults.step('mock nested domain');
    return new MockNestedDomain({ ops: this.#nestedOps, parent, iotlb: value });
  }

  /** `mock_domain_nop_attach` */
  #attach(domain: Domain, device: Device): void {
    this.#faults.step('mock attach');
    const mock = mockOf(device);
    if (domain.dirtyOps !== undefined && !mock.tracksDirty) {
      throw new KernelError('EINVAL', device.name, `tracks no dirty pages, ${domain.label} does`);
    }
    const viommu = domain instanceof MockNestedDomain ? domain.viommu : undefined;
    if (viommu === undefined) {
      mock.viommu = undefined;
      return;
    }
    const virtId = viommu.virtIdOf(mock);
    if (virtId === undefined)
      throw new KernelError('ENOENT', device.name, 'the guest does not know this device');
    mock.viommu = { mock: viommu, virtId };
  }

  #leaveViommu(device: Device): void {
    mockOf(device).viommu = undefined;
  }

  /** `mock_domain_set_dev_pasid_nop`: one PASID fails every second time, for tests of how the core goes back. */
  #setPasid(device: Device, pasid: number): void {
    this.#faults.step('mock PASID attach');
    if (pasid !== PASID_OF_FAKE_ERRORS) return;
    const mock = mockOf(device);
    mock.failNextFakeError = !mock.failNextFakeError;
    if (!mock.failNextFakeError)
      throw new KernelError('ENOMEM', device.name, `PASID ${pasid} is made to fail`);
  }

  #unsupported(what: string): KernelError {
    return new KernelError('EOPNOTSUPP', 'mock IOMMU', `knows no ${what}`);
  }
}

/** `dirty_ops` */
const mockDirtyOps: DirtyOps = {
  setDirtyTracking(domain, enable) {
    const mock = domain as MockDomain;
    if (mock.trackingDirty === enable) return;
    mock.trackingDirty = enable;
    mock.table.setDirtyTracking(enable);
  },

  readAndClearDirty(domain, start, last, clear, report) {
    const mock = domain as MockDomain;
    if (!mock.trackingDirty && report !== undefined) {
      throw new KernelError('EINVAL', domain.label, 'tracks no dirty pages', 'switch dirty tracking on');
    }
    mock.table.readAndClearDirty(start, last, clear, report ?? (() => {}));
  },
};

function parentOf(domain: Domain): MockDomain {
  return (domain as MockNestedDomain).parent as MockDomain;
}

function mockOf(device: Device): MockDevice {
  if (!isMockDevice(device)) throw new KernelError('ENODEV', device.name, 'is no mock device');
  return device;
}

function notOurs(domain: Domain): KernelError {
  return new KernelError('EINVAL', domain.label, 'is no domain of the mock IOMMU');
}
