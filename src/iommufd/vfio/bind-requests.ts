/** What a program asks of the device's own file: which iommufd, and which page table. */

import type { FileArgument } from './context-from-file.ts';

/** `struct vfio_device_bind_iommufd`. */
export interface VfioBindIommufdRequest {
  argsz: number;
  flags: number;
  iommufd: FileArgument;
  outDevid: number;
}

/** `struct vfio_device_attach_iommufd_pt`; `pasid` only with flag 1, newer than 6.12. */
export interface VfioAttachIommufdPtRequest {
  argsz: number;
  flags: number;
  /** In: IOAS or HWPT; out: the HWPT. */
  ptId: number;
  pasid?: number;
}

/** `struct vfio_device_detach_iommufd_pt`, likewise. */
export interface VfioDetachIommufdPtRequest {
  argsz: number;
  flags: number;
  pasid?: number;
}
