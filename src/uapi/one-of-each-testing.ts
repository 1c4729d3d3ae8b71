/** For tests over all calls: a program that has one of every object, and for every call a request that is served. */

import type { TestRequests } from '../iommufd/calls/test-cmd.ts';
import { MemoryFile } from '../iommufd/memory-file.ts';
import {
  HW_QUEUE_TYPE_SELFTEST,
  HWPT_DATA_SELFTEST,
  INVALIDATE_DATA_SELFTEST,
  TestOp,
  VEVENTQ_TYPE_SELFTEST,
  VIOMMU_TYPE_SELFTEST,
} from '../iommufd/selftest/numbers.ts';
import * as structs from './iommufd-structs.ts';
import type { Struct } from './struct.ts';
import { DoorBench, type Program } from './testing.ts';

export const PAGE = 4096n;
/** Where the first page of `memoryFile` is mapped, within what mock devices can reach. */
export const MAPPED = 0x200_0000n;
const READ_WRITE = 6;
const FIXED = 1;
/** MOCK_FLAGS_DEVICE_PASID. */
const WITH_PASID = 4;

export class OneOfEach {
  readonly bench: DoorBench;
  readonly program: Program;
  readonly fd: number;
  readonly ioas: number;
  readonly stdev: number;
  readonly device: number;
  readonly hwpt: number;
  readonly parent: number;
  readonly nested: number;
  readonly viommu: number;
  readonly vdevice: number;
  readonly access: number;
  /** Sixteen pages. */
  readonly data: bigint;
  readonly memoryFile: number;

  constructor(bench: DoorBench = new DoorBench(), program: Program = bench.program()) {
    this.bench = bench;
    this.program = program;
    this.fd = program.open('iommu');
    this.data = program.memory.mmap(16, { name: 'data' }).base;
    this.memoryFile = program.openOther(new MemoryFile(bench.physical, { size: 0x1_0000 }));
    this.ioas = this.#call(0x81, structs.IOAS_ALLOC, {}).outIoasId;
    const domain = this.#test(TestOp.MockDomainFlags, { id: this.ioas, devFlags: WITH_PASID });
    this.stdev = domain.outStdevId;
    this.device = domain.outIdevId;
    this.hwpt = this.#call(0x89, structs.HWPT_ALLOC, {
      devId: this.device,
      ptId: this.ioas,
      flags: 2,
    }).outHwptId;
    this.parent = this.#call(0x89, structs.HWPT_ALLOC, {
      devId: this.device,
      ptId: this.ioas,
      flags: 1,
    }).outHwptId;
    this.nested = this.#call(0x89, structs.HWPT_ALLOC, this.nestedRequest()).outHwptId;
    this.viommu = this.#call(0x90, structs.VIOMMU_ALLOC, this.viommuRequest()).outViommuId;
    const vdevice = { viommuId: this.viommu, devId: this.device, virtId: 7n };
    this.vdevice = this.#call(0x91, structs.VDEVICE_ALLOC, vdevice).outVdeviceId;
    this.access = this.#test(TestOp.CreateAccess, { id: this.ioas, flags: 1 }).outAccessFd;
    // Of a file, since IOAS_CHANGE_PROCESS allows nothing else.
    const { flags, ioasId, length } = this.mapRequest();
    this.#call(0x8f, structs.IOAS_MAP_FILE, { flags, ioasId, length, fd: this.memoryFile, iova: MAPPED });
  }

  mapRequest() {
    return {
      flags: READ_WRITE | FIXED,
      ioasId: this.ioas,
      userVa: this.data,
      length: PAGE,
      iova: MAPPED + PAGE,
    };
  }

  nestedRequest() {
    const dataUptr = this.program.place(new Uint8Array(4));
    return { devId: this.device, ptId: this.parent, dataType: HWPT_DATA_SELFTEST, dataLen: 4, dataUptr };
  }

  viommuRequest() {
    return { type: VIOMMU_TYPE_SELFTEST, devId: this.device, hwptId: this.parent };
  }

  /** For each ioctl of /dev/iommu, fields that it serves. */
  requests(): Record<string, object> {
    const { ioas, device, program, viommu, hwpt, nested } = this;
    const buffer = program.place(new Uint8Array(64));
    const fresh = this.#call(0x81, structs.IOAS_ALLOC, {}).outIoasId;
    return {
      IOMMU_DESTROY: { id: fresh },
      IOMMU_IOAS_ALLOC: {},
      IOMMU_IOAS_ALLOW_IOVAS: { ioasId: ioas },
      IOMMU_IOAS_COPY: {
        flags: READ_WRITE,
        dstIoasId: ioas,
        srcIoasId: ioas,
        length: PAGE,
        srcIova: MAPPED,
      },
      IOMMU_IOAS_IOVA_RANGES: { ioasId: ioas, numIovas: 4, allowedIovas: buffer },
      IOMMU_IOAS_MAP: this.mapRequest(),
      IOMMU_IOAS_UNMAP: { ioasId: ioas, iova: MAPPED, length: PAGE },
      IOMMU_OPTION: { optionId: 1, op: 1, objectId: ioas },
      IOMMU_VFIO_IOAS: { op: 1, ioasId: ioas },
      IOMMU_HWPT_ALLOC: this.nestedRequest(),
      IOMMU_GET_HW_INFO: { devId: device, dataLen: 8, dataUptr: buffer },
      IOMMU_HWPT_SET_DIRTY_TRACKING: { flags: 1, hwptId: hwpt },
      IOMMU_HWPT_GET_DIRTY_BITMAP: {
        hwptId: hwpt,
        iova: MAPPED,
        length: PAGE,
        pageSize: PAGE,
        data: buffer,
      },
      IOMMU_HWPT_INVALIDATE: {
        hwptId: nested,
        dataType: INVALIDATE_DATA_SELFTEST,
        entryLen: 8,
        entryNum: 1,
        dataUptr: buffer,
      },
      IOMMU_FAULT_QUEUE_ALLOC: {},
      IOMMU_IOAS_MAP_FILE: {
        flags: READ_WRITE,
        ioasId: ioas,
        fd: this.memoryFile,
        length: PAGE,
      },
      IOMMU_VIOMMU_ALLOC: this.viommuRequest(),
      IOMMU_VDEVICE_ALLOC: { viommuId: this.#secondViommu(), devId: this.#secondDevice(), virtId: 8n },
      IOMMU_IOAS_CHANGE_PROCESS: {},
      IOMMU_VEVENTQ_ALLOC: { viommuId: viommu, type: VEVENTQ_TYPE_SELFTEST, veventqDepth: 2 },
      IOMMU_HW_QUEUE_ALLOC: {
        viommuId: viommu,
        type: HW_QUEUE_TYPE_SELFTEST,
        nestingParentIova: MAPPED,
        length: PAGE,
      },
      IOMMU_TEST_CMD: { id: ioas, start: 0x1000n, length: 0x1000n },
    };
  }

  /** Ends the program, and asks whether anything is left. */
  end(): void {
    this.program.exit();
    this.bench.iommufd.assertNothingLeft();
  }

  #secondDevice(): number {
    return this.#test(TestOp.MockDomain, { id: this.ioas }).outIdevId;
  }

  #secondViommu(): number {
    return this.#call(0x90, structs.VIOMMU_ALLOC, this.viommuRequest()).outViommuId;
  }

  #call<R>(nr: number, struct: Struct<R>, fields: Partial<R>): R {
    return this.program.call(this.fd, nr, struct, fields);
  }

  #test<Op extends keyof TestRequests>(op: Op, fields: Partial<TestRequests[Op]>): TestRequests[Op] {
    return this.program.test(this.fd, op, fields);
  }
}
