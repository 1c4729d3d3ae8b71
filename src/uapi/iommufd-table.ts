/** Every ioctl of /dev/iommu, 0x80 to 0x94 (`iommufd_ioctl_ops`). */

import { destroy } from '../iommufd/calls/destroy.ts';
import { faultQueueAlloc } from '../iommufd/calls/fault-queue-alloc.ts';
import { getHwInfo } from '../iommufd/calls/get-hw-info.ts';
import { hwQueueAlloc } from '../iommufd/calls/hw-queue-alloc.ts';
import { hwptAlloc } from '../iommufd/calls/hwpt-alloc.ts';
import { hwptGetDirtyBitmap } from '../iommufd/calls/hwpt-get-dirty-bitmap.ts';
import { hwptInvalidate } from '../iommufd/calls/hwpt-invalidate.ts';
import { hwptSetDirtyTracking } from '../iommufd/calls/hwpt-set-dirty-tracking.ts';
import { ioasAlloc } from '../iommufd/calls/ioas-alloc.ts';
import { ioasAllowIovas } from '../iommufd/calls/ioas-allow-iovas.ts';
import { ioasChangeProcess } from '../iommufd/calls/ioas-change-process.ts';
import { ioasCopy } from '../iommufd/calls/ioas-copy.ts';
import { ioasIovaRanges } from '../iommufd/calls/ioas-iova-ranges.ts';
import { ioasMap } from '../iommufd/calls/ioas-map.ts';
import { ioasMapFile } from '../iommufd/calls/ioas-map-file.ts';
import { ioasUnmap } from '../iommufd/calls/ioas-unmap.ts';
import { option } from '../iommufd/calls/option.ts';
import { vdeviceAlloc } from '../iommufd/calls/vdevice-alloc.ts';
import { veventqAlloc } from '../iommufd/calls/veventq-alloc.ts';
import { VfioIoasOp, vfioIoas } from '../iommufd/calls/vfio-ioas.ts';
import { viommuAlloc } from '../iommufd/calls/viommu-alloc.ts';
import { type IommufdCall, iommufdCall } from './iommufd-call.ts';
import * as structs from './iommufd-structs.ts';

/** Bytes of `val64`, which is all that IOMMU_OPTION writes. */
const OPTION_VALUE = { from: 16, to: 24 };

export const IOMMUFD_CALLS: readonly IommufdCall[] = [
  iommufdCall(0x80, 'IOMMU_DESTROY', 8, { struct: structs.DESTROY, call: destroy, reply: 'nothing' }),
  iommufdCall(0x81, 'IOMMU_IOAS_ALLOC', 12, {
    struct: structs.IOAS_ALLOC,
    call: ioasAlloc,
    reply: 'all',
    undo: ({ objects }, { outIoasId }) => objects.remove(outIoasId),
  }),
  iommufdCall(0x82, 'IOMMU_IOAS_ALLOW_IOVAS', 24, {
    struct: structs.IOAS_ALLOW_IOVAS,
    call: ioasAllowIovas,
    reply: 'nothing',
  }),
  iommufdCall(0x83, 'IOMMU_IOAS_COPY', 40, { struct: structs.IOAS_COPY, call: ioasCopy, reply: 'all' }),
  iommufdCall(0x84, 'IOMMU_IOAS_IOVA_RANGES', 32, {
    struct: structs.IOAS_IOVA_RANGES,
    call: ioasIovaRanges,
    reply: 'all',
  }),
  iommufdCall(0x85, 'IOMMU_IOAS_MAP', 40, { struct: structs.IOAS_MAP, call: ioasMap, reply: 'all' }),
  iommufdCall(0x86, 'IOMMU_IOAS_UNMAP', 24, { struct: structs.IOAS_UNMAP, call: ioasUnmap, reply: 'all' }),
  iommufdCall(0x87, 'IOMMU_OPTION', 24, { struct: structs.OPTION, call: option, reply: OPTION_VALUE }),
  iommufdCall(0x88, 'IOMMU_VFIO_IOAS', 12, {
    struct: structs.VFIO_IOAS,
    call: vfioIoas,
    reply: ({ op }) => (op === VfioIoasOp.Get ? 'all' : 'nothing'),
  }),
  iommufdCall(0x89, 'IOMMU_HWPT_ALLOC', 24, {
    struct: structs.HWPT_ALLOC,
    call: hwptAlloc,
    reply: 'all',
    undo: ({ objects }, { outHwptId }) => objects.remove(outHwptId),
  }),
  iommufdCall(0x8a, 'IOMMU_GET_HW_INFO', 32, { struct: structs.GET_HW_INFO, call: getHwInfo, reply: 'all' }),
  iommufdCall(0x8b, 'IOMMU_HWPT_SET_DIRTY_TRACKING', 16, {
    struct: structs.HWPT_SET_DIRTY_TRACKING,
    call: hwptSetDirtyTracking,
    reply: 'nothing',
  }),
  iommufdCall(0x8c, 'IOMMU_HWPT_GET_DIRTY_BITMAP', 48, {
    struct: structs.HWPT_GET_DIRTY_BITMAP,
    call: hwptGetDirtyBitmap,
    reply: 'nothing',
  }),
  iommufdCall(0x8d, 'IOMMU_HWPT_INVALIDATE', 32, {
    struct: structs.HWPT_INVALIDATE,
    call: hwptInvalidate,
    reply: 'all',
  }),
  iommufdCall(0x8e, 'IOMMU_FAULT_QUEUE_ALLOC', 16, {
    struct: structs.FAULT_QUEUE_ALLOC,
    call: faultQueueAlloc,
    reply: 'all',
    descriptor: 'outFaultFd',
    undo: ({ objects }, { outFaultId }, file) => {
      file?.close();
      objects.remove(outFaultId);
    },
  }),
  iommufdCall(0x8f, 'IOMMU_IOAS_MAP_FILE', 40, {
    struct: structs.IOAS_MAP_FILE,
    call: ioasMapFile,
    reply: 'all',
  }),
  iommufdCall(0x90, 'IOMMU_VIOMMU_ALLOC', 24, {
    struct: structs.VIOMMU_ALLOC,
    call: viommuAlloc,
    reply: 'all',
    undo: ({ objects }, { outViommuId }) => objects.remove(outViommuId),
  }),
  iommufdCall(0x91, 'IOMMU_VDEVICE_ALLOC', 24, {
    struct: structs.VDEVICE_ALLOC,
    call: vdeviceAlloc,
    reply: 'all',
    undo: ({ objects }, { outVdeviceId }) => objects.remove(outVdeviceId),
  }),
  iommufdCall(0x92, 'IOMMU_IOAS_CHANGE_PROCESS', 8, {
    struct: structs.IOAS_CHANGE_PROCESS,
    call: ioasChangeProcess,
    reply: 'nothing',
  }),
  iommufdCall(0x93, 'IOMMU_VEVENTQ_ALLOC', 32, {
    struct: structs.VEVENTQ_ALLOC,
    call: veventqAlloc,
    reply: 'all',
    descriptor: 'outVeventqFd',
    undo: ({ objects }, { outVeventqId }, file) => {
      file?.close();
      objects.remove(outVeventqId);
    },
  }),
  iommufdCall(0x94, 'IOMMU_HW_QUEUE_ALLOC', 40, {
    struct: structs.HW_QUEUE_ALLOC,
    call: hwQueueAlloc,
    reply: 'all',
    undo: ({ objects }, { outHwQueueId }) => objects.remove(outHwQueueId),
  }),
];
