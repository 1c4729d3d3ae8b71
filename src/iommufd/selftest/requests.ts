/**
 * What each op of ioctl 0xa0 reads and writes: the members of `struct iommu_test_cmd`'s union, in camelCase. `id` is
 * of the common header; its `reserved` is not looked at by any op.
 */

interface TestRequest {
  id: number;
}

/** `add_reserved`; `id`: an IOAS. Bytes. */
export interface AddReservedRequest extends TestRequest {
  start: bigint;
  length: bigint;
}

/** `mock_domain`; `id`: what the new device is attached to. */
export interface MockDomainRequest extends TestRequest {
  outStdevId: number;
  outHwptId: number;
  outIdevId: number;
}

/** `mock_domain_flags`: as `mock_domain`, `devFlags` of `DeviceFlag`. */
export interface MockDomainFlagsRequest extends MockDomainRequest {
  devFlags: number;
}

/** `mock_domain_replace`; `id`: the selftest object. `ptId` comes back as the HWPT's id. */
export interface MockDomainReplaceRequest extends TestRequest {
  ptId: number;
}

/** `check_map`; `id`: an HWPT. */
export interface CheckMapRequest extends TestRequest {
  iova: bigint;
  length: bigint;
  uptr: bigint;
}

/** `check_refs`; `refs`: times each page of the user memory must be pinned. */
export interface CheckRefsRequest {
  length: bigint;
  uptr: bigint;
  refs: number;
}

/** `create_access`; `id`: an IOAS, `flags` of `AccessCreateFlag`. */
export interface CreateAccessRequest extends TestRequest {
  outAccessFd: number;
  flags: number;
}

/** `destroy_access_pages`; `id`: an access fd. */
export interface DestroyAccessPagesRequest extends TestRequest {
  accessPagesId: number;
}

/** `access_pages`; `id`: an access fd, `flags` of `AccessFlag`. `uptr` 0n: do not compare. */
export interface AccessPagesRequest extends TestRequest {
  flags: number;
  outAccessPagesId: number;
  iova: bigint;
  length: bigint;
  uptr: bigint;
}

/** `access_rw`; `id`: an access fd, `flags` of `AccessRwFlag`. */
export interface AccessRwRequest extends TestRequest {
  iova: bigint;
  length: bigint;
  uptr: bigint;
  flags: number;
}

/** `memory_limit`, in bytes. */
export interface MemoryLimitRequest {
  limit: number;
}

/** `access_replace_ioas`; `id`: an access fd. */
export interface AccessReplaceIoasRequest extends TestRequest {
  ioasId: number;
}

/** `dirty`; `id`: an HWPT. Bit n of the bitmap at `uptr` stands for the page at `iova + n * pageSize`. */
export interface DirtyRequest extends TestRequest {
  flags: number;
  iova: bigint;
  length: bigint;
  pageSize: bigint;
  uptr: bigint;
  outNrDirty: bigint;
}

/** `check_iotlb`; `id`: a nested HWPT. */
export interface CheckIotlbRequest extends TestRequest {
  entry: number;
  iotlb: number;
}

/** `trigger_iopf`. */
export interface TriggerIopfRequest {
  devId: number;
  pasid: number;
  grpid: number;
  perm: number;
  addr: bigint;
}

/** `check_dev_cache`; `id`: a device. */
export interface CheckDevCacheRequest extends TestRequest {
  entry: number;
  cache: number;
}

/** `trigger_vevent`. */
export interface TriggerVeventRequest {
  devId: number;
}

/** `pasid_attach` and `pasid_replace`; `id`: the selftest object. */
export interface PasidAttachRequest extends TestRequest {
  pasid: number;
  ptId: number;
}

/** `pasid_detach`; `id`: the selftest object. */
export interface PasidDetachRequest extends TestRequest {
  pasid: number;
}

/** `pasid_check`; `id`: the selftest object, `hwptId` 0: nothing is attached. */
export interface PasidCheckRequest extends TestRequest {
  pasid: number;
  hwptId: number;
}
