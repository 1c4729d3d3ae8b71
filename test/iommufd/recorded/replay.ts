/**
 * Calls on /dev/iommu as a recording writes them, made here: a letter, then numbers in hexadecimal (see the head of
 * test/fixtures/iommufd/devices-6.12.117.txt). Answers come in the same words as those of the kernel.
 */

import { destroy } from '../../../src/iommufd/calls/destroy.ts';
import { faultQueueAlloc } from '../../../src/iommufd/calls/fault-queue-alloc.ts';
import { type GetHwInfoRequest, getHwInfo } from '../../../src/iommufd/calls/get-hw-info.ts';
import { hwptAlloc } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { hwptGetDirtyBitmap } from '../../../src/iommufd/calls/hwpt-get-dirty-bitmap.ts';
import { hwptInvalidate } from '../../../src/iommufd/calls/hwpt-invalidate.ts';
import { hwptSetDirtyTracking } from '../../../src/iommufd/calls/hwpt-set-dirty-tracking.ts';
import { ioasAlloc } from '../../../src/iommufd/calls/ioas-alloc.ts';
import { ioasAllowIovas } from '../../../src/iommufd/calls/ioas-allow-iovas.ts';
import { ioasCopy } from '../../../src/iommufd/calls/ioas-copy.ts';
import { ioasIovaRanges } from '../../../src/iommufd/calls/ioas-iova-ranges.ts';
import { ioasMap } from '../../../src/iommufd/calls/ioas-map.ts';
import { ioasUnmap } from '../../../src/iommufd/calls/ioas-unmap.ts';
import { readRange, writeRange } from '../../../src/iommufd/calls/iova-range-bytes.ts';
import { option } from '../../../src/iommufd/calls/option.ts';
import { testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import { vfioIoas } from '../../../src/iommufd/calls/vfio-ioas.ts';
import type { Context } from '../../../src/iommufd/context.ts';
import { QueueFile } from '../../../src/iommufd/event-queue.ts';
import { FaultQueue, type HwptPageResponse } from '../../../src/iommufd/fault-queue.ts';
import { PAGE_BYTES } from '../../../src/iommufd/limits.ts';
import type { ProcessCapability } from '../../../src/iommufd/process.ts';
import { TestOp } from '../../../src/iommufd/selftest/numbers.ts';
import { IommufdBench } from '../../../src/iommufd/testing.ts';
import {
  vfioCheckExtension,
  vfioMapDma,
  vfioSetIommu,
  vfioUnmapDma,
} from '../../../src/iommufd/vfio/calls.ts';
import { IommuInfoCapability } from '../../../src/iommufd/vfio/constants.ts';
import { type VfioIommuInfoRequest, vfioIommuGetInfo } from '../../../src/iommufd/vfio/type1-info.ts';
import { ERRNO, KernelError } from '../../../src/kernel/errors.ts';

/** Memory of the recording program: pages to map, pages that are read-only, two huge pages, and a buffer. */
export const PAGES = { base: 0x7000_0000_0000n, pages: 64 };
export const READ_ONLY = { base: 0x7000_0010_0000n, pages: 8 };
export const HUGE = { base: 0x7000_0020_0000n, pages: 1024 };
export const BUFFER = { base: 0x6000_0000_0000n, pages: 64 };

/** As much of the buffer as is filled before a call and summed up after it. */
const FILLED = 65536;
const FAULT_BYTES = 40;
const ANSWER_BYTES = 8;

type Words = (number | bigint | string)[];

export class Replay {
  readonly base = new IommufdBench({ withSelftest: true, noiommu: true });
  context: Context = this.base.open();

  constructor() {
    for (const { base, pages } of [PAGES, BUFFER]) this.base.memory.mmap(pages, { base });
    this.base.memory.mmap(READ_ONLY.pages, { base: READ_ONLY.base, writable: false });
    this.base.memory.mmap(HUGE.pages, { base: HUGE.base, align: 512 });
  }

  /** @returns errno, and where the recording has them even then, the outputs */
  call(line: string): string {
    const args = line
      .slice(1)
      .split(' ')
      .filter((word) => word !== '')
      .map((word) => BigInt(`0x${word}`));
    const op = this.#ops[line[0]!];
    if (op === undefined) throw new Error(`no such call: ${line}`);
    const always: Words = [];
    try {
      const words = op(args, args.map(Number), always);
      return answer(0, [...always, ...words]);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return answer(ERRNO[error.code], always);
    }
  }

  /** Everything is closed; nothing may be left. */
  end(): void {
    this.base.files.closeAll();
    this.context.close();
    this.base.iommufd.assertNothingLeft();
  }

  /** By letter: the arguments as `bigint` and as `number`, and what is answered whatever comes of it. */
  readonly #ops: Record<string, (big: bigint[], num: number[], always: Words) => Words> = {
    A: (_, [flags = 0]) => {
      const request = { flags, outIoasId: 0 };
      ioasAlloc(this.context, request);
      return [request.outIoasId];
    },
    d: (_, [id = 0]) => {
      destroy(this.context, { id });
      return [];
    },
    m: ([, , userVa = 0n, length = 0n, iova = 0n], [flags = 0, ioasId = 0]) => {
      const request = { flags, ioasId, reserved: 0, userVa, length, iova };
      ioasMap(this.context, request);
      return [request.iova];
    },
    c: ([, , , length = 0n, dstIova = 0n, srcIova = 0n], [flags = 0, dstIoasId = 0, srcIoasId = 0]) => {
      const request = { flags, dstIoasId, srcIoasId, length, dstIova, srcIova };
      ioasCopy(this.context, request);
      return [request.dstIova];
    },
    u: ([, iova = 0n, length = 0n], [ioasId = 0]) => {
      const request = { ioasId, iova, length };
      ioasUnmap(this.context, request);
      return [request.length];
    },
    o: ([, , , val64 = 0n], [optionId = 0, op = 0, objectId = 0]) => {
      const request = { optionId, op, reserved: 0, objectId, val64 };
      option(this.context, request);
      return [request.val64];
    },
    H: (
      big,
      [flags = 0, devId = 0, ptId = 0, reserved = 0, dataType = 0, dataLen = 0, , , faultId = 0, r2 = 0],
    ) => {
      const [dataUptr = 0n, data = 0n] = big.slice(6);
      this.#fill(new Uint8Array(4096));
      this.#fill(new Uint8Array(new BigUint64Array([data]).buffer));
      const request = {
        ...{ flags, devId, ptId, outHwptId: 0, reserved, dataType, dataLen, dataUptr },
        ...{ faultId, reserved2: r2 },
      };
      hwptAlloc(this.context, request);
      return [request.outHwptId];
    },
    I: ([, , , dataUptr = 0n], [flags = 0, devId = 0, dataLen = 0], always) => {
      this.#fill(new Uint8Array(4096).fill(0xaa));
      const request: GetHwInfoRequest = {
        ...{ flags, devId, dataLen, dataUptr, outDataType: 0, outMaxPasidLog2: 0 },
        ...{ reserved: [0, 0, 0], outCapabilities: 0n },
      };
      try {
        getHwInfo(this.context, request);
      } finally {
        const written = this.#view(16);
        always.push(written.getBigUint64(0, true), written.getBigUint64(8, true));
      }
      const { dataLen: length, outDataType, outMaxPasidLog2, outCapabilities } = request;
      return [length, outDataType, outMaxPasidLog2, outCapabilities];
    },
    S: (_, [flags = 0, hwptId = 0]) => {
      hwptSetDirtyTracking(this.context, { flags, hwptId, reserved: 0 });
      return [];
    },
    G: ([, , iova = 0n, length = 0n, pageSize = 0n, data = 0n], [flags = 0, hwptId = 0], always) => {
      this.#fill(new Uint8Array(FILLED));
      try {
        hwptGetDirtyBitmap(this.context, { hwptId, flags, reserved: 0, iova, length, pageSize, data });
      } finally {
        always.push(this.#sum());
      }
      return [];
    },
    D: ([, iova = 0n, length = 0n, pageSize = 0n, uptr = 0n, bits = 0n], [id = 0]) => {
      this.#fill(new Uint8Array(new BigUint64Array(FILLED / 8).fill(bits).buffer));
      const request = { id, flags: 0, iova, length, pageSize, uptr, outNrDirty: 0n };
      testCmd(this.context, TestOp.Dirty, request);
      return [request.outNrDirty];
    },
    N: ([, dataUptr = 0n], num, always) => {
      const [hwptId = 0, , dataType = 0, entryLen = 0, entryNum = 0, reserved = 0, ...entries] = num;
      this.#fill(new Uint8Array(4096));
      for (let at = 0; at + 1 < entries.length; at += 2) {
        const bytes = new Uint8Array(new Uint32Array(entries.slice(at, at + 2)).buffer);
        this.base.memory.write(BUFFER.base + BigInt((entryLen * at) / 2), bytes);
      }
      const request = { hwptId, dataUptr, dataType, entryLen, entryNum, reserved };
      try {
        hwptInvalidate(this.context, request);
      } finally {
        always.push(request.entryNum);
      }
      return [];
    },
    L: (_, [id = 0, entry = 0, iotlb = 0]) => {
      testCmd(this.context, TestOp.MdCheckIotlb, { id, entry, iotlb });
      return [];
    },
    F: (_, [flags = 0]) => {
      const request = { flags, outFaultId: 0, outFaultFd: 0 };
      faultQueueAlloc(this.context, request);
      return [request.outFaultId, request.outFaultFd];
    },
    T: ([, , , , addr = 0n], [devId = 0, pasid = 0, grpid = 0, perm = 0]) => {
      testCmd(this.context, TestOp.TriggerIopf, { devId, pasid, grpid, perm, addr });
      return [];
    },
    r: (_, [fd = 0, room = 0]) => {
      const faults = this.#queue(fd).readFaults(room);
      const words = faults.map(({ flags, devId, pasid, grpid, perm, addr, length, cookie }) =>
        [flags, devId, pasid, grpid, perm, addr, length, cookie].map((word) => word.toString(16)).join(':'),
      );
      return [faults.length * FAULT_BYTES, ...words];
    },
    w: (_, [fd = 0, ...words]) => {
      const answers: HwptPageResponse[] = [];
      for (let at = 0; at + 1 < words.length; at += 2)
        answers.push({ cookie: words[at]!, code: words[at + 1]! });
      return [this.#queue(fd).writeResponses(answers) * ANSWER_BYTES];
    },
    p: (_, [fd = 0]) => {
      const { readable, writable } = this.#queue(fd).poll();
      return [(readable ? 1 : 0) | (writable ? 4 : 0)];
    },
    x: (_, [fd = 0]) => {
      this.base.files.close(fd);
      return [];
    },
    M: (_, [id = 0, devFlags = 0]) => {
      const request = { id, devFlags, outStdevId: 0, outHwptId: 0, outIdevId: 0 };
      testCmd(this.context, TestOp.MockDomainFlags, request);
      return [request.outStdevId, request.outHwptId, request.outIdevId];
    },
    P: (_, [id = 0, ptId = 0]) => {
      const request = { id, ptId };
      testCmd(this.context, TestOp.MockDomainReplace, request);
      return [request.ptId];
    },
    C: (_, [id = 0, flags = 0]) => {
      const request = { id, flags, outAccessFd: 0 };
      testCmd(this.context, TestOp.CreateAccess, request);
      return [request.outAccessFd];
    },
    R: (_, [id = 0, ioasId = 0]) => {
      testCmd(this.context, TestOp.AccessReplaceIoas, { id, ioasId });
      return [];
    },
    V: (_, [id = 0, accessPagesId = 0]) => {
      testCmd(this.context, TestOp.DestroyAccessPages, { id, accessPagesId });
      return [];
    },
    g: ([, , iova = 0n, length = 0n, uptr = 0n], [id = 0, flags = 0]) => {
      const request = { id, flags, outAccessPagesId: 0, iova, length, uptr };
      testCmd(this.context, TestOp.AccessPages, request);
      return [request.outAccessPagesId];
    },
    W: ([, , iova = 0n, length = 0n, uptr = 0n], [id = 0, flags = 0, , , , seed = 0], always) => {
      this.#fill(Uint8Array.from({ length: FILLED }, (_, at) => seed + at * 7));
      try {
        testCmd(this.context, TestOp.AccessRw, { id, iova, length, uptr, flags });
      } finally {
        always.push(this.#sum());
      }
      return [];
    },
    k: ([, iova = 0n, length = 0n, uptr = 0n], [id = 0]) => {
      testCmd(this.context, TestOp.MdCheckMap, { id, iova, length, uptr });
      return [];
    },
    K: ([uptr = 0n, length = 0n], [, , refs = 0]) => {
      testCmd(this.context, TestOp.MdCheckRefs, { length, uptr, refs });
      return [];
    },
    i: (_, [ioasId = 0, numIovas = 0], always) => {
      const request = {
        ...{ ioasId, numIovas, reserved: 0 },
        allowedIovas: BUFFER.base,
        outIovaAlignment: 0n,
      };
      this.#fill(new Uint8Array(4096));
      try {
        ioasIovaRanges(this.context, request);
      } finally {
        always.push(request.numIovas, request.outIovaAlignment);
        for (let at = 0; at < Math.min(request.numIovas, numIovas); at++) {
          const { start, last } = readRange(this.base.memory, BUFFER.base, at);
          always.push(`${hex(start)}-${hex(last)}`);
        }
      }
      return [];
    },
    a: ([, ...ends], [ioasId = 0]) => {
      const numIovas = ends.length >> 1;
      for (let at = 0; at < numIovas; at++) {
        writeRange(this.base.memory, BUFFER.base, at, { start: ends[2 * at]!, last: ends[2 * at + 1]! });
      }
      ioasAllowIovas(this.context, { ioasId, numIovas, reserved: 0, allowedIovas: BUFFER.base });
      return [];
    },
    E: ([, start = 0n, length = 0n], [id = 0]) => {
      testCmd(this.context, TestOp.AddReserved, { id, start, length });
      return [];
    },
    v: (_, [op = 0, ioasId = 0]) => {
      const request = { ioasId, op, reserved: 0 };
      vfioIoas(this.context, request);
      return [request.ioasId];
    },
    y: (_, [type = 0]) => [vfioCheckExtension(this.context, type)],
    Y: (_, [type = 0]) => {
      vfioSetIommu(this.context, type);
      return [];
    },
    j: ([, , vaddr = 0n, iova = 0n, size = 0n], [argsz = 0, flags = 0]) => {
      vfioMapDma(this.context, { argsz, flags, vaddr, iova, size });
      return [];
    },
    b: ([, , iova = 0n, size = 0n], [argsz = 0, flags = 0], always) => {
      const request = { argsz, flags, iova, size };
      try {
        vfioUnmapDma(this.context, request);
      } finally {
        always.push(request.size);
      }
      return [];
    },
    q: (_, [argsz = 0]) => {
      const request: VfioIommuInfoRequest = { argsz, flags: 0, iovaPgsizes: 0n, capOffset: 0 };
      vfioIommuGetInfo(this.context, request);
      const words: Words = [
        request.argsz,
        request.flags,
        request.iovaPgsizes,
        argsz < 20 ? 0 : request.capOffset,
      ];
      for (const cap of argsz >= 20 && request.capOffset > 0 ? (request.caps ?? []) : []) {
        if (cap.id === IommuInfoCapability.DmaAvail) words.push(`${hex(cap.id)}:${hex(cap.avail)}`);
        else {
          const ranges = cap.iovaRanges.map(({ start, end }) => `:${hex(start)}-${hex(end)}`);
          words.push(`${hex(cap.id)}:${hex(cap.nrIovas)}${ranges.join('')}`);
        }
      }
      return words;
    },
    B: (_, [limit = 0]) => {
      testCmd(this.context, TestOp.SetTempMemoryLimit, { limit });
      return [];
    },
    l: (_, [locksAll = 0, limit = 0]) => {
      const { process } = this.base;
      const capabilities = process.capabilities as Set<ProcessCapability>;
      if (locksAll === 0) capabilities.delete('CAP_IPC_LOCK');
      else capabilities.add('CAP_IPC_LOCK');
      process.memlockLimit = BigInt(limit) * PAGE_BYTES;
      return [];
    },
    Z: () => {
      this.end();
      this.context = this.base.open();
      return [];
    },
  };

  #fill(bytes: Uint8Array): void {
    this.base.memory.write(BUFFER.base, bytes);
  }

  #view(length: number): DataView {
    const bytes = new Uint8Array(length);
    this.base.memory.read(BUFFER.base, bytes);
    return new DataView(bytes.buffer);
  }

  /** FNV-1a of what is in the buffer. */
  #sum(): number {
    const bytes = new Uint8Array(FILLED);
    this.base.memory.read(BUFFER.base, bytes);
    let sum = 0x811c9dc5;
    for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193);
    return sum >>> 0;
  }

  #queue(fd: number): FaultQueue {
    const file = this.base.files.find(fd);
    if (file instanceof QueueFile && file.queue instanceof FaultQueue) return file.queue;
    throw new KernelError('EBADF', `descriptor ${fd}`, 'is no fault queue');
  }
}

function answer(errno: number, words: Words): string {
  return [errno, ...words.map((word) => (typeof word === 'string' ? word : hex(word)))].join(' ');
}

function hex(value: number | bigint): string {
  return value.toString(16);
}
