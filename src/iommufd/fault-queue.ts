/**
 * Page faults of devices behind HWPTs, read and answered by user space (fault.c). Faults come in groups; a group is
 * read as a whole, gets a cookie, and is answered once by that cookie.
 */

import type { AttachHandle } from '../iommu/group-pasids.ts';
import { type FaultGroup, PageResponse } from '../iommu/page-faults.ts';
import { KernelError } from '../kernel/errors.ts';
import { Ida } from '../kernel/ida.ts';
import type { Context } from './context.ts';
import type { IommufdDevice } from './device.ts';
import { EventQueue } from './event-queue.ts';

/** `struct iommu_hwpt_pgfault`. */
export interface HwptPgfault {
  /** `PageRequestFlag` bits. */
  flags: number;
  /** Id of the iommufd device that asks. */
  devId: number;
  pasid: number;
  grpid: number;
  /** `PageRequestPerm` bits. */
  perm: number;
  addr: bigint;
  /** A hint how much to make present; 0 in all kernels so far. */
  length: number;
  /** The same for all faults of a group. */
  cookie: number;
}

/** `struct iommu_hwpt_page_response`. */
export interface HwptPageResponse {
  cookie: number;
  /** 0 the pages are there now, 1 they will not be. */
  code: number;
}

/** `struct iommufd_attach_handle`: whose faults an attachment brings. */
export interface IommufdAttachHandle extends AttachHandle {
  readonly idev: IommufdDevice;
}

const U32_MAX = 0xffff_ffff;

export class FaultQueue extends EventQueue<FaultGroup> {
  /** `response`: read and not answered, by cookie. */
  readonly #unanswered = new Map<number, FaultGroup>();
  readonly #cookies = new Ida('page fault cookies', U32_MAX);
  #givesZero = false;

  constructor(context: Context) {
    super(context, 'fault', true);
    // Cookies begin with 1.
    this.#cookies.alloc();
  }

  /** Groups read and not answered. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  /** Cookies of these, ascending. */
  get cookies(): number[] {
    return [...this.#unanswered.keys()].sort((a, b) => a - b);
  }

  /** `iommufd_fault_iopf_handler`: the queue takes charge of a group, and readers are woken. */
  deliver(group: FaultGroup): void {
    group.dequeue();
    this.queued.push(group);
    this.wake();
  }

  /**
   * `iommufd_fault_fops_read`: hands out whole groups, as many as there are and fit.
   *
   * @param room how many faults fit
   * @param copyOut takes fault number `at`; what it throws is `copy_to_user` failing, and the group stays queued
   * @returns how many faults were handed out
   * @throws KernelError when nothing was: EINVAL the first group does not fit, ENOMEM, or what `copyOut` threw
   */
  read(room: number, copyOut: (at: number, fault: HwptPgfault) => void): number {
    let done = 0;
    for (let group = this.queued[0]; group !== undefined; group = this.queued[0]) {
      if (group.requests.length > room - done) {
        if (done > 0) return done;
        const problem = `the next group has ${group.requests.length} faults, there is room for ${room}`;
        throw new KernelError('EINVAL', this.label, problem);
      }
      try {
        this.#readGroup(group, done, copyOut);
      } catch (error) {
        if (done > 0 && error instanceof KernelError) return done;
        throw error;
      }
      this.queued.shift();
      done += group.requests.length;
    }
    return done;
  }

  /** As `read`, with the faults in a list. @throws KernelError as `read` */
  readFaults(room = Number.POSITIVE_INFINITY): HwptPgfault[] {
    const faults: HwptPgfault[] = [];
    this.read(room, (_, fault) => faults.push(fault));
    return faults;
  }

  /**
   * `iommufd_fault_fops_write`: answers groups one after the other.
   *
   * @param count how many answers there are
   * @param copyIn gives answer number `at`; what it throws is `copy_from_user` failing
   * @returns how many were taken; fewer than `count` where one was wrong
   * @throws KernelError when none was taken: EINVAL unknown code or cookie, or what `copyIn` threw
   */
  write(count: number, copyIn: (at: number) => HwptPageResponse): number {
    for (let done = 0; done < count; done++) {
      try {
        this.#answer(copyIn(done));
      } catch (error) {
        if (done > 0 && error instanceof KernelError) return done;
        throw error;
      }
    }
    return count;
  }

  /** As `write`, with the answers in a list. @throws KernelError as `write` */
  writeResponses(responses: readonly HwptPageResponse[]): number {
    return this.write(responses.length, (at) => responses[at]!);
  }

  /**
   * `iommufd_auto_response_faults`: an attachment ends, or another takes its place; what it brought, read or not, is
   * answered as invalid.
   */
  autoResponse(handle: AttachHandle): void {
    this.#answerInvalid((group) => group.attachHandle === handle);
  }

  /** `iommufd_fault_destroy`: nobody can answer any more. */
  override destroy(): void {
    this.#answerInvalid(() => true);
  }

  /** The group has its cookie only once every fault is copied. */
  #readGroup(group: FaultGroup, done: number, copyOut: (at: number, fault: HwptPgfault) => void): void {
    this.context.iommufd.faults.step('page fault cookie');
    const cookie = this.#cookies.alloc();
    try {
      const devId = (group.attachHandle as IommufdAttachHandle).idev.id;
      for (const [at, { flags, pasid, grpid, perm, addr }] of group.requests.entries()) {
        copyOut(done + at, { flags, devId, pasid, grpid, perm, addr, length: 0, cookie });
      }
    } catch (error) {
      this.#cookies.free(cookie);
      throw error;
    }
    this.#unanswered.set(cookie, group);
  }

  #answer({ code, cookie }: HwptPageResponse): void {
    if (code !== PageResponse.Success && code !== PageResponse.Invalid) {
      throw new KernelError('EINVAL', this.label, `${code} is no answer to a page fault`, 'use 0 or 1');
    }
    const group = this.#unanswered.get(cookie);
    if (group === undefined) {
      if (cookie === 0) this.#freeZero();
      throw new KernelError('EINVAL', this.label, `no faults with cookie ${cookie} wait for an answer`);
    }
    this.#forget(cookie);
    group.respond(code);
  }

  /** Unread ones first, as the kernel does. */
  #answerInvalid(meant: (group: FaultGroup) => boolean): void {
    const groups = this.queued.filter(meant);
    const left = this.queued.filter((group) => !meant(group));
    this.queued.splice(0, this.queued.length, ...left);
    for (const cookie of this.cookies) {
      const group = this.#unanswered.get(cookie)!;
      if (!meant(group)) continue;
      this.#forget(cookie);
      groups.push(group);
    }
    for (const group of groups) group.respond(PageResponse.Invalid);
  }

  /** `xa_erase` of an index that an array only keeps clear, not empty: while there are others, it is free then. */
  #freeZero(): void {
    if (this.#givesZero || this.#unanswered.size === 0) return;
    this.#givesZero = true;
    this.#cookies.free(0);
  }

  #forget(cookie: number): void {
    this.#unanswered.delete(cookie);
    this.#cookies.free(cookie);
  }
}
