/** Page tables with ids, guest tables and page faults; the kernel's `iommufd_ioas` cases about these. */

import { expect, it } from 'vitest';
import { DmaFault } from '../../../src/iommu/dma.ts';
import { HwptAllocFlag } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { type HwptInvalidateRequest, hwptInvalidate } from '../../../src/iommufd/calls/hwpt-invalidate.ts';
import type { IommufdDevice } from '../../../src/iommufd/device.ts';
import type { QueueFile } from '../../../src/iommufd/event-queue.ts';
import type { FaultQueue } from '../../../src/iommufd/fault-queue.ts';
import {
  HWPT_DATA_SELFTEST,
  INVALIDATE_ALL,
  INVALIDATE_DATA_SELFTEST,
  INVALIDATE_DATA_SELFTEST_INVALID,
  MOCK_CACHE_DEFAULT,
  MOCK_CACHE_ENTRIES,
} from '../../../src/iommufd/selftest/numbers.ts';
import { describeIoas, type IoasFixture } from './ioas-fixture.ts';
import { APERTURE, errno, PAGE, type Program } from './program.ts';
import type { MockIds } from './test-calls.ts';

const { NestParent, FaultIdValid } = HwptAllocFlag;
const ENTRY_BYTES = 8;
const ALL_DEFAULT = Array.from({ length: MOCK_CACHE_ENTRIES }, () => MOCK_CACHE_DEFAULT);
const ALL_ZERO = ALL_DEFAULT.map(() => 0);

/** Data of a guest table whose IOTLB is filled with the default, at the program's scratch space. */
function nestedData(program: Program) {
  program.writeU32s(program.scratch, MOCK_CACHE_DEFAULT);
  return { type: HWPT_DATA_SELFTEST, uptr: program.scratch, length: 4 };
}

function expectIotlb(program: Program, hwpt: number, wanted: number[]): void {
  for (const [entry, iotlb] of wanted.entries()) program.test.mdCheckIotlb(hwpt, entry, iotlb);
}

/** @returns the answer, and how many entries were dealt with */
function invalidate(
  program: Program,
  hwptId: number,
  entries: { flags: number; entry: number }[],
  wrong: Partial<HwptInvalidateRequest> = {},
): [string, number] {
  const dataUptr = program.scratch + 0x100n;
  program.writeU32s(dataUptr, ...entries.flatMap(({ flags, entry }) => [flags, entry]));
  const request = {
    hwptId,
    dataUptr,
    dataType: INVALIDATE_DATA_SELFTEST,
    entryLen: ENTRY_BYTES,
    entryNum: entries.length,
    reserved: 0,
    ...wrong,
  };
  const answer = errno(() => hwptInvalidate(program.fd, request));
  return [answer, request.entryNum];
}

/** Runs a case with a device; `parent` can be nested on. */
function withParent(
  fixture: IoasFixture,
  run: (program: Program, mock: MockIds, parent: number) => void,
): void {
  const { program, mock, ioas } = fixture;
  if (mock === undefined) return;
  run(program, mock, program.hwptAlloc(mock.idev, ioas, { flags: NestParent }));
}

describeIoas('page tables', (fixture) => {
  it('without a device there is nothing to make a page table for', () => {
    const { program, ioas, mock } = fixture();
    if (mock !== undefined) return;
    expect(errno(() => program.hwptAlloc(0, ioas))).toBe('ENOENT');
    expect(errno(() => program.hwptAlloc(0, 0, { data: nestedData(program) }))).toBe('ENOENT');
    expect(errno(() => program.test.mockDomainReplace(0, 0))).toBe('ENOENT');
  });

  it('a page table is made for a device from an address space, with flags it knows', () => {
    const { program, ioas, mock } = fixture();
    if (mock === undefined) return;
    expect(errno(() => program.hwptAlloc(ioas, mock.idev))).toBe('ENOENT');
    expect(errno(() => program.hwptAlloc(mock.idev, mock.idev))).toBe('EINVAL');
    const faults = { flags: NestParent | FaultIdValid };
    expect(errno(() => program.hwptAlloc(mock.idev, ioas, faults))).toBe('EOPNOTSUPP');
  });

  it('a guest table needs a parent made for it, and data of the driver', () => {
    withParent(fixture(), (program, mock, parent) => {
      const noParent = program.hwptAlloc(mock.idev, fixture().ioas);
      const data = nestedData(program);
      const answer = (ptId: number, wrong: Partial<typeof data>, flags = 0) =>
        errno(() => program.hwptAlloc(mock.idev, ptId, { flags, data: { ...data, ...wrong } }));
      expect(answer(parent, { type: 0 })).toBe('EINVAL');
      expect(answer(parent, { type: HWPT_DATA_SELFTEST + 1 })).toBe('EOPNOTSUPP');
      expect(answer(parent, { length: 3 })).toBe('EINVAL');
      expect(answer(parent, { uptr: 0n })).toBe('EFAULT');
      expect(answer(parent, {}, NestParent)).toBe('EOPNOTSUPP');
      expect(answer(noParent, {})).toBe('EINVAL');
      expect(answer(mock.hwpt, {})).toBe('EINVAL');
      expect(errno(() => program.hwptAlloc(mock.idev, parent, {}))).toBe('EOPNOTSUPP');
      program.destroy(parent);
      program.destroy(noParent);
    });
  });

  it('guest tables share a parent, which cannot go before them', () => {
    withParent(fixture(), (program, mock, parent) => {
      const data = nestedData(program);
      const first = program.hwptAlloc(mock.idev, parent, { data });
      const second = program.hwptAlloc(mock.idev, parent, { data });
      expectIotlb(program, first, ALL_DEFAULT);
      expectIotlb(program, second, ALL_DEFAULT);
      expect(errno(() => program.test.mdCheckIotlb(first, 0, 1))).toBe('EINVAL');
      expect(errno(() => program.test.mdCheckIotlb(first, MOCK_CACHE_ENTRIES, 0))).toBe('EINVAL');
      expect(errno(() => program.test.mdCheckIotlb(parent, 0, 0))).toBe('ENOENT');
      expect(errno(() => program.hwptAlloc(mock.idev, first, { data }))).toBe('EINVAL');
      expect(errno(() => program.destroy(parent))).toBe('EBUSY');
      program.destroy(first);
      program.destroy(second);
      program.destroy(parent);
    });
  });

  it('an invalidation counts the entries it dealt with, and refuses the first that is wrong', () => {
    withParent(fixture(), (program, mock, parent) => {
      const hwpt = program.hwptAlloc(mock.idev, parent, { data: nestedData(program) });
      const one = [{ flags: 0, entry: 0 }];
      const wrongFlag = { flags: 0xffff_ffff, entry: 1 };
      const wrongEntry = { flags: 0, entry: MOCK_CACHE_ENTRIES };
      expect(invalidate(program, parent, one)).toEqual(['ENOENT', 0]);
      expect(invalidate(program, hwpt, [])).toEqual(['ok', 0]);
      const dataType = INVALIDATE_DATA_SELFTEST_INVALID;
      expect(invalidate(program, hwpt, one, { dataType })).toEqual(['EINVAL', 0]);
      expect(invalidate(program, hwpt, [], { dataType })).toEqual(['EINVAL', 0]);
      for (const entryLen of [ENTRY_BYTES + 1, 1, 0]) {
        expect(invalidate(program, hwpt, one, { entryLen })).toEqual(['EINVAL', 0]);
      }
      expect(invalidate(program, hwpt, one, { dataUptr: 0n })).toEqual(['EINVAL', 0]);
      expect(invalidate(program, hwpt, [wrongFlag])).toEqual(['EOPNOTSUPP', 0]);
      expect(invalidate(program, hwpt, [wrongEntry])).toEqual(['EINVAL', 0]);
      expect(invalidate(program, hwpt, [{ ...wrongEntry, flags: INVALIDATE_ALL }])).toEqual(['EINVAL', 0]);
      expectIotlb(program, hwpt, ALL_DEFAULT);

      expect(invalidate(program, hwpt, [...one, wrongFlag])).toEqual(['EOPNOTSUPP', 1]);
      expectIotlb(program, hwpt, [0, ...ALL_DEFAULT.slice(1)]);
      expect(invalidate(program, hwpt, [...one, wrongEntry])).toEqual(['EINVAL', 1]);
      expectIotlb(program, hwpt, [0, ...ALL_DEFAULT.slice(1)]);
    });
  });

  it('an invalidation reaches one entry, several, or all of one guest table only', () => {
    withParent(fixture(), (program, mock, parent) => {
      const data = nestedData(program);
      const first = program.hwptAlloc(mock.idev, parent, { data });
      const second = program.hwptAlloc(mock.idev, parent, { data });
      const entry = (n: number) => ({ flags: 0, entry: n });
      expect(invalidate(program, first, [entry(1)])).toEqual(['ok', 1]);
      expectIotlb(program, first, [MOCK_CACHE_DEFAULT, 0, MOCK_CACHE_DEFAULT, MOCK_CACHE_DEFAULT]);
      expect(invalidate(program, first, [entry(0), entry(2), entry(3)])).toEqual(['ok', 3]);
      expectIotlb(program, first, ALL_ZERO);
      expectIotlb(program, second, ALL_DEFAULT);
      expect(invalidate(program, second, [{ flags: INVALIDATE_ALL, entry: 0 }])).toEqual(['ok', 1]);
      expectIotlb(program, second, ALL_ZERO);
    });
  });

  it('a device moves between guest tables, whose faults are read and answered, and back', () => {
    withParent(fixture(), (program, mock, parent) => {
      const { test } = program;
      const data = nestedData(program);
      const first = program.hwptAlloc(mock.idev, parent, { data });
      const second = program.hwptAlloc(mock.idev, parent, { data });
      const fault = program.faultAlloc();
      const withFaults = { flags: FaultIdValid, data };
      const allocWith = (faultId: number) => program.hwptAlloc(mock.idev, parent, { ...withFaults, faultId });
      expect(errno(() => allocWith(0xffff_ffff))).toBe('ENOENT');
      const iopf = allocWith(fault.id);

      test.mockDomainReplace(mock.stdev, first);
      expect(errno(() => program.destroy(first))).toBe('EBUSY');
      test.mockDomainReplace(mock.stdev, second);
      expect(errno(() => program.destroy(second))).toBe('EBUSY');
      program.destroy(first);
      test.mockDomainReplace(mock.stdev, iopf);
      expect(errno(() => program.destroy(iopf))).toBe('EBUSY');

      const { queue } = program.files.find(fault.fd) as QueueFile<FaultQueue>;
      expect(queue.poll()).toEqual({ readable: false, writable: true });
      test.triggerIopf(mock.idev);
      expect(queue.poll().readable).toBe(true);
      const [read, ...others] = queue.readFaults();
      expect(others).toEqual([]);
      expect(read).toMatchObject({
        flags: 3,
        devId: mock.idev,
        pasid: 1,
        grpid: 2,
        perm: 3,
        addr: 0xdead_beafn,
        length: 0,
      });
      expect(queue.writeResponses([{ cookie: read!.cookie, code: 0 }])).toBe(1);
      expect(queue.unanswered).toBe(0);

      test.mockDomainReplace(mock.stdev, parent);
      program.destroy(second);
      program.destroy(iopf);
      test.mockDomainReplace(mock.stdev, fixture().ioas);
      program.destroy(parent);
      expect(errno(() => program.destroy(fault.id))).toBe('EBUSY');
      program.files.close(fault.fd);
      program.destroy(fault.id);
    });
  });

  it('faults nobody answered are given back when the device moves away or nobody listens', () => {
    withParent(fixture(), (program, mock, parent) => {
      const { test } = program;
      const fault = program.faultAlloc();
      const options = { flags: FaultIdValid, faultId: fault.id, data: nestedData(program) };
      const iopf = program.hwptAlloc(mock.idev, parent, options);
      expect(errno(() => test.triggerIopf(mock.idev))).toBe('ok');
      test.mockDomainReplace(mock.stdev, iopf);
      const { queue } = program.files.find(fault.fd) as QueueFile<FaultQueue>;
      test.triggerIopf(mock.idev);
      test.triggerIopf(mock.idev);
      queue.readFaults(1);
      expect([queue.waiting, queue.unanswered]).toEqual([1, 1]);
      test.mockDomainReplace(mock.stdev, parent);
      expect([queue.waiting, queue.unanswered]).toEqual([0, 0]);
      expect(errno(() => test.triggerIopf(fixture().ioas))).toBe('ENOENT');
    });
  });

  it('DMA behind a guest table that is only a number goes through the parent', () => {
    withParent(fixture(), (program, mock, parent) => {
      program.mapFixed(fixture().ioas, program.buffer, PAGE, APERTURE.start);
      program.write(program.buffer, Uint8Array.of(1, 2, 3));
      const nested = program.hwptAlloc(mock.idev, parent, { data: nestedData(program) });
      program.test.mockDomainReplace(mock.stdev, nested);
      const { dma } = program.fd.objects.peek<IommufdDevice>(mock.idev, 'device')!;
      expect([...dma.read(APERTURE.start, 3)]).toEqual([1, 2, 3]);
      expect(() => dma.read(APERTURE.start + PAGE, 1)).toThrow(DmaFault);
    });
  });

  it('a second device is attached to a page table by its id', () => {
    const { program, mock } = fixture();
    if (mock === undefined) expect(errno(() => program.test.mockDomain(0))).toBe('ENOENT');
    else expect(program.test.mockDomain(mock.hwpt).hwpt).toBe(mock.hwpt);
  });
});
