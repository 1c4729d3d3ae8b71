/** TRIGGER_IOPF: a mock device asks for a page that is not there. */

import { NO_PASID } from '../../../iommu/group-pasids.ts';
import { PageRequestFlag } from '../../../iommu/page-faults.ts';
import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import type { TriggerIopfRequest } from '../requests.ts';
import { useMockIdev } from '../use-idev.ts';

/**
 * `iommufd_test_trigger_iopf`: one request, the last of its group. That nobody can answer it is not an error here: the
 * device is told.
 *
 * @throws KernelError ENOENT no such device; EINVAL it is no mock device
 */
export function triggerIopf(context: Context, request: TriggerIopfRequest): void {
  using held = useMockIdev(context, request.devId);
  const { pasid, grpid, perm, addr } = request;
  const withPasid = pasid === NO_PASID ? 0 : PageRequestFlag.PasidValid;
  try {
    const flags = PageRequestFlag.LastPage | withPasid;
    context.iommufd.iommu.reportDeviceFault(held.device, { flags, pasid, grpid, perm, addr });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}
