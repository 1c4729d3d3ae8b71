/** `IOMMU_VIOMMU_ALLOC`, since 6.13; with data since 6.17. From the newer headers and from memory. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { IommufdDevice } from '../device.ts';
import type { HwptPaging } from '../hwpt-paging.ts';
import { userDataAt } from '../user-data.ts';
import { Viommu } from '../viommu.ts';

/** `IOMMU_VIOMMU_TYPE_DEFAULT`: no type at all. */
export const VIOMMU_TYPE_DEFAULT = 0;

/** `struct iommu_viommu_alloc`. */
export interface ViommuAllocRequest {
  flags: number;
  type: number;
  /** Any device behind the IOMMU. */
  devId: number;
  /** Made with NEST_PARENT. */
  hwptId: number;
  outViommuId: number;
  dataLen: number;
  reserved: number;
  dataUptr: bigint;
}

/**
 * `iommufd_viommu_alloc_ioctl`
 *
 * @throws KernelError EOPNOTSUPP flags, reserved, no type, or the driver has none of it; ENOENT no such device or paging
 *   HWPT; EINVAL the HWPT is no parent, or another driver's; EFAULT; ENOMEM; EBUSY no object id is free
 */
export function viommuAlloc(context: Context, request: ViommuAllocRequest): void {
  const { type, dataLen, dataUptr } = request;
  if (request.flags !== 0 || request.reserved !== 0 || type === VIOMMU_TYPE_DEFAULT) {
    throw new KernelError('EOPNOTSUPP', context.label, `makes no vIOMMU of type ${type} with these flags`);
  }
  using device = context.objects.use<IommufdDevice>(request.devId, 'device');
  using parent = context.objects.use<HwptPaging>(request.hwptId, 'hwpt-paging');
  const { nestParent, label, domain } = parent.object;
  if (!nestParent) {
    const remedy = 'allocate it with IOMMU_HWPT_ALLOC_NEST_PARENT';
    throw new KernelError('EINVAL', label, 'is no parent of guest tables', remedy);
  }
  if (domain.owner !== device.object.driver) {
    throw new KernelError('EINVAL', label, `belongs to another IOMMU driver than ${device.object.label}`);
  }
  const userData = dataLen === 0 ? undefined : userDataAt(context.process.memory, type, dataUptr, dataLen);
  const viommu = Viommu.alloc(device.object, parent.object, type, userData);
  request.outViommuId = viommu.id;
  context.objects.publish(viommu);
}
