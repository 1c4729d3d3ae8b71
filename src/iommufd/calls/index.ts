/**
 * What a program can ask of /dev/iommu, one function an ioctl: `calls.ioasMap(context, request)`. A request is the
 * struct of the uAPI with its names in camel case, reserved fields included (64-bit fields are `bigint`); what the
 * kernel writes back is written into it. Pointers are addresses in the memory of `context.process`. Refusals are
 * `KernelError`s with the errno in `code`.
 *
 * @module calls
 */

export { TestOp } from '../selftest/numbers.ts';
export {
  type VfioDmaMapRequest,
  type VfioDmaUnmapRequest,
  vfioCheckExtension,
  vfioGetApiVersion,
  vfioMapDma,
  vfioSetIommu,
  vfioUnmapDma,
} from '../vfio/calls.ts';
export { DMA_UNMAP_ALL, DmaMapFlag, VfioExtension } from '../vfio/constants.ts';
export { type VfioIommuInfoRequest, vfioIommuGetInfo } from '../vfio/type1-info.ts';
export { type DestroyRequest, destroy } from './destroy.ts';
export { type FaultQueueAllocRequest, faultQueueAlloc } from './fault-queue-alloc.ts';
export * from './get-hw-info.ts';
export * from './hw-queue-alloc.ts';
export * from './hwpt-alloc.ts';
export * from './hwpt-get-dirty-bitmap.ts';
export { type HwptInvalidateRequest, hwptInvalidate } from './hwpt-invalidate.ts';
export * from './hwpt-set-dirty-tracking.ts';
export { type IoasAllocRequest, ioasAlloc } from './ioas-alloc.ts';
export { type IoasAllowIovasRequest, ioasAllowIovas } from './ioas-allow-iovas.ts';
export { type IoasChangeProcessRequest, ioasChangeProcess } from './ioas-change-process.ts';
export { type IoasCopyRequest, ioasCopy } from './ioas-copy.ts';
export { type IoasIovaRangesRequest, ioasIovaRanges } from './ioas-iova-ranges.ts';
export { type IoasMapRequest, ioasMap } from './ioas-map.ts';
export { type IoasMapFileRequest, ioasMapFile } from './ioas-map-file.ts';
export { type IoasUnmapRequest, ioasUnmap } from './ioas-unmap.ts';
export { MapFlag } from './map-flags.ts';
export * from './option.ts';
export { RepliedError } from './replied-error.ts';
export { isTestOp, type TestRequests, testCmd } from './test-cmd.ts';
export { type VdeviceAllocRequest, vdeviceAlloc } from './vdevice-alloc.ts';
export * from './veventq-alloc.ts';
export * from './vfio-ioas.ts';
export * from './viommu-alloc.ts';
