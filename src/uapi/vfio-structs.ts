/** The structs of include/uapi/linux/vfio.h that ioctls take. */

import type {
  VfioAttachIommufdPtRequest,
  VfioBindIommufdRequest,
  VfioDetachIommufdPtRequest,
} from '../iommufd/vfio/bind-requests.ts';
import type { VfioDmaMapRequest, VfioDmaUnmapRequest } from '../iommufd/vfio/calls.ts';
import {
  ATTACH_PASID,
  DeviceFlag,
  DMA_UNMAP_ALL,
  DmaMapFlag,
  GroupFlag,
  IommuInfoFlag,
  IrqFlag,
  RegionFlag,
} from '../iommufd/vfio/constants.ts';
import type {
  VfioDeviceInfoRequest,
  VfioIrqInfoRequest,
  VfioRegionInfoRequest,
} from '../iommufd/vfio/device-ops.ts';
import type { VfioGroupStatusRequest } from '../iommufd/vfio/group-file.ts';
import type { VfioIommuInfoRequest } from '../iommufd/vfio/type1-info.ts';
import { flags, s32, u32, u64 } from './fields.ts';
import { type Fields, Struct } from './struct.ts';

function struct<R>(name: string, size: number, fields: Fields<R>): Struct<R> {
  return new Struct<R>({ name, size, fields });
}

/** What is in the struct itself; capabilities follow it. */
export type Type1Info = Omit<VfioIommuInfoRequest, 'caps'>;
export type RegionInfo = Omit<VfioRegionInfoRequest, 'caps'>;

export const IOMMU_TYPE1_INFO = struct<Type1Info>('vfio_iommu_type1_info', 24, {
  argsz: u32(0),
  flags: u32(4, flags({ PGSIZES: IommuInfoFlag.PageSizes, CAPS: IommuInfoFlag.Capabilities })),
  iovaPgsizes: u64(8),
  capOffset: u32(16),
});

export const TYPE1_DMA_MAP = struct<VfioDmaMapRequest>('vfio_iommu_type1_dma_map', 32, {
  argsz: u32(0),
  flags: u32(4, flags({ READ: DmaMapFlag.Read, WRITE: DmaMapFlag.Write })),
  vaddr: u64(8),
  iova: u64(16),
  size: u64(24),
});

export const TYPE1_DMA_UNMAP = struct<VfioDmaUnmapRequest>('vfio_iommu_type1_dma_unmap', 24, {
  argsz: u32(0),
  flags: u32(4, flags({ ALL: DMA_UNMAP_ALL })),
  iova: u64(8),
  size: u64(16),
});

export const GROUP_STATUS = struct<VfioGroupStatusRequest>('vfio_group_status', 8, {
  argsz: u32(0),
  flags: u32(4, flags({ VIABLE: GroupFlag.Viable, CONTAINER_SET: GroupFlag.ContainerSet })),
});

export const DEVICE_INFO = struct<VfioDeviceInfoRequest>('vfio_device_info', 24, {
  argsz: u32(0),
  flags: u32(
    4,
    flags({
      RESET: DeviceFlag.Reset,
      PCI: DeviceFlag.Pci,
      PLATFORM: DeviceFlag.Platform,
      CAPS: DeviceFlag.Capabilities,
    }),
  ),
  numRegions: u32(8),
  numIrqs: u32(12),
  capOffset: u32(16),
});

export const REGION_INFO = struct<RegionInfo>('vfio_region_info', 32, {
  argsz: u32(0),
  flags: u32(
    4,
    flags({
      READ: RegionFlag.Read,
      WRITE: RegionFlag.Write,
      MMAP: RegionFlag.Mmap,
      CAPS: RegionFlag.Capabilities,
    }),
  ),
  index: u32(8),
  capOffset: u32(12),
  size: u64(16),
  offset: u64(24),
});

export const IRQ_INFO = struct<VfioIrqInfoRequest>('vfio_irq_info', 16, {
  argsz: u32(0),
  flags: u32(
    4,
    flags({
      EVENTFD: IrqFlag.Eventfd,
      MASKABLE: IrqFlag.Maskable,
      AUTOMASKED: IrqFlag.Automasked,
      NORESIZE: IrqFlag.NoResize,
    }),
  ),
  index: u32(8),
  count: u32(12),
});

/** The door passes descriptors by number. */
export type BindIommufd = VfioBindIommufdRequest & { iommufd: number };

export const BIND_IOMMUFD = struct<BindIommufd>('vfio_device_bind_iommufd', 16, {
  argsz: u32(0),
  flags: u32(4, flags({})),
  iommufd: s32(8),
  outDevid: u32(12),
});

const PASID_FLAG = flags({ PASID: ATTACH_PASID });

export const ATTACH_IOMMUFD_PT = struct<VfioAttachIommufdPtRequest>('vfio_device_attach_iommufd_pt', 16, {
  argsz: u32(0),
  flags: u32(4, PASID_FLAG),
  ptId: u32(8),
  pasid: u32(12),
});

export const DETACH_IOMMUFD_PT = struct<VfioDetachIommufdPtRequest>('vfio_device_detach_iommufd_pt', 12, {
  argsz: u32(0),
  flags: u32(4, PASID_FLAG),
  pasid: u32(8),
});

export interface DeviceFeatureRequest {
  argsz: number;
  flags: number;
}

/** `VFIO_DEVICE_FEATURE_*`: what to do, above the number of the feature. */
export const FeatureFlag = { Mask: 0xffff, Get: 1 << 16, Set: 1 << 17, Probe: 1 << 18 } as const;

export const DEVICE_FEATURE = struct<DeviceFeatureRequest>('vfio_device_feature', 8, {
  argsz: u32(0),
  flags: u32(4, flags({ GET: FeatureFlag.Get, SET: FeatureFlag.Set, PROBE: FeatureFlag.Probe })),
});
