/**
 * I/O page faults (io-pgfault.c): a device asks for pages, the requests of one group are collected until its last,
 * and whoever attached the domain answers the group as a whole.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { IommuDriver } from './driver.ts';
import type { AttachHandle } from './group-pasids.ts';

/** `IOMMU_FAULT_PAGE_REQUEST_*`. */
export const PageRequestFlag = { PasidValid: 1, LastPage: 2 } as const;
/** `IOMMU_FAULT_PERM_*`. */
export const PageRequestPerm = { Read: 1, Write: 2, Exec: 4, Privileged: 8 } as const;
/** `enum iommu_page_response_code`. */
export const PageResponse = { Success: 0, Invalid: 1, Failure: 2 } as const;
export type PageResponse = (typeof PageResponse)[keyof typeof PageResponse];

/** `struct iommu_fault_page_request`. */
export interface PageRequest {
  /** `PageRequestFlag` bits. */
  flags: number;
  pasid: number;
  /** Page request group index. */
  grpid: number;
  /** `PageRequestPerm` bits. */
  perm: number;
  addr: bigint;
}

/** `struct iommu_fault_param`: what is under way for one device that may ask for pages. */
export class DeviceFaults {
  readonly device: Device;
  readonly driver: IommuDriver;
  /** Requests whose group's last has not come. */
  partial: PageRequest[] = [];
  /** Groups nobody has taken charge of yet. */
  readonly pending = new Set<FaultGroup>();

  constructor(device: Device, driver: IommuDriver) {
    this.device = device;
    this.driver = driver;
  }
}

/** `struct iopf_group`: requests that get one answer. */
export class FaultGroup {
  /** In the order a reader gets them; the one marked last is last. */
  readonly requests: readonly PageRequest[];
  /** The attachment whose user is to answer. */
  readonly attachHandle: AttachHandle;
  readonly #faults: DeviceFaults;
  #answered = false;

  constructor(faults: DeviceFaults, requests: readonly PageRequest[], attachHandle: AttachHandle) {
    this.#faults = faults;
    this.requests = requests;
    this.attachHandle = attachHandle;
  }

  get device(): Device {
    return this.#faults.device;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** `iopf_group_dequeue`: the caller takes charge of the answer. */
  dequeue(): void {
    this.#faults.pending.delete(this);
  }

  /**
   * `iopf_group_response`: the hardware gets the answer, once.
   *
   * @throws KernelError EBADF it was answered before
   */
  respond(code: PageResponse): void {
    const last = this.requests.at(-1)!;
    if (this.#answered) throw new KernelError('EBADF', `page fault group ${last.grpid}`, 'is answered twice');
    this.#answered = true;
    this.#faults.driver.pageResponse?.(this.device, last, { pasid: last.pasid, grpid: last.grpid, code });
    this.#faults.pending.delete(this);
  }
}
