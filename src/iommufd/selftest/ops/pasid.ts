/** The ops on PASIDs of a mock device, all later than 6.12. */

import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import type { Hwpt } from '../../hwpt.ts';
import type { PasidAttachRequest, PasidCheckRequest, PasidDetachRequest } from '../requests.ts';
import type { SelftestDevice } from '../selftest-device.ts';

/**
 * `iommufd_test_pasid_attach`
 *
 * @throws KernelError ENOENT `id` is no selftest object; else as `IommufdDevice.pasidAttach`
 */
export function pasidAttach(context: Context, request: PasidAttachRequest): void {
  using held = context.objects.use<SelftestDevice>(request.id, 'selftest');
  request.ptId = held.object.idev.pasidAttach(request.pasid, request.ptId);
}

/** `iommufd_test_pasid_replace` @throws KernelError ENOENT; as `IommufdDevice.pasidReplace` */
export function pasidReplace(context: Context, request: PasidAttachRequest): void {
  using held = context.objects.use<SelftestDevice>(request.id, 'selftest');
  request.ptId = held.object.idev.pasidReplace(request.pasid, request.ptId);
}

/** `iommufd_test_pasid_detach` @throws KernelError ENOENT; as `IommufdDevice.pasidDetach` */
export function pasidDetach(context: Context, request: PasidDetachRequest): void {
  using held = context.objects.use<SelftestDevice>(request.id, 'selftest');
  held.object.idev.pasidDetach(request.pasid);
}

/**
 * `iommufd_test_pasid_check_hwpt`: the domain of `hwptId` is attached to the PASID, or nothing where that is 0.
 *
 * @throws KernelError ENOENT no such selftest object or HWPT; EINVAL something else is attached
 */
export function pasidCheckHwpt(context: Context, request: PasidCheckRequest): void {
  const { objects } = context;
  using held = objects.use<SelftestDevice>(request.id, 'selftest');
  const { idev } = held.object;
  const found = idev.group.group.attachHandle(request.pasid)?.domain;
  if (request.hwptId === 0) {
    if (found !== undefined) throw unexpected(idev.label, request.pasid, found.label, 'nothing');
    return;
  }
  using hwpt = objects.use<Hwpt>(request.hwptId, 'hwpt-paging', 'hwpt-nested');
  if (found !== hwpt.object.domain) {
    throw unexpected(idev.label, request.pasid, found?.label ?? 'nothing', hwpt.object.label);
  }
}

function unexpected(object: string, pasid: number, found: string, wanted: string): KernelError {
  return new KernelError('EINVAL', object, `${found} is attached to PASID ${pasid}, ${wanted} is expected`);
}
