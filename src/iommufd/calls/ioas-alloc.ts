/** `IOMMU_IOAS_ALLOC`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { Ioas } from '../ioas.ts';

/** `struct iommu_ioas_alloc`. */
export interface IoasAllocRequest {
  flags: number;
  outIoasId: number;
}

/**
 * `iommufd_ioas_alloc_ioctl`: a new address space with all of 0 to 2^64-1 usable and nothing mapped.
 *
 * @throws KernelError EOPNOTSUPP any flag; ENOMEM; EBUSY no id is free
 */
export function ioasAlloc(context: Context, request: IoasAllocRequest): void {
  if (request.flags !== 0) {
    throw new KernelError('EOPNOTSUPP', context.label, `address spaces know no flags, not ${request.flags}`);
  }
  const ioas = Ioas.alloc(context);
  request.outIoasId = ioas.id;
  context.objects.publish(ioas);
}
