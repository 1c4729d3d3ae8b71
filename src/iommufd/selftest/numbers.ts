/**
 * The numbers of the selftest interface (`iommufd_test.h`). The uAPI promises none of them; a test program is built
 * against the header of its kernel. Those marked "later" are not in 6.12.
 */

import { PAGE_SIZE } from '../limits.ts';

/** `enum` of IOMMU_TEST_OP_*: what ioctl 0xa0 is asked to do. */
export const TestOp = {
  AddReserved: 1,
  MockDomain: 2,
  MdCheckMap: 3,
  MdCheckRefs: 4,
  CreateAccess: 5,
  DestroyAccessPages: 6,
  AccessPages: 7,
  AccessRw: 8,
  SetTempMemoryLimit: 9,
  MockDomainReplace: 10,
  AccessReplaceIoas: 11,
  MockDomainFlags: 12,
  Dirty: 13,
  MdCheckIotlb: 14,
  TriggerIopf: 15,
  /** Later: the device's own cache, which a vIOMMU invalidates. */
  DevCheckCache: 16,
  /** Later. */
  TriggerVevent: 17,
  /** Later. */
  PasidAttach: 18,
  /** Later. */
  PasidReplace: 19,
  /** Later. */
  PasidDetach: 20,
  /** Later. */
  PasidCheckHwpt: 21,
} as const;

/** `MOCK_IO_PAGE_SIZE`: half a page, so that what assumes whole pages fails. */
export const MOCK_PAGE_SIZE = PAGE_SIZE / 2;
/** `MOCK_HUGE_PAGE_SIZE`. */
export const MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE;
/** `MOCK_APERTURE_START` and `MOCK_APERTURE_LAST`. */
export const MOCK_APERTURE = { start: 1n << 24n, last: (1n << 31n) - 1n } as const;
/** `MOCK_PASID_WIDTH` (later): bits of a PASID that a device made with `DeviceFlag.Pasid` can send. */
export const MOCK_PASID_WIDTH = 20;
/** `IOMMU_TEST_PASID_RESERVED` (later): every second attach to this PASID fails with ENOMEM. */
export const PASID_OF_FAKE_ERRORS = 1024;

/** `MOCK_FLAGS_ACCESS_*`: flags of ACCESS_PAGES. */
export const AccessFlag = { Write: 1, Syzkaller: 1 << 16 } as const;
/** `MOCK_ACCESS_RW_*`: flags of ACCESS_RW. */
export const AccessRwFlag = { Write: 1, SlowPath: 4 } as const;
/** `MOCK_FLAGS_ACCESS_CREATE_*`. */
export const AccessCreateFlag = { NeedsPinPages: 1 } as const;
/** `MOCK_FLAGS_DEVICE_*`: what a mock device can do. `Pasid` is later. */
export const DeviceFlag = { NoDirty: 1, HugeIova: 2, Pasid: 4 } as const;

/** Entries of a nested domain's IOTLB and (later) of a device's cache. */
export const MOCK_CACHE_ENTRIES = 4;
/** `IOMMU_TEST_IOTLB_DEFAULT`, `IOMMU_TEST_DEV_CACHE_DEFAULT`: what a test fills them with. */
export const MOCK_CACHE_DEFAULT = 0xbad_beef;

/** `IOMMU_HW_INFO_TYPE_SELFTEST` and the one register it reports. */
export const HW_INFO_TYPE_SELFTEST = 0xfeed_beef;
export const HW_INFO_SELFTEST_REGISTER = 0xdead_beef;
/** `IOMMU_HWPT_DATA_SELFTEST`. */
export const HWPT_DATA_SELFTEST = 0xdead;
/** `IOMMU_HWPT_INVALIDATE_DATA_SELFTEST`, and the number that is promised never to be one. */
export const INVALIDATE_DATA_SELFTEST = 0xdead_beef;
export const INVALIDATE_DATA_SELFTEST_INVALID = 0xdad_beef;
/** `IOMMU_TEST_INVALIDATE_FLAG_ALL`. */
export const INVALIDATE_ALL = 1;

/** `IOMMU_VIOMMU_TYPE_SELFTEST`, `IOMMU_VEVENTQ_TYPE_SELFTEST`, `IOMMU_HW_QUEUE_TYPE_SELFTEST` (later). */
export const VIOMMU_TYPE_SELFTEST = 0xdead_beef;
export const VEVENTQ_TYPE_SELFTEST = 0xbeef_beef;
export const HW_QUEUE_TYPE_SELFTEST = 0xdead_beef;
/** `IOMMU_TEST_HW_QUEUE_MAX` (later). */
export const MOCK_HW_QUEUES = 2;

/** Longest ACCESS_PAGES and ACCESS_RW, in bytes. */
export const ACCESS_MAX_BYTES = 16 * 1024 * 1024;
/** `iommufd_test_memory_limit`: bytes of scratch memory the page code may use at a time, and the least it works with. */
export const MEMORY_LIMIT_DEFAULT = 65536;
export const MEMORY_LIMIT_LEAST = 12;
