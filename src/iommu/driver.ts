/**
 * What an IOMMU driver offers the core (`struct iommu_ops`), and one piece of its hardware (`struct
 * iommu_device`).
 *
 * All hardware of one kind shares one `IommuDriver` object: domains belong to the driver, not to the unit.
 */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import type { Domain, DomainType, WantedType } from './domain.ts';
import type { GroupingPolicy } from './grouping/policy.ts';
import type { PageRequest, PageResponse } from './page-faults.ts';
import type { ReservedRegion } from './reserved-region.ts';
import type { UserData, UserDataArray } from './user-data.ts';

/** `enum iommu_cap`. */
export type Capability =
  | 'cache-coherency'
  | 'noexec'
  | 'pre-boot-protection'
  | 'enforce-cache-coherency'
  | 'deferred-flush'
  | 'dirty-tracking';

/** `enum iommu_dev_features`: `iopf`, the device may ask for pages that are not there. */
export type DeviceFeature = 'iopf';

/** What a user process wants of its domain (`IOMMU_HWPT_ALLOC_*`). */
export interface UserDomainFlags {
  /** Guest tables will be nested on it. */
  nestParent?: boolean;
  dirtyTracking?: boolean;
  /** It, or others beside it, will be attached to PASIDs. */
  pasid?: boolean;
}

/** What `hw_info` tells a user process of the hardware. */
export interface HwInfo {
  /** `enum iommu_hw_info_type`, never 0. */
  type: number;
  /** The structure of that type as the user reads it. */
  data: Uint8Array;
}

/** One slice of an IOMMU given to a guest, as its driver sees it (`struct iommufd_viommu_ops`; since 6.13). */
export interface DriverViommu {
  /** `destroy`; must not fail. */
  destroy?(): void;
  /**
   * `alloc_domain_nested`
   *
   * @throws KernelError as `domainAllocUser` with a parent
   */
  allocDomainNested?(userData: UserData): Domain;
  /** `cache_invalidate`: as `DomainOps.cacheInvalidateUser`, for what the guest invalidates of the whole IOMMU. */
  cacheInvalidate?(array: UserDataArray): void;
  /**
   * `vdevice_init`: the guest knows `device` by `virtId`.
   *
   * @throws KernelError the driver's refusal
   */
  vdeviceInit?(device: Device, virtId: bigint): void;
  /** `destroy` of the vdevice; must not fail. */
  vdeviceDestroy?(device: Device, virtId: bigint): void;
  /** `get_hw_queue_size`: whether there are queues of this type. */
  hasHwQueue?(type: number): boolean;
  /**
   * `hw_queue_init_phys`: the guest's queue number `index` is in memory from `base` on.
   *
   * @throws KernelError the driver's refusal
   */
  hwQueueInit?(type: number, index: number, base: bigint, length: bigint): void;
  /** `destroy` of the queue; must not fail. */
  hwQueueDestroy?(type: number, index: number): void;
}

/** `struct iommu_ops`. Optional members may be left out exactly where the kernel allows a null pointer. */
export interface IommuDriver {
  /** As in messages and sysfs: `intel`, `amd`, `virtio-iommu`, `mock`. */
  readonly name: string;
  /** `pgsize_bitmap` for domains that bring none of their own: bit n set, pages of 2^n bytes. */
  readonly pageSizes: bigint;

  /** `identity_domain`, `blocked_domain`: static, cannot fail to allocate. */
  readonly identityDomain?: Domain;
  readonly blockedDomain?: Domain;
  /** `default_domain`: static and the only default domain the driver accepts. */
  readonly defaultDomain?: Domain;
  /** `release_domain`: attached just before `releaseDevice`. */
  readonly releaseDomain?: Domain;

  /**
   * `probe_device`, called for devices that `instance` covers.
   *
   * @throws KernelError ENODEV not translated after all (ignored by a boot walk); anything else aborts the walk
   */
  probeDevice?(device: Device, instance: IommuInstance): void;
  /** `release_device`: the driver forgets the device; must not fail. */
  releaseDevice?(device: Device): void;
  /** `probe_finalize`: the default domain is in place. */
  probeFinalize?(device: Device): void;

  /** `device_group`: the rules by which this device finds its group. */
  groupingPolicy(device: Device): GroupingPolicy;

  /**
   * `domain_alloc_paging` for types with pages, tried first.
   *
   * @throws KernelError e.g. ENOMEM
   */
  domainAllocPaging?(device: Device): Domain;
  /**
   * `domain_alloc` for what the members above leave open. `DmaFq` is asked for as `Dma`.
   *
   * @throws KernelError e.g. EOPNOTSUPP
   */
  domainAlloc?(type: DomainType): Domain;

  /**
   * `domain_alloc_user`: an UNMANAGED domain with pages, or with `parent` a NESTED one above it. Ready for mapping when
   * it is returned.
   *
   * @param userData layout is the driver's; always there with `parent`
   * @throws KernelError EOPNOTSUPP a flag, or the data, the hardware is not up to; EINVAL `parent` or the data is not
   *   what it should be; EFAULT; ENOMEM
   */
  domainAllocUser?(device: Device, flags: UserDomainFlags, parent?: Domain, userData?: UserData): Domain;
  /**
   * `hw_info`
   *
   * @throws KernelError ENOMEM
   */
  hwInfo?(device: Device): HwInfo;
  /**
   * `viommu_init`: a slice of the device's IOMMU above `parent`, for a guest (since 6.13).
   *
   * @throws KernelError EOPNOTSUPP no such type; else the driver's refusal
   */
  viommuAlloc?(device: Device, type: number, parent: Domain, userData?: UserData): DriverViommu;

  /** `def_domain_type`: the default domain this device must have, 0 for no wish. */
  defDomainType?(device: Device): WantedType;
  /** `get_resv_regions`, in any order. */
  getResvRegions?(device: Device): readonly ReservedRegion[];
  /** `capable`. */
  capable?(device: Device, capability: Capability): boolean;
  /** `is_attach_deferred`: leave the device's translation as it is until its driver first uses DMA (kdump). */
  isAttachDeferred?(device: Device): boolean;
  /** `dev_iommu_get_max_pasids`: number of PASIDs the device and its IOMMU can use, 0 for none. */
  maxPasids?(device: Device): number;
  /** `user_pasid_table`: page faults of any PASID go to the user of the nested domain at the device. */
  readonly userPasidTable?: boolean;
  /**
   * `dev_enable_feat`
   *
   * @throws KernelError ENODEV the device or its IOMMU has no such feature, EBUSY it is on
   */
  enableFeature?(device: Device, feature: DeviceFeature): void;
  /** `dev_disable_feat`; must not fail. */
  disableFeature?(device: Device, feature: DeviceFeature): void;
  /** `page_response`: the answer to a page request reaches the device; must not fail. */
  pageResponse?(
    device: Device,
    request: PageRequest,
    response: { pasid: number; grpid: number; code: PageResponse },
  ): void;
  /** `remove_dev_pasid`; must not fail. */
  removeDevPasid?(device: Device, pasid: number, domain: Domain): void;
  /**
   * `iommu_dma_init_fq`: sets up deferred flushing for a domain.
   *
   * @throws KernelError ENOMEM
   */
  initFlushQueue?(domain: Domain): void;
}

/** `struct iommu_device`: one IOMMU of the machine, e.g. one DRHD unit. */
export interface IommuInstance {
  /** Name below /sys/class/iommu: `dmar0`, `ivhd1`, `virtio0`. */
  readonly name: string;
  readonly driver: IommuDriver;

  /** The device this IOMMU is, where it is one (an AMD IOMMU function); its sysfs directory lies below it. */
  readonly device?: Device;
  /** Path in sysfs of what its directory lies below, where that is nothing the model has (a virtio device). */
  readonly parentPath?: string | undefined;

  /** Whether this IOMMU translates the device. Asked once per probe; the first registered that covers wins. */
  covers(device: Device): boolean;
  /** Why it does not, in a few words, for reports: `no scope names it`. */
  whyNotCovered?(device: Device): string | undefined;
  /**
   * Order in which the walk of `iommu_device_register` probes `devices` (those of one bus, in klist order). What is
   * left out is not probed by the walk. Absent: as given.
   */
  probeOrder?(bus: Bus, devices: readonly Device[]): Iterable<Device>;
  /**
   * `msi_device_has_isolated_msi`: the device can raise no interrupts but its own. `undefined`: not known. Absent: it
   * can.
   */
  isolatedMsi?(device: Device): boolean | undefined;
}
