/** `IOMMU_VFIO_IOAS`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { compatIoasGetId } from '../vfio/compat-ioas.ts';

/** `IOMMU_VFIO_IOAS_*`. */
export const VfioIoasOp = { Get: 0, Set: 1, Clear: 2 } as const;

/** `struct iommu_vfio_ioas`. */
export interface VfioIoasRequest {
  /** In to set, out to get. */
  ioasId: number;
  op: number;
  reserved: number;
}

/**
 * `iommufd_vfio_ioas`: which address space VFIO's old calls on this file work on.
 *
 * @throws KernelError EOPNOTSUPP `reserved`, an unknown operation; ENODEV there is none to get; ENOENT no such IOAS
 */
export function vfioIoas(context: Context, request: VfioIoasRequest): void {
  if (request.reserved !== 0) throw new KernelError('EOPNOTSUPP', context.label, 'a reserved field is not 0');
  switch (request.op) {
    case VfioIoasOp.Get:
      request.ioasId = compatIoasGetId(context);
      return;
    case VfioIoasOp.Set: {
      using held = context.objects.use<Ioas>(request.ioasId, 'ioas');
      context.vfioIoas = held.object;
      return;
    }
    case VfioIoasOp.Clear:
      context.vfioIoas = undefined;
      return;
    default:
      throw new KernelError('EOPNOTSUPP', context.label, `VFIO_IOAS has no operation ${request.op}`);
  }
}
