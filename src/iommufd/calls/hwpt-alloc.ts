/** `IOMMU_HWPT_ALLOC`. */

import type { UserDomainFlags } from '../../iommu/driver.ts';
import type { UserData } from '../../iommu/user-data.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { IommufdDevice } from '../device.ts';
import type { FaultQueue } from '../fault-queue.ts';
import type { Hwpt } from '../hwpt.ts';
import { HwptNested } from '../hwpt-nested.ts';
import { HwptPaging } from '../hwpt-paging.ts';
import type { Ioas } from '../ioas.ts';
import type { IommufdObject } from '../object.ts';
import type { Held } from '../object-table.ts';
import { userDataAt } from '../user-data.ts';
import type { Viommu } from '../viommu.ts';

/** `enum iommufd_hwpt_alloc_flags`. `Pasid` is newer than 6.12. */
export const HwptAllocFlag = { NestParent: 1, DirtyTracking: 2, FaultIdValid: 4, Pasid: 8 } as const;
/** `IOMMU_HWPT_DATA_NONE`. */
export const HWPT_DATA_NONE = 0;

const PAGING_FLAGS = HwptAllocFlag.NestParent | HwptAllocFlag.DirtyTracking | HwptAllocFlag.Pasid;
const NESTED_FLAGS = HwptAllocFlag.FaultIdValid | HwptAllocFlag.Pasid;

/** `struct iommu_hwpt_alloc`. */
export interface HwptAllocRequest {
  /** `HwptAllocFlag` bits. */
  flags: number;
  devId: number;
  /** An IOAS, a paging HWPT to nest on, or since 6.13 a vIOMMU. */
  ptId: number;
  outHwptId: number;
  reserved: number;
  dataType: number;
  dataLen: number;
  dataUptr: bigint;
  faultId: number;
  /** Not looked at. */
  reserved2: number;
}

/**
 * `iommufd_hwpt_alloc`
 *
 * @throws KernelError EOPNOTSUPP reserved, a flag, or what device and driver cannot do; EINVAL data type and length
 *   contradict each other; ENOENT no such device or fault queue; EINVAL `ptId` is nothing to make a table from, not even
 *   an object; else as `HwptPaging.alloc`, `HwptNested.alloc`. Nothing has changed then
 */
export function hwptAlloc(context: Context, request: HwptAllocRequest): void {
  const { dataType, dataLen } = request;
  if (request.reserved !== 0) {
    throw new KernelError('EOPNOTSUPP', context.label, `the reserved field is ${request.reserved}, not 0`);
  }
  if ((dataType === HWPT_DATA_NONE) !== (dataLen === 0)) {
    const problem = `data of type ${dataType} cannot have ${dataLen} bytes`;
    throw new KernelError('EINVAL', context.label, problem, 'type 0 has no data, the others have some');
  }
  using device = context.objects.use<IommufdDevice>(request.devId, 'device');
  using target = useTarget(context, request.ptId);
  const hwpt = allocFrom(context, target.object, device.object, request);
  try {
    if ((request.flags & HwptAllocFlag.FaultIdValid) !== 0) {
      using fault = context.objects.use<FaultQueue>(request.faultId, 'fault');
      hwpt.useFaultQueue(fault.object);
    }
  } catch (error) {
    context.objects.abortAndDestroy(hwpt);
    throw error;
  }
  request.outHwptId = hwpt.id;
  context.objects.publish(hwpt);
}

/** Whatever is wrong with it, the kernel says EINVAL here. */
function useTarget(context: Context, id: number): Held<IommufdObject> {
  try {
    return context.objects.use<IommufdObject>(id);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new KernelError('EINVAL', `iommufd object ${id}`, `no table can be made from it: ${error.message}`);
  }
}

function allocFrom(
  context: Context,
  target: IommufdObject,
  device: IommufdDevice,
  request: HwptAllocRequest,
): Hwpt {
  const userData = userDataOf(context, request);
  switch (target.type) {
    case 'ioas': {
      const flags = domainFlags(target, request.flags, PAGING_FLAGS);
      return HwptPaging.alloc(context, { ioas: target as Ioas, device, flags, userData });
    }
    case 'hwpt-paging': {
      const flags = domainFlags(target, request.flags, NESTED_FLAGS);
      return HwptNested.alloc(context, target as HwptPaging, device, flags, userData);
    }
    case 'viommu': {
      const flags = domainFlags(target, request.flags, NESTED_FLAGS);
      return HwptNested.allocOnViommu(target as Viommu, flags, userData);
    }
    default:
      throw new KernelError(
        'EINVAL',
        target.label,
        'no table can be made from it',
        'use an IOAS or a parent HWPT',
      );
  }
}

function domainFlags(target: IommufdObject, flags: number, allowed: number): UserDomainFlags {
  if ((flags & ~allowed) !== 0) {
    const unknown = (flags & ~allowed) >>> 0;
    throw new KernelError('EOPNOTSUPP', target.label, `makes no tables with flags 0x${unknown.toString(16)}`);
  }
  return {
    nestParent: (flags & HwptAllocFlag.NestParent) !== 0,
    dirtyTracking: (flags & HwptAllocFlag.DirtyTracking) !== 0,
    pasid: (flags & HwptAllocFlag.Pasid) !== 0,
  };
}

function userDataOf(
  { process }: Context,
  { dataType, dataUptr, dataLen }: HwptAllocRequest,
): UserData | undefined {
  return dataLen === 0 ? undefined : userDataAt(process.memory, dataType, dataUptr, dataLen);
}
