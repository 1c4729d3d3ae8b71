/** `IOMMU_VDEVICE_ALLOC`, since 6.13. From the newer headers and from memory. */

import type { Context } from '../context.ts';
import type { IommufdDevice } from '../device.ts';
import { Vdevice } from '../vdevice.ts';
import type { Viommu } from '../viommu.ts';

/** `struct iommu_vdevice_alloc`. */
export interface VdeviceAllocRequest {
  viommuId: number;
  devId: number;
  outVdeviceId: number;
  virtId: bigint;
}

/**
 * `iommufd_vdevice_alloc_ioctl`: from now on the guest's IOMMU knows the device by `virtId`.
 *
 * @throws KernelError ENOENT no such vIOMMU or device; else as `Vdevice.alloc`
 */
export function vdeviceAlloc(context: Context, request: VdeviceAllocRequest): void {
  using viommu = context.objects.use<Viommu>(request.viommuId, 'viommu');
  using device = context.objects.use<IommufdDevice>(request.devId, 'device');
  const vdevice = Vdevice.alloc(viommu.object, device.object, request.virtId);
  request.outVdeviceId = vdevice.id;
  context.objects.publish(vdevice);
}
