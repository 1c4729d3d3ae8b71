/** What newer kernels' selftests ask: PASIDs, slices of the IOMMU for guests, their events and queues (facts iommufd.md 7). */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hwQueueAlloc } from '../../../src/iommufd/calls/hw-queue-alloc.ts';
import { HwptAllocFlag } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { hwptInvalidate } from '../../../src/iommufd/calls/hwpt-invalidate.ts';
import { testCmd } from '../../../src/iommufd/calls/test-cmd.ts';
import { vdeviceAlloc } from '../../../src/iommufd/calls/vdevice-alloc.ts';
import { veventqAlloc } from '../../../src/iommufd/calls/veventq-alloc.ts';
import { viommuAlloc } from '../../../src/iommufd/calls/viommu-alloc.ts';
import type { QueueFile } from '../../../src/iommufd/event-queue.ts';
import {
  DeviceFlag,
  HW_QUEUE_TYPE_SELFTEST,
  HWPT_DATA_SELFTEST,
  INVALIDATE_ALL,
  INVALIDATE_DATA_SELFTEST,
  MOCK_CACHE_DEFAULT,
  MOCK_CACHE_ENTRIES,
  PASID_OF_FAKE_ERRORS,
  TestOp,
  VEVENTQ_TYPE_SELFTEST,
  VIOMMU_TYPE_SELFTEST,
} from '../../../src/iommufd/selftest/numbers.ts';
import type { Veventq } from '../../../src/iommufd/veventq.ts';
import { APERTURE, errno, PAGE, Program } from './program.ts';
import type { MockIds } from './test-calls.ts';

let program: Program;
let ioas: number;
let mock: MockIds;

beforeEach(() => {
  program = new Program();
  ioas = program.ioasAlloc();
  mock = program.test.mockDomainFlags(ioas, DeviceFlag.Pasid);
});

afterEach(() => program.finish());

describe('PASIDs of a mock device', () => {
  const PASID = 100;
  const attach = (pasid: number, ptId: number) =>
    testCmd(program.fd, TestOp.PasidAttach, { id: mock.stdev, pasid, ptId });
  const replace = (pasid: number, ptId: number) =>
    testCmd(program.fd, TestOp.PasidReplace, { id: mock.stdev, pasid, ptId });
  const detach = (pasid: number) => testCmd(program.fd, TestOp.PasidDetach, { id: mock.stdev, pasid });
  const check = (pasid: number, hwptId: number) =>
    testCmd(program.fd, TestOp.PasidCheckHwpt, { id: mock.stdev, pasid, hwptId });
  const forPasids = () => program.hwptAlloc(mock.idev, ioas, { flags: HwptAllocFlag.Pasid });

  /** The device's own table has to be made for PASIDs too. */
  function moveDevice(): number {
    return program.test.mockDomainReplace(mock.stdev, forPasids());
  }

  it('are attached, replaced and detached beside the device itself', () => {
    moveDevice();
    const [first, second] = [forPasids(), forPasids()];
    check(PASID, 0);
    attach(PASID, first);
    check(PASID, first);
    expect(errno(() => check(PASID, second))).toBe('EINVAL');
    expect(errno(() => program.destroy(first))).toBe('EBUSY');
    replace(PASID, second);
    check(PASID, second);
    program.destroy(first);
    detach(PASID);
    check(PASID, 0);
    expect(errno(() => detach(PASID))).toBe('EINVAL');
    expect(errno(() => replace(PASID, second))).toBe('EINVAL');
    program.destroy(second);
  });

  it('a replace that the driver refuses leaves the old table in place', () => {
    moveDevice();
    const [first, second] = [forPasids(), forPasids()];
    attach(PASID_OF_FAKE_ERRORS, first);
    expect(errno(() => replace(PASID_OF_FAKE_ERRORS, second))).toBe('ENOMEM');
    check(PASID_OF_FAKE_ERRORS, first);
    program.destroy(second);
    detach(PASID_OF_FAKE_ERRORS);
    program.destroy(first);
  });

  it('need a table made for them, and a device that has them', () => {
    moveDevice();
    const plain = program.hwptAlloc(mock.idev, ioas);
    expect(errno(() => attach(PASID, plain))).toBe('EINVAL');
    const without = program.test.mockDomain(ioas);
    const flags = HwptAllocFlag.Pasid;
    expect(errno(() => program.hwptAlloc(without.idev, ioas, { flags }))).toBe('EOPNOTSUPP');
  });

  it('that are attached when the device goes are detached with it', () => {
    moveDevice();
    const hwpt = forPasids();
    attach(PASID, hwpt);
    program.destroy(mock.stdev);
    program.destroy(hwpt);
  });
});

describe('a slice of the IOMMU for a guest', () => {
  const VIRT_ID = 0x99;

  function makeViommu(): { parent: number; viommu: number } {
    const parent = program.hwptAlloc(mock.idev, ioas, { flags: HwptAllocFlag.NestParent });
    const request = {
      flags: 0,
      type: VIOMMU_TYPE_SELFTEST,
      devId: mock.idev,
      hwptId: parent,
      outViommuId: 0,
      dataLen: 0,
      reserved: 0,
      dataUptr: 0n,
    };
    expect(errno(() => viommuAlloc(program.fd, { ...request, type: 1 }))).toBe('EOPNOTSUPP');
    expect(errno(() => viommuAlloc(program.fd, { ...request, hwptId: mock.hwpt }))).toBe('EINVAL');
    viommuAlloc(program.fd, request);
    return { parent, viommu: request.outViommuId };
  }

  function makeVdevice(viommuId: number): number {
    const request = { viommuId, devId: mock.idev, outVdeviceId: 0, virtId: BigInt(VIRT_ID) };
    vdeviceAlloc(program.fd, request);
    return request.outVdeviceId;
  }

  function makeNested(viommu: number): number {
    program.writeU32s(program.scratch, MOCK_CACHE_DEFAULT);
    const data = { type: HWPT_DATA_SELFTEST, uptr: program.scratch, length: 4 };
    return program.hwptAlloc(mock.idev, viommu, { data });
  }

  const checkCache = (wanted: number[]) =>
    wanted.forEach((cache, entry) => {
      testCmd(program.fd, TestOp.DevCheckCache, { id: mock.idev, entry, cache });
    });

  it('keeps its parent, and is kept by what is made from it', () => {
    const { parent, viommu } = makeViommu();
    expect(errno(() => program.destroy(parent))).toBe('EBUSY');
    const nested = makeNested(viommu);
    expect(errno(() => program.destroy(viommu))).toBe('EBUSY');
    expect(errno(() => program.test.mockDomainReplace(mock.stdev, nested))).toBe('ENOENT');
    const vdevice = makeVdevice(viommu);
    expect(errno(() => makeVdevice(viommu))).toBe('EEXIST');
    program.test.mockDomainReplace(mock.stdev, nested);
    program.test.mockDomainReplace(mock.stdev, ioas);
    program.destroy(nested);
    program.destroy(vdevice);
    program.destroy(viommu);
    program.destroy(parent);
  });

  it('invalidates the caches of devices that the guest names', () => {
    const { viommu } = makeViommu();
    makeVdevice(viommu);
    const all = Array.from({ length: MOCK_CACHE_ENTRIES }, () => MOCK_CACHE_DEFAULT);
    const dataUptr = program.scratch + 0x100n;
    const invalidate = (...entries: [flags: number, vdevId: number, entry: number][]) => {
      program.writeU32s(dataUptr, ...entries.flat());
      const request = {
        hwptId: viommu,
        dataUptr,
        dataType: INVALIDATE_DATA_SELFTEST,
        entryLen: 12,
        entryNum: entries.length,
        reserved: 0,
      };
      return [errno(() => hwptInvalidate(program.fd, request)), request.entryNum];
    };
    checkCache(all);
    expect(invalidate()).toEqual(['ok', 0]);
    expect(invalidate([0, VIRT_ID, MOCK_CACHE_ENTRIES])).toEqual(['EINVAL', 0]);
    expect(invalidate([2, VIRT_ID, 0])).toEqual(['EOPNOTSUPP', 0]);
    expect(invalidate([0, VIRT_ID, 0], [0, VIRT_ID + 1, 1])).toEqual(['EINVAL', 1]);
    checkCache([0, ...all.slice(1)]);
    expect(invalidate([0, VIRT_ID, 1], [0, VIRT_ID, 2])).toEqual(['ok', 2]);
    checkCache([0, 0, 0, MOCK_CACHE_DEFAULT]);
    expect(invalidate([INVALIDATE_ALL, VIRT_ID, 0])).toEqual(['ok', 1]);
    checkCache(all.map(() => 0));
  });

  it('reports events of a device that is attached to a guest table', () => {
    const { viommu } = makeViommu();
    makeVdevice(viommu);
    const request = {
      flags: 0,
      viommuId: viommu,
      type: VEVENTQ_TYPE_SELFTEST,
      veventqDepth: 2,
      outVeventqId: 0,
      outVeventqFd: 0,
      reserved: 0,
    };
    const trigger = () => testCmd(program.fd, TestOp.TriggerVevent, { devId: mock.idev });
    expect(errno(trigger)).toBe('ENOENT');
    program.test.mockDomainReplace(mock.stdev, makeNested(viommu));
    expect(errno(trigger)).toBe('EOPNOTSUPP');
    veventqAlloc(program.fd, request);
    const { queue } = program.files.find(request.outVeventqFd) as QueueFile<Veventq>;
    trigger();
    const events: { sequence: number; virtId: number }[] = [];
    queue.read(4096, (_, { sequence, data }) => events.push({ sequence, virtId: data[0] ?? 0 }));
    expect(events).toEqual([{ sequence: 0, virtId: VIRT_ID }]);
    expect(errno(() => program.destroy(request.outVeventqId))).toBe('EBUSY');
    program.files.close(request.outVeventqFd);
    program.destroy(request.outVeventqId);
  });

  it('has two hardware queues, taken in order, in memory that stays mapped', () => {
    const { viommu } = makeViommu();
    program.mapFixed(ioas, program.buffer, PAGE, APERTURE.start);
    const alloc = (index: number, type = HW_QUEUE_TYPE_SELFTEST) => {
      const request = {
        flags: 0,
        viommuId: viommu,
        type,
        index,
        outHwQueueId: 0,
        nestingParentIova: APERTURE.start,
        length: PAGE,
      };
      hwQueueAlloc(program.fd, request);
      return request.outHwQueueId;
    };
    expect(errno(() => alloc(0, 1))).toBe('EOPNOTSUPP');
    expect(errno(() => alloc(2))).toBe('EINVAL');
    expect(errno(() => alloc(1))).toBe('EIO');
    const first = alloc(0);
    expect(errno(() => alloc(0))).toBe('EEXIST');
    const second = alloc(1);
    expect(errno(() => program.unmap(ioas, APERTURE.start, PAGE))).not.toBe('ok');
    program.destroy(second);
    program.destroy(first);
    expect(program.unmap(ioas, APERTURE.start, PAGE)).toBe(PAGE);
  });
});
