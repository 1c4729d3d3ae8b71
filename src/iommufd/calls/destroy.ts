/** `IOMMU_DESTROY`. */

import type { Context } from '../context.ts';

/** `struct iommu_destroy`. */
export interface DestroyRequest {
  id: number;
}

/**
 * `iommufd_destroy`: the object goes, an address space with whatever is mapped in it.
 *
 * @throws KernelError ENOENT no such object; EBUSY it is in use
 */
export function destroy(context: Context, request: DestroyRequest): void {
  context.objects.remove(request.id);
}
