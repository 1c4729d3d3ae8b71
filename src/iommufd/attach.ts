/**
 * Attaching, detaching and replacing the page table of a group, for one of its devices at a time (device.c).
 *
 * The hardware is only told for the first device of a group, and for the last; those between add their reserved
 * regions and a reference. Whatever fails, everything is as it was.
 */

import { NO_PASID } from '../iommu/group-pasids.ts';
import { KernelError } from '../kernel/errors.ts';
import type { IommufdDevice } from './device.ts';
import type { IommufdAttachHandle } from './fault-queue.ts';
import type { GroupAttachment, IommufdGroup } from './group.ts';
import type { Hwpt } from './hwpt.ts';
import type { HwptPaging } from './hwpt-paging.ts';

/** Makes a step undone, for a call that fails later on. */
export type Undo = () => void;

/**
 * `iommufd_hw_pagetable_attach`
 *
 * @throws KernelError EINVAL the group has another page table, the IOMMU is another's, or its reserved regions make no
 *   sense; EBUSY the device is attached; EADDRINUSE something is mapped or allowed where the device has a reserved
 *   region; what enabling page requests or the driver refused
 */
export function attachHwpt(hwpt: Hwpt, device: IommufdDevice, pasid: number): Undo {
  const { group } = device;
  const { swMsiStart } = group;
  const attachment = group.attachments.get(pasid);
  if (attachment?.devices.has(device)) {
    throw new KernelError(
      'EBUSY',
      device.label,
      `is attached to ${attachment.hwpt.label}`,
      'replace or detach it',
    );
  }
  if (attachment !== undefined && attachment.hwpt !== hwpt) {
    throw new KernelError(
      'EINVAL',
      device.label,
      `others of ${group.label} are attached to ${attachment.hwpt.label}`,
      `attach it to the same, or replace it for all of them`,
    );
  }
  const unreserve = pasid === NO_PASID ? reserveFor(device, hwpt.paging) : () => {};
  if (attachment === undefined) {
    try {
      group.attachments.set(pasid, attachHardware(hwpt, device, pasid));
    } catch (error) {
      unreserve();
      throw error;
    }
  } else {
    attachment.devices.add(device);
  }
  hwpt.users++;
  return () => {
    detachHwpt(device, pasid).put();
    group.swMsiStart = swMsiStart;
  };
}

/**
 * `iommufd_hw_pagetable_detach`
 *
 * @returns the page table, whose reference the caller puts
 * @throws KernelError EINVAL the device is not attached
 */
export function detachHwpt(device: IommufdDevice, pasid: number): Hwpt {
  const { group } = device;
  const attachment = attachmentOf(device, pasid);
  const { hwpt } = attachment;
  attachment.devices.delete(device);
  if (attachment.devices.size === 0) {
    detachHardware(group, attachment, pasid);
    group.attachments.delete(pasid);
  }
  if (pasid === NO_PASID) hwpt.paging.ioas.iovas.removeReserved(device.device);
  return hwpt;
}

/**
 * `iommufd_device_do_replace`: the whole group moves, straight from one page table to the other.
 *
 * @returns the page table before, whose last reference the caller puts; none where it is the same
 * @throws KernelError EINVAL the device is not attached; else as `attachHwpt`
 */
export function replaceHwpt(hwpt: Hwpt, device: IommufdDevice, pasid: number): Hwpt | undefined {
  const { group } = device;
  const attachment = attachmentOf(device, pasid);
  const old = attachment.hwpt;
  if (hwpt === old) return undefined;
  const moves = pasid === NO_PASID && hwpt.paging.ioas !== old.paging.ioas;
  const unreserve = pasid === NO_PASID ? reserveForGroup(group, hwpt.paging, moves) : () => {};
  try {
    replaceHardware(hwpt, device, attachment, pasid);
  } catch (error) {
    unreserve();
    throw error;
  }
  if (moves) removeReserved(attachment.devices, old.paging);
  // Every attached device holds a reference; the last on the old table goes with the caller's put.
  hwpt.users += attachment.devices.size;
  old.users -= attachment.devices.size - 1;
  return old;
}

function attachmentOf(device: IommufdDevice, pasid: number): GroupAttachment {
  const attachment = device.group.attachments.get(pasid);
  if (attachment === undefined || !attachment.devices.has(device)) {
    const where = pasid === NO_PASID ? '' : ` at PASID ${pasid}`;
    throw new KernelError('EINVAL', device.label, `is not attached${where}`, 'attach it first');
  }
  return attachment;
}

/** `iommufd_device_attach_reserved_iova`. */
function reserveFor(device: IommufdDevice, hwpt: HwptPaging): Undo {
  const { group } = device;
  const before = group.swMsiStart;
  const unreserve = () => {
    hwpt.ioas.iovas.removeReserved(device.device);
    group.swMsiStart = before;
  };
  group.swMsiStart =
    hwpt.ioas.iovas.enforceDevRegions(device.device, device.reservedRegions(), true) ?? before;
  try {
    const undoMsi = group.devices.size === 0 ? setupMsi(group, hwpt) : () => {};
    return () => {
      undoMsi();
      unreserve();
    };
  } catch (error) {
    unreserve();
    throw error;
  }
}

/**
 * `iommufd_group_do_replace_reserved_iova`. Where the address space stays, the regions are reserved already, and a
 * later failure must leave them so: the kernel of 6.12 forgets that.
 */
function reserveForGroup(group: IommufdGroup, hwpt: HwptPaging, moves: boolean): Undo {
  const reserved: IommufdDevice[] = [];
  const unreserve = () => removeReserved(reserved, hwpt);
  try {
    for (const device of moves ? group.devices : []) {
      hwpt.ioas.iovas.enforceDevRegions(device.device, device.reservedRegions());
      reserved.push(device);
    }
    const undoMsi = setupMsi(group, hwpt);
    return () => {
      undoMsi();
      unreserve();
    };
  } catch (error) {
    unreserve();
    throw error;
  }
}

function removeReserved(devices: Iterable<IommufdDevice>, hwpt: HwptPaging): void {
  for (const { device } of devices) hwpt.ioas.iovas.removeReserved(device);
}

/** `iommufd_group_setup_msi`. */
function setupMsi(group: IommufdGroup, hwpt: HwptPaging): Undo {
  return group.swMsiStart === undefined ? () => {} : hwpt.setupMsi(group.swMsiStart);
}

/** `iommufd_hwpt_attach_device`. */
function attachHardware(hwpt: Hwpt, device: IommufdDevice, pasid: number): GroupAttachment {
  const { faults, iommu } = device.context.iommufd;
  assertPasidCompatible(hwpt, device.group, pasid);
  faults.step('attach handle');
  const handle: IommufdAttachHandle = { idev: device };
  const asks = hwpt.fault === undefined ? undefined : device;
  asks?.enableIopf();
  try {
    faults.step('attach');
    if (pasid === NO_PASID) device.group.group.attachDomainHandle(hwpt.domain, handle);
    else iommu.attachDevicePasid(hwpt.domain, device.device, pasid, handle);
  } catch (error) {
    asks?.disableIopf();
    throw error;
  }
  return { hwpt, devices: new Set([device]), asks };
}

/** `iommufd_hwpt_detach_device`. */
function detachHardware(group: IommufdGroup, { hwpt, asks }: GroupAttachment, pasid: number): void {
  const handle = group.group.attachHandle(pasid);
  if (pasid === NO_PASID) group.group.detachDomainHandle();
  else group.group.detachPasid(hwpt.domain, pasid);
  if (handle !== undefined) hwpt.fault?.autoResponse(handle);
  asks?.disableIopf();
}

/** `iommufd_hwpt_replace_device`. */
function replaceHardware(
  hwpt: Hwpt,
  device: IommufdDevice,
  attachment: GroupAttachment,
  pasid: number,
): void {
  const { faults, iommu } = device.context.iommufd;
  const { group } = device.group;
  const old = attachment.hwpt;
  const oldHandle = group.attachHandle(pasid);
  assertPasidCompatible(hwpt, device.group, pasid);
  faults.step('attach handle');
  const handle: IommufdAttachHandle = { idev: device };
  const starts = hwpt.fault !== undefined && old.fault === undefined;
  if (starts) device.enableIopf();
  try {
    faults.step('replace');
    if (pasid === NO_PASID) group.replaceDomainHandle(hwpt.domain, handle);
    else iommu.replaceDevicePasid(hwpt.domain, device.device, pasid, handle);
  } catch (error) {
    if (starts) device.disableIopf();
    throw error;
  }
  attachment.hwpt = hwpt;
  if (starts) attachment.asks = device;
  if (old.fault === undefined) return;
  if (oldHandle !== undefined) old.fault.autoResponse(oldHandle);
  if (hwpt.fault !== undefined) return;
  attachment.asks?.disableIopf();
  attachment.asks = undefined;
}

/**
 * `iommufd_hwpt_pasid_compat` (since 6.15): once a PASID of the group is used, all its page tables have to be made
 * for that.
 */
function assertPasidCompatible(hwpt: Hwpt, group: IommufdGroup, pasid: number): void {
  const noPasid = group.attachments.get(NO_PASID)?.hwpt;
  const marked = [...group.attachments.keys()].some((each) => each !== NO_PASID);
  const wrong =
    pasid === NO_PASID
      ? marked && !hwpt.pasidCompatible
        ? hwpt
        : undefined
      : [hwpt, noPasid].find((each) => each !== undefined && !each.pasidCompatible);
  if (wrong === undefined) return;
  throw new KernelError(
    'EINVAL',
    wrong.label,
    `was not made for a group that uses PASIDs, as ${group.label}`,
    'allocate it with IOMMU_HWPT_ALLOC_PASID',
  );
}
