/** The structs of include/uapi/linux/iommufd.h that ioctls take. */

import type { DestroyRequest } from '../iommufd/calls/destroy.ts';
import type { FaultQueueAllocRequest } from '../iommufd/calls/fault-queue-alloc.ts';
import { type GetHwInfoRequest, HwCapability } from '../iommufd/calls/get-hw-info.ts';
import type { HwQueueAllocRequest } from '../iommufd/calls/hw-queue-alloc.ts';
import { HwptAllocFlag, type HwptAllocRequest } from '../iommufd/calls/hwpt-alloc.ts';
import type { HwptGetDirtyBitmapRequest } from '../iommufd/calls/hwpt-get-dirty-bitmap.ts';
import type { HwptInvalidateRequest } from '../iommufd/calls/hwpt-invalidate.ts';
import type { HwptSetDirtyTrackingRequest } from '../iommufd/calls/hwpt-set-dirty-tracking.ts';
import type { IoasAllocRequest } from '../iommufd/calls/ioas-alloc.ts';
import type { IoasAllowIovasRequest } from '../iommufd/calls/ioas-allow-iovas.ts';
import type { IoasChangeProcessRequest } from '../iommufd/calls/ioas-change-process.ts';
import type { IoasCopyRequest } from '../iommufd/calls/ioas-copy.ts';
import type { IoasIovaRangesRequest } from '../iommufd/calls/ioas-iova-ranges.ts';
import type { IoasMapRequest } from '../iommufd/calls/ioas-map.ts';
import type { IoasMapFileRequest } from '../iommufd/calls/ioas-map-file.ts';
import type { IoasUnmapRequest } from '../iommufd/calls/ioas-unmap.ts';
import { MapFlag } from '../iommufd/calls/map-flags.ts';
import { OptionId, OptionOp, type OptionRequest } from '../iommufd/calls/option.ts';
import type { VdeviceAllocRequest } from '../iommufd/calls/vdevice-alloc.ts';
import type { VeventqAllocRequest } from '../iommufd/calls/veventq-alloc.ts';
import { VfioIoasOp, type VfioIoasRequest } from '../iommufd/calls/vfio-ioas.ts';
import type { ViommuAllocRequest } from '../iommufd/calls/viommu-alloc.ts';
import {
  HW_INFO_TYPE_SELFTEST,
  HWPT_DATA_SELFTEST,
  INVALIDATE_DATA_SELFTEST,
  VEVENTQ_TYPE_SELFTEST,
  VIOMMU_TYPE_SELFTEST,
} from '../iommufd/selftest/numbers.ts';
import { type Field, flags, newDescriptor, oneOf, s32, threeBytes, u8, u16, u32, u64 } from './fields.ts';
import { type Fields, Struct } from './struct.ts';

/** All of them begin with the size the program knows. */
function struct<R>(name: string, size: number, fields: Fields<R>): Struct<R> {
  return new Struct<R>({ name, size, fields, header: 'size' });
}

const MAP_FLAGS = flags({
  FIXED_IOVA: MapFlag.FixedIova,
  WRITEABLE: MapFlag.Writeable,
  READABLE: MapFlag.Readable,
});
const NO_FLAGS = flags({});
const HW_INFO_TYPES = oneOf({ NONE: 0, INTEL_VTD: 1, ARM_SMMUV3: 2, SELFTEST: HW_INFO_TYPE_SELFTEST });
const HWPT_DATA_TYPES = oneOf({ NONE: 0, VTD_S1: 1, ARM_SMMUV3: 2, SELFTEST: HWPT_DATA_SELFTEST });
const INVALIDATE_TYPES = oneOf({ VTD_S1: 0, SELFTEST: INVALIDATE_DATA_SELFTEST });
const VIOMMU_TYPES = oneOf({ DEFAULT: 0, ARM_SMMUV3: 1, SELFTEST: VIOMMU_TYPE_SELFTEST });
const VEVENTQ_TYPES = oneOf({ DEFAULT: 0, ARM_SMMUV3: 1, SELFTEST: VEVENTQ_TYPE_SELFTEST });
const CAPABILITIES = flags({
  DIRTY_TRACKING: HwCapability.DirtyTracking,
  PCI_PASID_EXEC: HwCapability.PasidExec,
  PCI_PASID_PRIV: HwCapability.PasidPrivileged,
});

function reserved(offset: number, cName = '__reserved'): Field<number> {
  return u32(offset, { cName });
}

export const DESTROY = struct<DestroyRequest>('iommu_destroy', 8, { id: u32(4) });

export const IOAS_ALLOC = struct<IoasAllocRequest>('iommu_ioas_alloc', 12, {
  flags: u32(4, NO_FLAGS),
  outIoasId: u32(8),
});

export const IOAS_ALLOW_IOVAS = struct<IoasAllowIovasRequest>('iommu_ioas_allow_iovas', 24, {
  ioasId: u32(4),
  numIovas: u32(8),
  reserved: reserved(12),
  allowedIovas: u64(16),
});

export const IOAS_COPY = struct<IoasCopyRequest>('iommu_ioas_copy', 40, {
  flags: u32(4, MAP_FLAGS),
  dstIoasId: u32(8),
  srcIoasId: u32(12),
  length: u64(16),
  dstIova: u64(24),
  srcIova: u64(32),
});

export const IOAS_IOVA_RANGES = struct<IoasIovaRangesRequest>('iommu_ioas_iova_ranges', 32, {
  ioasId: u32(4),
  numIovas: u32(8),
  reserved: reserved(12),
  allowedIovas: u64(16),
  outIovaAlignment: u64(24),
});

export const IOAS_MAP = struct<IoasMapRequest>('iommu_ioas_map', 40, {
  flags: u32(4, MAP_FLAGS),
  ioasId: u32(8),
  reserved: reserved(12),
  userVa: u64(16),
  length: u64(24),
  iova: u64(32),
});

export const IOAS_UNMAP = struct<IoasUnmapRequest>('iommu_ioas_unmap', 24, {
  ioasId: u32(4),
  iova: u64(8),
  length: u64(16),
});

export const OPTION = struct<OptionRequest>('iommu_option', 24, {
  optionId: u32(4, oneOf({ RLIMIT_MODE: OptionId.RlimitMode, HUGE_PAGES: OptionId.HugePages })),
  op: u16(8, oneOf({ SET: OptionOp.Set, GET: OptionOp.Get })),
  reserved: u16(10, { cName: '__reserved' }),
  objectId: u32(12),
  val64: u64(16),
});

export const VFIO_IOAS = struct<VfioIoasRequest>('iommu_vfio_ioas', 12, {
  ioasId: u32(4),
  op: u16(8, oneOf({ GET: VfioIoasOp.Get, SET: VfioIoasOp.Set, CLEAR: VfioIoasOp.Clear })),
  reserved: u16(10, { cName: '__reserved' }),
});

export const HWPT_ALLOC = struct<HwptAllocRequest>('iommu_hwpt_alloc', 48, {
  flags: u32(
    4,
    flags({
      NEST_PARENT: HwptAllocFlag.NestParent,
      DIRTY_TRACKING: HwptAllocFlag.DirtyTracking,
      FAULT_ID_VALID: HwptAllocFlag.FaultIdValid,
      PASID: HwptAllocFlag.Pasid,
    }),
  ),
  devId: u32(8),
  ptId: u32(12),
  outHwptId: u32(16),
  reserved: reserved(20),
  dataType: u32(24, HWPT_DATA_TYPES),
  dataLen: u32(28),
  dataUptr: u64(32),
  faultId: u32(40),
  reserved2: reserved(44, '__reserved2'),
});

export const GET_HW_INFO = struct<GetHwInfoRequest>('iommu_hw_info', 40, {
  flags: u32(4, flags({ INPUT_TYPE: 1 })),
  devId: u32(8),
  dataLen: u32(12),
  dataUptr: u64(16),
  outDataType: u32(24, HW_INFO_TYPES),
  outMaxPasidLog2: u8(28),
  reserved: threeBytes(29, { cName: '__reserved' }),
  outCapabilities: u64(32, (value) => CAPABILITIES(Number(BigInt.asUintN(32, value)))),
});

export const HWPT_SET_DIRTY_TRACKING = struct<HwptSetDirtyTrackingRequest>(
  'iommu_hwpt_set_dirty_tracking',
  16,
  {
    flags: u32(4, flags({ ENABLE: 1 })),
    hwptId: u32(8),
    reserved: reserved(12),
  },
);

export const HWPT_GET_DIRTY_BITMAP = struct<HwptGetDirtyBitmapRequest>('iommu_hwpt_get_dirty_bitmap', 48, {
  hwptId: u32(4),
  flags: u32(8, flags({ NO_CLEAR: 1 })),
  reserved: reserved(12),
  iova: u64(16),
  length: u64(24),
  pageSize: u64(32),
  data: u64(40),
});

export const HWPT_INVALIDATE = struct<HwptInvalidateRequest>('iommu_hwpt_invalidate', 32, {
  hwptId: u32(4),
  dataUptr: u64(8),
  dataType: u32(16, INVALIDATE_TYPES),
  entryLen: u32(20),
  entryNum: u32(24),
  reserved: reserved(28),
});

export const FAULT_QUEUE_ALLOC = struct<FaultQueueAllocRequest>('iommu_fault_alloc', 16, {
  flags: u32(4, NO_FLAGS),
  outFaultId: u32(8),
  outFaultFd: u32(12, newDescriptor),
});

export const IOAS_MAP_FILE = struct<IoasMapFileRequest>('iommu_ioas_map_file', 40, {
  flags: u32(4, MAP_FLAGS),
  ioasId: u32(8),
  fd: s32(12),
  start: u64(16),
  length: u64(24),
  iova: u64(32),
});

export const VIOMMU_ALLOC = struct<ViommuAllocRequest>('iommu_viommu_alloc', 40, {
  flags: u32(4, NO_FLAGS),
  type: u32(8, VIOMMU_TYPES),
  devId: u32(12),
  hwptId: u32(16),
  outViommuId: u32(20),
  dataLen: u32(24),
  reserved: reserved(28),
  dataUptr: u64(32),
});

export const VDEVICE_ALLOC = struct<VdeviceAllocRequest>('iommu_vdevice_alloc', 24, {
  viommuId: u32(4),
  devId: u32(8),
  outVdeviceId: u32(12),
  virtId: u64(16),
});

export const IOAS_CHANGE_PROCESS = struct<IoasChangeProcessRequest>('iommu_ioas_change_process', 8, {
  reserved: reserved(4),
});

export const VEVENTQ_ALLOC = struct<VeventqAllocRequest>('iommu_veventq_alloc', 32, {
  flags: u32(4, NO_FLAGS),
  viommuId: u32(8),
  type: u32(12, VEVENTQ_TYPES),
  veventqDepth: u32(16),
  outVeventqId: u32(20),
  outVeventqFd: u32(24, newDescriptor),
  reserved: reserved(28),
});

export const HW_QUEUE_ALLOC = struct<HwQueueAllocRequest>('iommu_hw_queue_alloc', 40, {
  flags: u32(4, NO_FLAGS),
  viommuId: u32(8),
  type: u32(12, oneOf({ DEFAULT: 0, TEGRA241_CMDQV: 1 })),
  index: u32(16),
  outHwQueueId: u32(20),
  nestingParentIova: u64(24),
  length: u64(32),
});
