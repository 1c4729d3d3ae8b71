/** Page faults of devices behind an HWPT with a fault queue: from the IOMMU driver to user space and back. */

import { describe, expect, test } from 'vitest';
import { MOCK_NESTED_DATA } from '../iommu/drivers/mock-user-domains.ts';
import { type PageRequest, PageResponse } from '../iommu/page-faults.ts';
import { answerOf } from '../iommu/testing.ts';
import { faultQueueAlloc } from './calls/fault-queue-alloc.ts';
import { DeviceBench, type DeviceBenchOptions } from './device-testing.ts';
import type { FaultQueue } from './fault-queue.ts';

const LAST = 2;
const PASID_VALID = 1;

function stage(options: DeviceBenchOptions = {}) {
  const bench = new DeviceBench(['Ga', 'Gb'], { pageRequests: () => true, ...options });
  const [ga, gb] = [bench.bind('Ga'), bench.bind('Gb')];
  const ioas = bench.ioas();
  const parent = bench.hwpt(ga, ioas, { flags: 1 });
  const queues: FaultQueue[] = [];
  const faulting = () => {
    const request = { flags: 0, outFaultId: 0, outFaultFd: 0 };
    faultQueueAlloc(bench.context, request);
    queues.push(bench.context.objects.peek<FaultQueue>(request.outFaultId, 'fault')!);
    const arena = bench.base.memory.mmap(1);
    const data = { dataType: MOCK_NESTED_DATA, dataLen: 8, dataUptr: arena.base };
    return bench.hwpt(ga, parent, { flags: 4, faultId: request.outFaultId, ...data });
  };
  const report = (some: Partial<PageRequest> = {}, device = ga) =>
    bench.base.bench.iommu.reportDeviceFault(device.device, {
      flags: LAST,
      pasid: 0,
      grpid: 5,
      perm: 1,
      addr: 0x4000n,
      ...some,
    });
  return { bench, ga, gb, ioas, faulting, report, queues };
}

describe('attaching', () => {
  test('page requests are switched on with the first such table and off with the last', () => {
    const { bench, ga, gb, ioas, faulting } = stage();
    const [one, two] = [faulting(), faulting()];
    ga.attach(one.id);
    gb.attach(one.id);
    expect([...bench.driver.asking]).toEqual([ga.device]);
    gb.replace(two.id);
    expect(bench.driver.asking.size).toBe(1);
    ga.replace(ioas.id);
    expect(bench.driver.asking.size).toBe(0);
    ga.replace(one.id);
    expect(bench.driver.asking.size).toBe(1);
    ga.detach();
    gb.detach();
    expect(bench.driver.asking.size).toBe(0);
  });

  test('a device that cannot ask for pages is refused, and nothing has changed', () => {
    const { bench, ga, ioas, faulting } = stage({ pageRequests: () => false });
    const hwpt = faulting();
    const before = bench.picture();
    expect(answerOf(() => ga.attach(hwpt.id))).toBe('ENODEV');
    expect(bench.picture()).toEqual(before);
    ga.attach(ioas.id);
    const attached = bench.picture();
    expect(answerOf(() => ga.replace(hwpt.id))).toBe('ENODEV');
    expect(bench.picture()).toEqual(attached);
  });
});

describe('faults', () => {
  test('a group is read as a whole and answered once, by its cookie', () => {
    const { bench, ga, faulting, report, queues } = stage();
    ga.attach(faulting().id);
    report({ flags: 0, addr: 0x1000n });
    report({ flags: 0, addr: 0x9000n, grpid: 6 });
    expect(queues[0]!.waiting).toBe(0);
    report({ addr: 0x2000n });
    const read = queues[0]!.readFaults();
    expect(read.map(({ addr, devId, grpid }) => [addr, devId, grpid])).toEqual([
      [0x1000n, ga.id, 5],
      [0x2000n, ga.id, 5],
    ]);
    expect(bench.driver.responses).toEqual([]);
    queues[0]!.writeResponses([{ cookie: read[0]!.cookie, code: 0 }]);
    expect(bench.driver.responses).toEqual([{ device: ga.device, pasid: 0, grpid: 5, code: 0 }]);
  });

  test('nobody attached who could answer: EINVAL, and the hardware is told at once', () => {
    const { bench, ga, ioas, report } = stage();
    expect(answerOf(() => report())).toBe('EINVAL');
    ga.attach(ioas.id);
    expect(answerOf(() => report())).toBe('EINVAL');
    expect(bench.driver.responses.map(({ code }) => code)).toEqual([
      PageResponse.Invalid,
      PageResponse.Invalid,
    ]);
  });

  test('a PASID nobody attached at is EINVAL', () => {
    const { ga, faulting, report } = stage();
    ga.attach(faulting().id);
    expect(answerOf(() => report({ flags: LAST | PASID_VALID, pasid: 3 }))).toBe('EINVAL');
  });

  test.each(['detach', 'replace'] as const)('%s answers what is read and unread as invalid', (how) => {
    const { bench, ga, ioas, faulting, report, queues } = stage();
    ga.attach(faulting().id);
    report({ grpid: 1 });
    queues[0]!.readFaults();
    report({ grpid: 2 });
    if (how === 'detach') ga.detach();
    else ga.replace(ioas.id);
    expect(bench.driver.responses.map(({ grpid, code }) => [grpid, code])).toEqual([
      [2, PageResponse.Invalid],
      [1, PageResponse.Invalid],
    ]);
    expect(queues[0]!.waiting + queues[0]!.unanswered).toBe(0);
  });

  test('a failed replace answers nothing', () => {
    const { bench, ga, faulting, report, queues, ioas } = stage();
    ga.attach(faulting().id);
    report();
    bench.faults.failEvery('replace');
    expect(answerOf(() => ga.replace(ioas.id))).toBe('ENOMEM');
    expect(bench.driver.responses).toEqual([]);
    expect(queues[0]!.waiting).toBe(1);
  });
});
