/**
 * What the kernel's selftest program has around its cases: a process with a buffer, /dev/iommu open, and every call as
 * a function with just the arguments a case cares about. At the end everything must be given back.
 */

import { expect } from 'vitest';
import { PhysicalMemory } from '../../../src/iommu/physical-memory.ts';
import { answerOf, Bench } from '../../../src/iommu/testing.ts';
import type { Arena } from '../../../src/iommufd/arena.ts';
import { destroy } from '../../../src/iommufd/calls/destroy.ts';
import { faultQueueAlloc } from '../../../src/iommufd/calls/fault-queue-alloc.ts';
import { hwptAlloc } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { ioasAlloc } from '../../../src/iommufd/calls/ioas-alloc.ts';
import { ioasAllowIovas } from '../../../src/iommufd/calls/ioas-allow-iovas.ts';
import { ioasCopy } from '../../../src/iommufd/calls/ioas-copy.ts';
import { ioasIovaRanges } from '../../../src/iommufd/calls/ioas-iova-ranges.ts';
import { ioasMap } from '../../../src/iommufd/calls/ioas-map.ts';
import { ioasUnmap } from '../../../src/iommufd/calls/ioas-unmap.ts';
import { MapFlag } from '../../../src/iommufd/calls/map-flags.ts';
import { OptionId, OptionOp, option } from '../../../src/iommufd/calls/option.ts';
import type { Context } from '../../../src/iommufd/context.ts';
import { Iommufd } from '../../../src/iommufd/iommufd.ts';
import { FileTable } from '../../../src/iommufd/open-files.ts';
import { makeProcess, type Process } from '../../../src/iommufd/process.ts';
import { ProcessMemory } from '../../../src/iommufd/process-memory.ts';
import { TestCalls } from './test-calls.ts';

export const PAGE = 4096n;
export const MOCK_PAGE = 2048n;
export const HUGE_PAGE = 2n << 20n;
export const BUFFER_SIZE = 16n * PAGE;
export const APERTURE = { start: 1n << 24n, last: (1n << 31n) - 1n };
const READ_WRITE = MapFlag.Writeable | MapFlag.Readable;
/** First address of the buffer, as far from others as a process's heap is from its mappings. */
const BUFFER = 0x5555_5540_0000n;

export interface Range {
  start: bigint;
  last: bigint;
}

export interface HwptOptions {
  flags?: number;
  faultId?: number;
  /** As the driver wants it: a number for the type, and where and how long it is. */
  data?: { type: number; uptr: bigint; length: number };
}

/** The errno a call is refused with, or `ok`. */
export const errno = answerOf;

export class Program {
  readonly bench = new Bench();
  readonly physical = new PhysicalMemory();
  readonly memory = new ProcessMemory(this.physical, 'memory of the selftest');
  readonly files = new FileTable();
  readonly process: Process;
  readonly iommufd: Iommufd;
  readonly fd: Context;
  /** Sixteen pages that can be read and written, from a 2 MiB boundary on. */
  readonly buffer = BUFFER;
  readonly test: TestCalls;
  /** Space for bitmaps, ranges and the like. */
  readonly #scratch: Arena;
  #mapped = 0n;

  constructor(options: { vfio?: boolean } = {}) {
    this.process = makeProcess({ name: 'selftest', memory: this.memory, files: this.files });
    this.iommufd = new Iommufd({
      iommu: this.bench.iommu,
      physical: this.physical,
      selftest: this.bench.core,
    });
    this.memory.mmap(Number(BUFFER_SIZE / PAGE), { base: BUFFER, frames: 'scattered' });
    this.#scratch = this.mmap(64n * PAGE);
    this.fd = this.iommufd.open(this.process, options);
    this.test = new TestCalls(this.fd);
  }

  /** Where a case may put what calls read or write by pointer. */
  get scratch(): bigint {
    return this.#scratch.base;
  }

  /** `mmap` of memory that begins at a huge page; huge pages are contiguous, others are not. */
  mmap(bytes: bigint, huge = false): Arena {
    const base = 0x7f00_0000_0000n + this.#mapped;
    this.#mapped += (bytes / HUGE_PAGE + 2n) * HUGE_PAGE;
    const frames = huge ? 'contiguous' : 'scattered';
    return this.memory.mmap(Number(bytes / PAGE), { base, frames, align: huge ? 512 : 1 });
  }

  /** `teardown_iommufd`: the file is closed, then other descriptors; nothing may be pinned, owned or charged. */
  finish(): void {
    if (this.fd.isOpen) this.fd.close();
    this.files.closeAll();
    this.test.mdCheckRefs(this.buffer, BUFFER_SIZE, 0);
    this.iommufd.assertNothingLeft();
    expect(this.iommufd.selftest?.devices).toEqual([]);
  }

  destroy(id: number): void {
    destroy(this.fd, { id });
  }

  ioasAlloc(): number {
    const request = { flags: 0, outIoasId: 0 };
    ioasAlloc(this.fd, request);
    expect(request.outIoasId).not.toBe(0);
    return request.outIoasId;
  }

  /** Where there is room. */
  map(ioasId: number, userVa: bigint, length: bigint, flags: number = READ_WRITE): bigint {
    const request = { flags, ioasId, reserved: 0, userVa, length, iova: 0n };
    ioasMap(this.fd, request);
    return request.iova;
  }

  mapFixed(ioasId: number, userVa: bigint, length: bigint, iova: bigint): void {
    ioasMap(this.fd, { flags: READ_WRITE | MapFlag.FixedIova, ioasId, reserved: 0, userVa, length, iova });
  }

  /** @returns bytes unmapped */
  unmap(ioasId: number, iova: bigint, length: bigint): bigint {
    const request = { ioasId, iova, length };
    ioasUnmap(this.fd, request);
    return request.length;
  }

  copyFixed(
    from: { ioasId: number; iova: bigint },
    to: { ioasId: number; iova: bigint },
    length: bigint,
  ): void {
    ioasCopy(this.fd, {
      flags: MapFlag.FixedIova | MapFlag.Writeable,
      srcIoasId: from.ioasId,
      srcIova: from.iova,
      dstIoasId: to.ioasId,
      dstIova: to.iova,
      length,
    });
  }

  allow(ioasId: number, ...ranges: Range[]): void {
    for (const [at, { start, last }] of ranges.entries()) {
      this.#writeU64s(this.scratch + BigInt(16 * at), start, last);
    }
    ioasAllowIovas(this.fd, { ioasId, numIovas: ranges.length, reserved: 0, allowedIovas: this.scratch });
  }

  /**
   * @param room how many ranges fit
   * @returns what the call answers, how many ranges it says there are, and the first two places of the list
   */
  iovaRanges(
    ioasId: number,
    room: number,
  ): { answer: string; count: number; alignment: bigint; list: Range[] } {
    this.#writeU64s(this.scratch, 0n, 0n, 0n, 0n);
    const request = {
      ioasId,
      numIovas: room,
      reserved: 0,
      allowedIovas: this.scratch,
      outIovaAlignment: 0n,
    };
    const answer = errno(() => ioasIovaRanges(this.fd, request));
    const [a = 0n, b = 0n, c = 0n, d = 0n] = this.readU64s(this.scratch, 4);
    const list = [
      { start: a, last: b },
      { start: c, last: d },
    ];
    return { answer, count: request.numIovas, alignment: request.outIovaAlignment, list };
  }

  getOption(optionId: number, objectId = 0): bigint {
    const request = { optionId, op: OptionOp.Get, reserved: 0, objectId, val64: 3n };
    option(this.fd, request);
    return request.val64;
  }

  setOption(optionId: number, val64: bigint, objectId = 0): void {
    option(this.fd, { optionId, op: OptionOp.Set, reserved: 0, objectId, val64 });
  }

  getHugePages(ioasId: number): bigint {
    return this.getOption(OptionId.HugePages, ioasId);
  }

  setHugePages(ioasId: number, value: bigint): void {
    this.setOption(OptionId.HugePages, value, ioasId);
  }

  /** @returns id of the HWPT */
  hwptAlloc(devId: number, ptId: number, options: HwptOptions = {}): number {
    const { flags = 0, faultId = 0, data } = options;
    const request = {
      flags,
      devId,
      ptId,
      outHwptId: 0,
      reserved: 0,
      dataType: data?.type ?? 0,
      dataLen: data?.length ?? 0,
      dataUptr: data?.uptr ?? 0n,
      faultId,
      reserved2: 0,
    };
    hwptAlloc(this.fd, request);
    return request.outHwptId;
  }

  /** A queue for page faults and the descriptor to read it by. */
  faultAlloc(): { id: number; fd: number } {
    const request = { flags: 0, outFaultId: 0, outFaultFd: 0 };
    faultQueueAlloc(this.fd, request);
    return { id: request.outFaultId, fd: request.outFaultFd };
  }

  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.memory.read(address, bytes);
    return bytes;
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.memory.write(address, bytes);
  }

  writeU32s(address: bigint, ...values: number[]): void {
    this.memory.write(address, new Uint8Array(Uint32Array.from(values).buffer));
  }

  readU32s(address: bigint, count: number): number[] {
    return [...new Uint32Array(this.read(address, 4 * count).buffer)];
  }

  readU64s(address: bigint, count: number): bigint[] {
    return [...new BigUint64Array(this.read(address, 8 * count).buffer)];
  }

  #writeU64s(address: bigint, ...values: bigint[]): void {
    this.memory.write(address, new Uint8Array(BigUint64Array.from(values).buffer));
  }
}
