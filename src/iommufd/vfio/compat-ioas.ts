/** The address space that old VFIO calls mean without naming one (vfio_compat.c). */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { Ioas } from '../ioas.ts';
import type { Held } from '../object-table.ts';

/**
 * `get_compat_ioas`: the compatibility IOAS, held until disposed.
 *
 * @throws KernelError ENODEV no group has been set to this container, or the IOAS was destroyed
 */
export function getCompatIoas(context: Context): Held<Ioas> {
  const { vfioIoas } = context;
  if (vfioIoas === undefined) {
    throw new KernelError(
      'ENODEV',
      context.label,
      'has no address space for VFIO calls',
      'set a group to the container first, or choose an IOAS with IOMMU_VFIO_IOAS',
    );
  }
  return context.objects.hold(vfioIoas);
}

/**
 * `iommufd_vfio_compat_ioas_get_id`.
 *
 * @throws KernelError ENODEV there is none
 */
export function compatIoasGetId(context: Context): number {
  using held = getCompatIoas(context);
  return held.object.id;
}

/**
 * `iommufd_vfio_compat_ioas_create`: makes the compatibility IOAS unless there is one. It is an object like any
 * other, with an id, and stays until it is destroyed or the context goes.
 *
 * @throws KernelError EINVAL the context is in noiommu mode; ENOMEM; nothing has changed then
 */
export function compatIoasCreate(context: Context): void {
  const ioas = Ioas.alloc(context);
  if (context.noiommuMode) {
    context.objects.abortAndDestroy(ioas);
    throw new KernelError(
      'EINVAL',
      context.label,
      'serves groups without an IOMMU',
      'use one container for each',
    );
  }
  if (context.vfioIoas !== undefined) {
    context.objects.abortAndDestroy(ioas);
    return;
  }
  context.vfioIoas = ioas;
  context.objects.publish(ioas);
}

/**
 * `iommufd_vfio_compat_set_no_iommu`: the container serves groups without an IOMMU from now on.
 *
 * @throws KernelError EINVAL it serves groups with one
 */
export function compatSetNoIommu(context: Context): void {
  if (context.vfioIoas !== undefined) {
    throw new KernelError(
      'EINVAL',
      context.label,
      'has an address space for groups with an IOMMU',
      'use one container for each',
    );
  }
  context.noiommuMode = true;
}
