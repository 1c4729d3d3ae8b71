/** The ops of ioctl 0xa0 with just their arguments. */

import { testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import type { Context } from '../../../src/iommufd/context.ts';
import type { FileTable } from '../../../src/iommufd/open-files.ts';
import { AccessCreateFlag, AccessFlag, TestOp } from '../../../src/iommufd/selftest/numbers.ts';

/** What MOCK_DOMAIN hands out. */
export interface MockIds {
  stdev: number;
  hwpt: number;
  idev: number;
}

export class TestCalls {
  readonly #fd: Context;

  constructor(fd: Context) {
    this.#fd = fd;
  }

  mockDomain(ptId: number): MockIds {
    const request = { id: ptId, outStdevId: 0, outHwptId: 0, outIdevId: 0 };
    testCmd(this.#fd, TestOp.MockDomain, request);
    return { stdev: request.outStdevId, hwpt: request.outHwptId, idev: request.outIdevId };
  }

  /** @param devFlags of `DeviceFlag` */
  mockDomainFlags(ptId: number, devFlags: number): MockIds {
    const request = { id: ptId, devFlags, outStdevId: 0, outHwptId: 0, outIdevId: 0 };
    testCmd(this.#fd, TestOp.MockDomainFlags, request);
    return { stdev: request.outStdevId, hwpt: request.outHwptId, idev: request.outIdevId };
  }

  /** @returns id of the HWPT */
  mockDomainReplace(stdev: number, ptId: number): number {
    const request = { id: stdev, ptId };
    testCmd(this.#fd, TestOp.MockDomainReplace, request);
    return request.ptId;
  }

  addReserved(ioasId: number, start: bigint, length: bigint): void {
    testCmd(this.#fd, TestOp.AddReserved, { id: ioasId, start, length });
  }

  mdCheckMap(hwptId: number, iova: bigint, length: bigint, uptr: bigint): void {
    testCmd(this.#fd, TestOp.MdCheckMap, { id: hwptId, iova, length, uptr });
  }

  mdCheckRefs(uptr: bigint, length: bigint, refs: number): void {
    testCmd(this.#fd, TestOp.MdCheckRefs, { uptr, length, refs });
  }

  mdCheckIotlb(hwptId: number, entry: number, iotlb: number): void {
    testCmd(this.#fd, TestOp.MdCheckIotlb, { id: hwptId, entry, iotlb });
  }

  /** @returns a descriptor */
  createAccess(ioasId: number, options: { needsPinPages?: boolean } = {}): number {
    const flags = options.needsPinPages ? AccessCreateFlag.NeedsPinPages : 0;
    const request = { id: ioasId, flags, outAccessFd: 0 };
    testCmd(this.#fd, TestOp.CreateAccess, request);
    return request.outAccessFd;
  }

  /** Closes the descriptor. */
  destroyAccess(fd: number): void {
    (this.#fd.process.files as FileTable).close(fd);
  }

  accessReplaceIoas(fd: number, ioasId: number): void {
    testCmd(this.#fd, TestOp.AccessReplaceIoas, { id: fd, ioasId });
  }

  /** @returns the number to release the pages by */
  accessPages(fd: number, range: { iova: bigint; length: bigint; uptr: bigint; write?: boolean }): number {
    const { iova, length, uptr, write = false } = range;
    const request = { id: fd, flags: write ? AccessFlag.Write : 0, iova, length, uptr, outAccessPagesId: 0 };
    testCmd(this.#fd, TestOp.AccessPages, request);
    return request.outAccessPagesId;
  }

  destroyAccessPages(fd: number, accessPagesId: number): void {
    testCmd(this.#fd, TestOp.DestroyAccessPages, { id: fd, accessPagesId });
  }

  /** @param flags of `AccessRwFlag` */
  accessRw(fd: number, iova: bigint, length: bigint, uptr: bigint, flags: number): void {
    testCmd(this.#fd, TestOp.AccessRw, { id: fd, iova, length, uptr, flags });
  }

  setTempMemoryLimit(limit: number): void {
    testCmd(this.#fd, TestOp.SetTempMemoryLimit, { limit });
  }

  /** @returns how many pages were marked */
  dirty(hwptId: number, range: { iova: bigint; length: bigint; pageSize: bigint; uptr: bigint }): bigint {
    const request = { id: hwptId, flags: 0, ...range, outNrDirty: 0n };
    testCmd(this.#fd, TestOp.Dirty, request);
    return request.outNrDirty;
  }

  triggerIopf(devId: number): void {
    testCmd(this.#fd, TestOp.TriggerIopf, { devId, pasid: 1, grpid: 2, perm: 3, addr: 0xdead_beafn });
  }
}
