/** The calls of iommufd with just the arguments a test cares about; requests are plain objects of the uAPI's fields. */

import { destroy } from '../../src/iommufd/calls/destroy.ts';
import { faultQueueAlloc } from '../../src/iommufd/calls/fault-queue-alloc.ts';
import { type HwptAllocRequest, hwptAlloc } from '../../src/iommufd/calls/hwpt-alloc.ts';
import { ioasAlloc } from '../../src/iommufd/calls/ioas-alloc.ts';
import { type IoasCopyRequest, ioasCopy } from '../../src/iommufd/calls/ioas-copy.ts';
import { type IoasMapRequest, ioasMap } from '../../src/iommufd/calls/ioas-map.ts';
import { ioasUnmap } from '../../src/iommufd/calls/ioas-unmap.ts';
import { OptionId, OptionOp, option } from '../../src/iommufd/calls/option.ts';
import { testCmd } from '../../src/iommufd/calls/test-cmd.ts';
import type { Context } from '../../src/iommufd/context.ts';
import { TestOp } from '../../src/iommufd/selftest/numbers.ts';

/** FIXED_IOVA, WRITEABLE, READABLE. */
export const FIXED_READ_WRITE = 7;

export function newIoas(context: Context): number {
  const request = { flags: 0, outIoasId: 0 };
  ioasAlloc(context, request);
  return request.outIoasId;
}

export function mapRequest(ioasId: number, userVa: bigint, length: bigint, iova: bigint): IoasMapRequest {
  return { flags: FIXED_READ_WRITE, ioasId, reserved: 0, userVa, length, iova };
}

/** At `iova`, for reading and writing. */
export function map(context: Context, ioasId: number, userVa: bigint, length: bigint, iova: bigint): void {
  ioasMap(context, mapRequest(ioasId, userVa, length, iova));
}

export function copyRequest(
  from: { ioas: number; iova: bigint },
  to: { ioas: number; iova: bigint },
  length: bigint,
): IoasCopyRequest {
  return {
    flags: FIXED_READ_WRITE,
    srcIoasId: from.ioas,
    srcIova: from.iova,
    dstIoasId: to.ioas,
    dstIova: to.iova,
    length,
  };
}

export function copy(context: Context, ...args: Parameters<typeof copyRequest>): void {
  ioasCopy(context, copyRequest(...args));
}

export function unmap(context: Context, ioasId: number, iova: bigint, length: bigint): bigint {
  const request = { ioasId, iova, length };
  ioasUnmap(context, request);
  return request.length;
}

export function setHugePages(context: Context, objectId: number, on: boolean): void {
  option(context, {
    optionId: OptionId.HugePages,
    op: OptionOp.Set,
    reserved: 0,
    objectId,
    val64: on ? 1n : 0n,
  });
}

export function drop(context: Context, id: number): void {
  destroy(context, { id });
}

export function hwptRequest(
  devId: number,
  ptId: number,
  rest: Partial<HwptAllocRequest> = {},
): HwptAllocRequest {
  return {
    flags: 0,
    devId,
    ptId,
    outHwptId: 0,
    reserved: 0,
    dataType: 0,
    dataLen: 0,
    dataUptr: 0n,
    faultId: 0,
    reserved2: 0,
    ...rest,
  };
}

export function newHwpt(
  context: Context,
  devId: number,
  ptId: number,
  rest: Partial<HwptAllocRequest> = {},
): number {
  const request = hwptRequest(devId, ptId, rest);
  hwptAlloc(context, request);
  return request.outHwptId;
}

export function newFaultQueue(context: Context): { id: number; fd: number } {
  const request = { flags: 0, outFaultId: 0, outFaultFd: 0 };
  faultQueueAlloc(context, request);
  return { id: request.outFaultId, fd: request.outFaultFd };
}

/** A mock device of the selftest, attached to `ptId`. */
export function mockDomain(
  context: Context,
  ptId: number,
  devFlags = 0,
): { stdev: number; hwpt: number; idev: number } {
  const request = { id: ptId, devFlags, outStdevId: 0, outHwptId: 0, outIdevId: 0 };
  testCmd(context, TestOp.MockDomainFlags, request);
  return { stdev: request.outStdevId, hwpt: request.outHwptId, idev: request.outIdevId };
}
