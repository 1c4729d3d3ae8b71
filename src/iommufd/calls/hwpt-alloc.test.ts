/** iommufd.md 4: the checks of HWPT_ALLOC in their order, and what the tables are good for. */

import { describe, expect, test } from 'vitest';
import { MOCK_NESTED_DATA, type MockNestedDomain } from '../../iommu/drivers/mock-user-domains.ts';
import { answerOf } from '../../iommu/testing.ts';
import { DeviceBench, type DeviceBenchOptions, hwptRequest } from '../device-testing.ts';
import type { HwptNested } from '../hwpt-nested.ts';
import { destroy } from './destroy.ts';
import { faultQueueAlloc } from './fault-queue-alloc.ts';
import { HwptAllocFlag, hwptAlloc } from './hwpt-alloc.ts';

const { NestParent, DirtyTracking, FaultIdValid, Pasid } = HwptAllocFlag;

function stage(options: DeviceBenchOptions = {}) {
  const bench = new DeviceBench(['Ga', 'Gb'], {
    capabilities: ['cache-coherency', 'dirty-tracking'],
    maxPasids: () => 8,
    ...options,
  });
  const device = bench.bind('Ga');
  const ioas = bench.ioas();
  const answer = (pt: { id: number }, request: Parameters<typeof hwptRequest>[2] = {}, on = device) =>
    answerOf(() => hwptAlloc(bench.context, hwptRequest(on, pt, request)));
  /** Data for a nested table that adds `offset` to every address. */
  const data = (offset: bigint) => {
    const arena = bench.base.memory.mmap(1);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, offset, true);
    bench.base.memory.write(arena.base, bytes);
    return { dataType: MOCK_NESTED_DATA, dataLen: 8, dataUptr: arena.base };
  };
  return { bench, device, ioas, answer, data };
}

describe('check order', () => {
  test('reserved, then data type and length, then the device, then the target', () => {
    const { answer, ioas } = stage();
    const nothing = { id: 9999 };
    expect(answer(nothing, { reserved: 1, dataLen: 8, devId: 9999 })).toBe('EOPNOTSUPP');
    expect(answer(nothing, { dataLen: 8, devId: 9999 })).toBe('EINVAL');
    expect(answer(nothing, { dataType: 1, devId: 9999 })).toBe('EINVAL');
    expect(answer(nothing, { devId: 9999 })).toBe('ENOENT');
    expect(answer(ioas, { devId: ioas.id })).toBe('ENOENT');
  });

  test('a target that is missing or of another kind is EINVAL, not ENOENT', () => {
    const { answer, device } = stage();
    expect(answer({ id: 9999 })).toBe('EINVAL');
    expect(answer(device)).toBe('EINVAL');
  });

  test('reserved2 is not checked', () => {
    const { answer, ioas } = stage();
    expect(answer(ioas, { reserved2: 1 })).toBe('ok');
  });
});

describe('on an IOAS', () => {
  test('a fault queue is refused in 6.12, and so are unknown flags', () => {
    const { answer, ioas } = stage();
    for (const flags of [FaultIdValid, FaultIdValid | NestParent, 16, 0x8000_0000]) {
      expect(answer(ioas, { flags })).toBe('EOPNOTSUPP');
    }
    for (const flags of [0, NestParent, DirtyTracking, NestParent | DirtyTracking, Pasid]) {
      expect(answer(ioas, { flags })).toBe('ok');
    }
  });

  test('flags and data need a driver that knows user domains; without any, any driver will do', () => {
    const { answer, ioas, data } = stage({ userDomains: undefined } as unknown as DeviceBenchOptions);
    expect(answer(ioas)).toBe('ok');
    expect(answer(ioas, { flags: NestParent })).toBe('EOPNOTSUPP');
    expect(answer(ioas, data(0n))).toBe('EOPNOTSUPP');
  });

  test('dirty tracking needs the capability, PASIDs a device that has some', () => {
    const { answer, ioas } = stage({ capabilities: ['cache-coherency'], maxPasids: () => 0 });
    expect(answer(ioas, { flags: DirtyTracking })).toBe('EOPNOTSUPP');
    expect(answer(ioas, { flags: Pasid })).toBe('EOPNOTSUPP');
  });

  test('everything that is mapped is in the new table, and what is mapped later too', () => {
    const { bench, device, ioas } = stage();
    bench.map(ioas, 0x1000n, 2);
    const hwpt = bench.hwpt(device, ioas);
    expect(hwpt.domain.holes(0x1000n, 0x2fffn)).toEqual([]);
    bench.map(ioas, 0x8000n);
    expect(hwpt.domain.iovaToPhys(0x8000n)).toBeDefined();
    expect(ioas.users).toBe(2);
    destroy(bench.context, { id: hwpt.id });
    expect(ioas.users).toBe(1);
    expect(bench.driver.live.has(hwpt.domain)).toBe(false);
  });

  test('a table cannot be destroyed while a device is attached', () => {
    const { bench, device, ioas } = stage();
    const hwpt = bench.hwpt(device, ioas);
    device.attach(hwpt.id);
    expect(answerOf(() => destroy(bench.context, { id: hwpt.id }))).toBe('EBUSY');
    expect(answerOf(() => destroy(bench.context, { id: ioas.id }))).toBe('EBUSY');
    device.detach();
    destroy(bench.context, { id: hwpt.id });
    device.unbind();
    bench.end();
  });

  test('the id is written only on success', () => {
    const { bench, device } = stage();
    const request = hwptRequest(device, { id: 9999 }, { outHwptId: 77 });
    expect(answerOf(() => hwptAlloc(bench.context, request))).toBe('EINVAL');
    expect(request.outHwptId).toBe(77);
  });
});

describe('on a parent', () => {
  test('no data, or other flags than a fault queue and PASIDs: EOPNOTSUPP', () => {
    const { bench, device, ioas, answer, data } = stage();
    const parent = bench.hwpt(device, ioas, { flags: NestParent });
    expect(answer(parent)).toBe('EOPNOTSUPP');
    expect(answer(parent, { flags: NestParent, ...data(0n) })).toBe('EOPNOTSUPP');
    expect(answer(parent, { flags: DirtyTracking, ...data(0n) })).toBe('EOPNOTSUPP');
    expect(answer(parent, data(0n))).toBe('ok');
  });

  test('the parent was not made as one, or is automatic: EINVAL', () => {
    const { bench, device, ioas, answer, data } = stage();
    expect(answer(bench.hwpt(device, ioas), data(0n))).toBe('EINVAL');
    const auto = device.attach(ioas.id);
    expect(answer({ id: auto }, data(0n))).toBe('EINVAL');
  });

  test('a nested table cannot be a parent', () => {
    const { bench, device, ioas, answer, data } = stage();
    const parent = bench.hwpt(device, ioas, { flags: NestParent });
    const nested = bench.hwpt<HwptNested>(device, parent, data(0n));
    expect(answer(nested, data(0n))).toBe('EINVAL');
  });

  test('user data that is not there is EFAULT, and nothing is left', () => {
    const { bench, device, ioas, answer } = stage();
    const parent = bench.hwpt(device, ioas, { flags: NestParent });
    const before = bench.picture();
    expect(answer(parent, { dataType: MOCK_NESTED_DATA, dataLen: 8, dataUptr: 0x10n })).toBe('EFAULT');
    expect(bench.picture()).toEqual(before);
  });

  test('the parent is in use; DMA goes through both tables; reserved regions are those of the parent', () => {
    const { bench, device, ioas, data } = stage();
    const parent = bench.hwpt(device, ioas, { flags: NestParent });
    const arena = bench.map(ioas, 0x5000n);
    const nested = bench.hwpt<HwptNested>(device, parent, data(0x1000n));
    expect((nested.domain as MockNestedDomain).offset).toBe(0x1000n);
    expect(parent.users).toBe(2);
    expect(answerOf(() => destroy(bench.context, { id: parent.id }))).toBe('EBUSY');
    device.attach(nested.id);
    device.dma.write(0x4000n, Uint8Array.of(9));
    expect([...arena.bytes(arena.base, 1)]).toEqual([9]);
    expect(() => device.dma.write(0x5000n, Uint8Array.of(9))).toThrow(/nothing is mapped/);
    device.detach();
    destroy(bench.context, { id: nested.id });
    expect(parent.users).toBe(1);
  });

  test('a fault queue that is not there: ENOENT, and the table is taken back', () => {
    const { bench, device, ioas, answer, data } = stage();
    const parent = bench.hwpt(device, ioas, { flags: NestParent });
    const before = bench.picture();
    const flagged = { flags: FaultIdValid, ...data(0n) };
    expect(answer(parent, { ...flagged, faultId: 9999 })).toBe('ENOENT');
    expect(answer(parent, { ...flagged, faultId: ioas.id })).toBe('ENOENT');
    expect(bench.picture()).toEqual(before);
  });

  test('a fault queue is in use by the table', () => {
    const { bench, device, ioas, data } = stage();
    const parent = bench.hwpt(device, ioas, { flags: NestParent });
    const queue = { flags: 0, outFaultId: 0, outFaultFd: 0 };
    faultQueueAlloc(bench.context, queue);
    bench.base.files.close(queue.outFaultFd);
    const faultId = queue.outFaultId;
    const nested = bench.hwpt(device, parent, { flags: FaultIdValid, faultId, ...data(0n) });
    expect(answerOf(() => destroy(bench.context, { id: faultId }))).toBe('EBUSY');
    destroy(bench.context, { id: nested.id });
    destroy(bench.context, { id: faultId });
    destroy(bench.context, { id: parent.id });
    device.unbind();
    bench.end();
  });
});
