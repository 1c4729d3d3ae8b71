/** `IOMMU_IOAS_ALLOW_IOVAS`. */

import { KernelError } from '../../kernel/errors.ts';
import { AllowedIovas } from '../allowed-iovas.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { readRange } from './iova-range-bytes.ts';

/** `struct iommu_ioas_allow_iovas`. */
export interface IoasAllowIovasRequest {
  ioasId: number;
  numIovas: number;
  reserved: number;
  /** Where the process has the ranges. */
  allowedIovas: bigint;
}

/**
 * `iommufd_ioas_allow_iovas`: automatic placement keeps to this list from now on, and nothing may be reserved in it.
 * It replaces the list before; an empty one allows everything.
 *
 * @throws KernelError EOPNOTSUPP `reserved`; ENOENT no such IOAS; EFAULT; EINVAL a range of one byte or none, or two
 *   that overlap; EADDRINUSE a range meets a reserved one; ENOMEM. The list before is kept then
 */
export function ioasAllowIovas(context: Context, request: IoasAllowIovasRequest): void {
  if (request.reserved !== 0) throw new KernelError('EOPNOTSUPP', context.label, 'a reserved field is not 0');
  using held = context.objects.use<Ioas>(request.ioasId, 'ioas');
  const allowed = new AllowedIovas();
  for (let index = 0; index < request.numIovas; index++) {
    const range = readRange(context.process.memory, request.allowedIovas, index);
    allowed.add(range);
    context.iommufd.faults.step('allowed range');
  }
  held.object.iovas.setAllowed(allowed);
}
