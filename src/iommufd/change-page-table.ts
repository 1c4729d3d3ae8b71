/**
 * The one path by which devices come to page tables, be it attach or replace (`iommufd_device_change_pt`): the target
 * may be a page table, or an address space of which one is found or made.
 */

import { KernelError } from '../kernel/errors.ts';
import { attachHwpt, replaceHwpt } from './attach.ts';
import type { IommufdDevice } from './device.ts';
import type { Hwpt } from './hwpt.ts';
import { HwptPaging } from './hwpt-paging.ts';
import type { Ioas } from './ioas.ts';
import type { IommufdObject } from './object.ts';

export type Change = 'attach' | 'replace';

/** What a change leaves: where the device is now, and the table whose last reference is to be put. */
interface Changed {
  id: number;
  old: Hwpt | undefined;
}

/**
 * `iommufd_device_change_pt`
 *
 * @param ptId an HWPT or an IOAS
 * @returns id of the HWPT the device is attached to
 * @throws KernelError ENOENT no such object, EINVAL of another kind; else as `attachHwpt`, `replaceHwpt` and
 *   `HwptPaging.alloc`. Nothing has changed then
 */
export function changePageTable(device: IommufdDevice, pasid: number, ptId: number, change: Change): number {
  const { id, old } = changeTo(device, pasid, ptId, change);
  // Only now does no call hold anything: an automatic table goes with this.
  old?.put();
  return id;
}

function changeTo(device: IommufdDevice, pasid: number, ptId: number, change: Change): Changed {
  using held = device.context.objects.use<IommufdObject>(ptId);
  const target = held.object;
  switch (target.type) {
    case 'hwpt-paging':
    case 'hwpt-nested':
      return doChange(target as Hwpt, device, pasid, change);
    case 'ioas':
      return autoGetDomain(target as Ioas, device, pasid, change);
    default:
      throw new KernelError('EINVAL', target.label, 'is neither a page table nor an address space');
  }
}

function doChange(hwpt: Hwpt, device: IommufdDevice, pasid: number, change: Change): Changed {
  if (change === 'replace') return { id: hwpt.id, old: replaceHwpt(hwpt, device, pasid) };
  attachHwpt(hwpt, device, pasid);
  return { id: hwpt.id, old: undefined };
}

/**
 * `iommufd_device_auto_get_domain`: the first automatic table of the address space that the device fits, else a new
 * one. Tables a user made are left to that user.
 */
function autoGetDomain(ioas: Ioas, device: IommufdDevice, pasid: number, change: Change): Changed {
  const { objects } = device.context;
  for (const hwpt of ioas.hwpts) {
    if (!hwpt.autoDomain) continue;
    using _ = objects.hold(hwpt);
    try {
      return doChange(hwpt, device, pasid, change);
    } catch (error) {
      // EINVAL says that table and device do not go together; the next may.
      if (!(error instanceof KernelError && error.code === 'EINVAL')) throw error;
    }
  }

  const attachAt = change === 'attach' ? { attachAt: pasid } : {};
  const hwpt = HwptPaging.alloc(device.context, { ioas, device, ...attachAt });
  let old: Hwpt | undefined;
  if (change === 'replace') {
    try {
      old = replaceHwpt(hwpt, device, pasid);
    } catch (error) {
      objects.abortAndDestroy(hwpt);
      throw error;
    }
  }
  hwpt.autoDomain = true;
  objects.publish(hwpt);
  return { id: hwpt.id, old };
}
