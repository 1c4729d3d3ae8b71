/** iommufd.md 7: slices of an IOMMU for guests, their devices, events and queues. */

import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import type { DriverViommu, IommuDriver } from '../iommu/driver.ts';
import { MOCK_NESTED_DATA, MockNestedDomain } from '../iommu/drivers/mock-user-domains.ts';
import { answerOf } from '../iommu/testing.ts';
import { KernelError } from '../kernel/errors.ts';
import { destroy } from './calls/destroy.ts';
import { hwQueueAlloc } from './calls/hw-queue-alloc.ts';
import { hwptInvalidate } from './calls/hwpt-invalidate.ts';
import { ioasUnmap } from './calls/ioas-unmap.ts';
import { vdeviceAlloc } from './calls/vdevice-alloc.ts';
import { veventqAlloc } from './calls/veventq-alloc.ts';
import { viommuAlloc } from './calls/viommu-alloc.ts';
import { DeviceBench } from './device-testing.ts';
import type { HwptNested } from './hwpt-nested.ts';
import { everyStepFails } from './testing.ts';
import type { Veventq } from './veventq.ts';
import type { Viommu } from './viommu.ts';

function stage() {
  const bench = new DeviceBench(['Ga', 'Gb']);
  const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
  const ioas = bench.ioas();
  const parent = bench.hwpt(ga, ioas, { flags: 1 });
  const log: string[] = [];
  const ops = { attachDev: () => {}, free: () => {} };
  const slice: DriverViommu = {
    destroy: () => log.push('destroy'),
    allocDomainNested: (userData) => new MockNestedDomain(parent.domain, userData, ops),
    cacheInvalidate: (array) => {
      array.processed = array.entries;
    },
    vdeviceInit: (device: Device, virtId: bigint) => log.push(`${device.name} is ${virtId}`),
    vdeviceDestroy: (device: Device) => log.push(`${device.name} is gone`),
    hasHwQueue: (type) => type === 1,
    hwQueueInit: (_type, index, base, length) => log.push(`queue ${index}: ${base % 4096n} ${length}`),
    hwQueueDestroy: (_type, index) => log.push(`queue ${index} is gone`),
  };
  (bench.driver as IommuDriver).viommuAlloc = (_device, type) => {
    if (type !== 1) throw new KernelError('EOPNOTSUPP', 'mock', 'no such slice');
    return slice;
  };
  const request = (some: object = {}) => ({
    flags: 0,
    type: 1,
    devId: ga.id,
    hwptId: parent.id,
    outViommuId: 0,
    dataLen: 0,
    reserved: 0,
    dataUptr: 0n,
    ...some,
  });
  const make = (): Viommu => {
    const made = request();
    viommuAlloc(bench.context, made);
    return bench.context.objects.peek<Viommu>(made.outViommuId, 'viommu')!;
  };
  const vdevice = (viommu: Viommu, device = ga, virtId = 7n) => {
    const made = { viommuId: viommu.id, devId: device.id, outVdeviceId: 0, virtId };
    vdeviceAlloc(bench.context, made);
    return made.outVdeviceId;
  };
  const veventq = (viommu: Viommu, some: object = {}) => {
    const made = {
      flags: 0,
      viommuId: viommu.id,
      type: 3,
      veventqDepth: 2,
      outVeventqId: 0,
      outVeventqFd: 0,
    };
    const all = { ...made, reserved: 0, ...some };
    veventqAlloc(bench.context, all);
    return all;
  };
  const hwQueue = (viommu: Viommu, some: object = {}) => {
    const made = { flags: 0, viommuId: viommu.id, type: 1, index: 0, outHwQueueId: 0 };
    const all = { ...made, nestingParentIova: 0x1100n, length: 0x2000n, ...some };
    hwQueueAlloc(bench.context, all);
    return all.outHwQueueId;
  };
  return { bench, ga, gb, ioas, parent, log, request, make, vdevice, veventq, hwQueue };
}

describe('vIOMMU', () => {
  test('the order of checks', () => {
    const { bench, ga, ioas, request } = stage();
    const answer = (some: object) => answerOf(() => viommuAlloc(bench.context, request(some)));
    expect(answer({ flags: 1, devId: 9999 })).toBe('EOPNOTSUPP');
    expect(answer({ type: 0, devId: 9999 })).toBe('EOPNOTSUPP');
    expect(answer({ devId: 9999 })).toBe('ENOENT');
    expect(answer({ hwptId: ioas.id })).toBe('ENOENT');
    expect(answer({ hwptId: bench.hwpt(ga, ioas).id })).toBe('EINVAL');
    expect(answer({ type: 2 })).toBe('EOPNOTSUPP');
  });

  test('the parent is in use until it goes', () => {
    const { bench, parent, log, make } = stage();
    const viommu = make();
    expect(parent.users).toBe(2);
    destroy(bench.context, { id: viommu.id });
    expect(parent.users).toBe(1);
    expect(log).toEqual(['destroy']);
  });

  test('nested tables are made through it and keep it; it can be invalidated', () => {
    const { bench, ga, make } = stage();
    const viommu = make();
    const arena = bench.base.memory.mmap(1);
    const data = { dataType: MOCK_NESTED_DATA, dataLen: 8, dataUptr: arena.base };
    const nested = bench.hwpt<HwptNested>(ga, viommu, data);
    expect(nested.viommu).toBe(viommu);
    expect(answerOf(() => destroy(bench.context, { id: viommu.id }))).toBe('EBUSY');
    expect(answerOf(() => bench.hwpt(ga, viommu))).toBe('EOPNOTSUPP');
    const invalidate = { hwptId: viommu.id, dataUptr: arena.base, dataType: 1, entryLen: 8, reserved: 0 };
    const request = { ...invalidate, entryNum: 4 };
    hwptInvalidate(bench.context, request);
    expect(request.entryNum).toBe(4);
    destroy(bench.context, { id: nested.id });
    destroy(bench.context, { id: viommu.id });
  });

  test('every step fails once', () => {
    const attempt = (prepare: (on: ReturnType<typeof stage>) => () => unknown) =>
      everyStepFails(() => {
        const on = stage();
        const act = prepare(on);
        return { faults: on.bench.faults, act, picture: () => on.bench.picture() };
      });
    attempt((on) => () => on.make());
    attempt((on) => {
      const viommu = on.make();
      return () => on.vdevice(viommu);
    });
    attempt((on) => {
      const viommu = on.make();
      return () => on.veventq(viommu);
    });
    attempt((on) => {
      const viommu = on.make();
      on.bench.map(on.ioas, 0x1000n, 4);
      return () => on.hwQueue(viommu);
    });
  });
});

describe('vDEVICE', () => {
  test('a guest knows a device by one number, and a number is one device', () => {
    const { bench, ga, gb, make, vdevice } = stage();
    const viommu = make();
    const id = vdevice(viommu);
    expect(answerOf(() => vdevice(viommu, ga, 8n))).toBe('EEXIST');
    expect(answerOf(() => vdevice(viommu, gb, 7n))).toBe('EEXIST');
    expect(answerOf(() => vdevice(viommu, gb, 8n))).toBe('ok');
    destroy(bench.context, { id });
    expect(answerOf(() => vdevice(viommu, ga, 7n))).toBe('ok');
  });

  test('it is forced away when its device is unbound, and its id stays unusable', () => {
    const { bench, ga, log, make, vdevice } = stage();
    const viommu = make();
    const id = vdevice(viommu);
    expect(answerOf(() => destroy(bench.context, { id: viommu.id }))).toBe('EBUSY');
    ga.unbind();
    expect(log).toEqual(['Ga is 7', 'Ga is gone']);
    expect(answerOf(() => destroy(bench.context, { id }))).toBe('ENOENT');
    expect(bench.context.objects.hiddenIds).toContain(id);
    destroy(bench.context, { id: viommu.id });
  });
});

describe('events', () => {
  test('checks: flags and type, depth, vIOMMU, one queue per type', () => {
    const { make, veventq } = stage();
    const viommu = make();
    const answer = (some: object) => answerOf(() => veventq(viommu, some));
    expect(answer({ flags: 1 })).toBe('EOPNOTSUPP');
    expect(answer({ type: 0 })).toBe('EOPNOTSUPP');
    expect(answer({ veventqDepth: 0 })).toBe('EINVAL');
    expect(answer({ viommuId: 9999 })).toBe('ENOENT');
    expect(answer({})).toBe('ok');
    expect(answer({})).toBe('EEXIST');
    expect(answer({ type: 4 })).toBe('ok');
  });

  test('what the driver reports is read in order; what does not fit is marked as lost', () => {
    const { bench, make, veventq } = stage();
    const viommu = make();
    expect(answerOf(() => viommu.reportEvent(3, Uint8Array.of(1)))).toBe('EOPNOTSUPP');
    const { outVeventqId, outVeventqFd } = veventq(viommu);
    const queue = bench.context.objects.peek<Veventq>(outVeventqId, 'veventq')!;
    for (let n = 0; n < 4; n++) viommu.reportEvent(3, Uint8Array.of(n));
    expect(queue.readEvents().map(({ flags, sequence }) => [flags, sequence])).toEqual([
      [0, 0],
      [0, 1],
      [1, 3],
    ]);
    expect(answerOf(() => destroy(bench.context, { id: outVeventqId }))).toBe('EBUSY');
    bench.base.files.close(outVeventqFd);
    destroy(bench.context, { id: outVeventqId });
    expect(viommu.users).toBe(1);
  });
});

describe('hardware queues', () => {
  test('the memory is one run, stays mapped, and is pinned while the queue is there', () => {
    const { bench, ioas, log, make, hwQueue } = stage();
    const viommu = make();
    bench.map(ioas, 0x1000n, 4);
    const pinned = bench.base.physical.pinned;
    const id = hwQueue(viommu);
    expect(log).toEqual(['queue 0: 256 8192']);
    const unmap = () => ioasUnmap(bench.context, { ioasId: ioas.id, iova: 0x1000n, length: 0x4000n });
    expect(answerOf(unmap)).toBe('EBUSY');
    destroy(bench.context, { id });
    expect(bench.base.physical.pinned).toBe(pinned);
    expect(answerOf(unmap)).toBe('ok');
  });

  test('refusals: type, length, overflow, nothing mapped, not one run', () => {
    const { bench, ioas, make, hwQueue } = stage();
    const viommu = make();
    const answer = (some: object) => answerOf(() => hwQueue(viommu, some));
    expect(answer({ type: 0 })).toBe('EOPNOTSUPP');
    expect(answer({ type: 2 })).toBe('EOPNOTSUPP');
    expect(answer({ length: 0n })).toBe('EINVAL');
    expect(answer({ nestingParentIova: 2n ** 64n - 1n })).toBe('EOVERFLOW');
    expect(answer({})).toBe('ENOENT');
    bench.map(ioas, 0x1000n, 1);
    bench.base.memory.mmap(1);
    bench.map(ioas, 0x3000n, 1);
    bench.map(ioas, 0x2000n, 1);
    const before = bench.picture();
    expect(answer({})).toBe('EFAULT');
    expect(bench.picture()).toEqual(before);
  });
});
