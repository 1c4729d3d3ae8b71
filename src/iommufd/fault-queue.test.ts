import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Device } from '../device/device.ts';
import type { IommuDriver } from '../iommu/driver.ts';
import type { AttachHandle } from '../iommu/group-pasids.ts';
import { DeviceFaults, FaultGroup, type PageRequest } from '../iommu/page-faults.ts';
import { answerOf } from '../iommu/testing.ts';
import { KernelError } from '../kernel/errors.ts';
import { destroy } from './calls/destroy.ts';
import { faultQueueAlloc } from './calls/fault-queue-alloc.ts';
import type { FaultQueue, IommufdAttachHandle } from './fault-queue.ts';
import { everyStepFails, IommufdBench } from './testing.ts';

/** What the hardware was answered, as `group code`. */
class Hardware {
  readonly answers: string[] = [];
  readonly handle = { idev: { id: 9 } } as unknown as IommufdAttachHandle;
  readonly #faults: DeviceFaults;

  constructor() {
    const driver = {
      name: 'test',
      pageResponse: (_: Device, __: PageRequest, { grpid, code }: { grpid: number; code: number }) =>
        void this.answers.push(`${grpid} ${code}`),
    } as unknown as IommuDriver;
    this.#faults = new DeviceFaults(new Device({ name: 'asker' }), driver);
  }

  group(grpid: number, faults = 1, handle: AttachHandle = this.handle): FaultGroup {
    const requests = Array.from({ length: faults }, (_, at) => ({
      flags: at === faults - 1 ? 2 : 0,
      pasid: 5,
      grpid,
      perm: 1,
      addr: BigInt(at) << 12n,
    }));
    const group = new FaultGroup(this.#faults, requests, handle);
    this.#faults.pending.add(group);
    return group;
  }
}

function queueOf(bench = new IommufdBench()) {
  const context = bench.open();
  const request = { flags: 0, outFaultId: 0, outFaultFd: 0 };
  faultQueueAlloc(context, request);
  const queue = context.objects.peek<FaultQueue>(request.outFaultId, 'fault')!;
  return { bench, context, queue, request, hardware: new Hardware() };
}

const seen = (queue: FaultQueue, room?: number) =>
  queue.readFaults(room).map((fault) => `${fault.grpid}/${fault.cookie}`);

describe('IOMMU_FAULT_QUEUE_ALLOC', () => {
  it('gives an id and a descriptor; the queue is in use while that is open', () => {
    const { bench, context, queue, request } = queueOf();
    expect(request).toEqual({ flags: 0, outFaultId: 1, outFaultFd: 3 });
    expect(bench.files.find(3)).toMatchObject({ name: '[iommufd-pgfault]', queue });
    expect(answerOf(() => destroy(context, { id: 1 }))).toBe('EBUSY');
    bench.files.close(3);
    destroy(context, { id: 1 });
    expect(context.objects.isEmpty).toBe(true);
  });

  it('knows no flags: EOPNOTSUPP', () => {
    const context = new IommufdBench().open();
    const request = { flags: 1, outFaultId: 0, outFaultFd: 0 };
    expect(answerOf(() => faultQueueAlloc(context, request))).toBe('EOPNOTSUPP');
  });

  it('fails at any step without a trace', () => {
    const failed = everyStepFails(() => {
      const bench = new IommufdBench();
      const context = bench.open();
      return {
        faults: bench.faults,
        act: () => faultQueueAlloc(context, { flags: 0, outFaultId: 0, outFaultFd: 0 }),
        picture: () => [context.objects.isEmpty, context.references, bench.files.size],
      };
    });
    expect(failed).toEqual(['object id', 'page fault file', 'page fault descriptor']);
  });

  it('keeps the context of a closed file until its descriptor is closed', () => {
    const { bench, context, queue, hardware } = queueOf();
    context.close();
    expect([...bench.iommufd.contexts]).toEqual([context]);
    queue.deliver(hardware.group(1));
    bench.files.closeAll();
    expect(hardware.answers).toEqual(['1 1']);
    bench.iommufd.assertNothingLeft();
  });
});

describe('reading page faults', () => {
  it('gives every fault of a group, with the device and one cookie', () => {
    const { queue, hardware } = queueOf();
    queue.deliver(hardware.group(7, 2));
    const same = { devId: 9, pasid: 5, grpid: 7, perm: 1, length: 0, cookie: 1 };
    expect(queue.readFaults()).toEqual([
      { ...same, flags: 0, addr: 0n },
      { ...same, flags: 2, addr: 0x1000n },
    ]);
    expect([queue.waiting, queue.unanswered]).toEqual([0, 1]);
  });

  it('is 0 faults when nothing is queued, whatever the room', () => {
    const { queue } = queueOf();
    expect(queue.readFaults()).toEqual([]);
    expect(queue.readFaults(0)).toEqual([]);
  });

  it('is EINVAL when the first group does not fit, and stops before a later one that does not', () => {
    const { queue, hardware } = queueOf();
    queue.deliver(hardware.group(1, 2));
    queue.deliver(hardware.group(2, 3));
    expect(answerOf(() => queue.readFaults(0))).toBe('EINVAL');
    expect(answerOf(() => queue.readFaults(1))).toBe('EINVAL');
    expect(seen(queue, 4)).toEqual(['1/1', '1/1']);
    expect(seen(queue, 4)).toEqual(['2/2', '2/2', '2/2']);
  });

  it('leaves a group queued when it cannot be copied or gets no cookie', () => {
    const { bench, queue, hardware } = queueOf();
    queue.deliver(hardware.group(1, 2));
    queue.deliver(hardware.group(2));
    const onlyTwo = (at: number) => {
      if (at >= 2) throw new KernelError('EFAULT', 'buffer', 'ends');
    };
    expect(queue.read(9, onlyTwo)).toBe(2);
    expect(
      answerOf(() =>
        queue.read(9, () => {
          throw new KernelError('EFAULT', 'buffer', 'is not there');
        }),
      ),
    ).toBe('EFAULT');
    bench.faults.failAt(1);
    expect(answerOf(() => queue.readFaults())).toBe('ENOMEM');
    expect(queue.waiting).toBe(1);
    expect(seen(queue)).toEqual(['2/2']);
  });
});

describe('answering page faults', () => {
  it('goes by cookie, in any order, once', () => {
    const { queue, hardware } = queueOf();
    for (const grpid of [1, 2, 3]) queue.deliver(hardware.group(grpid));
    queue.readFaults();
    expect(
      queue.writeResponses([
        { cookie: 3, code: 0 },
        { cookie: 1, code: 1 },
      ]),
    ).toBe(2);
    expect(hardware.answers).toEqual(['3 0', '1 1']);
    expect(answerOf(() => queue.writeResponses([{ cookie: 1, code: 0 }]))).toBe('EINVAL');
    queue.deliver(hardware.group(4));
    expect(seen(queue)).toEqual(['4/1']);
  });

  it('with cookie 0 while others wait is refused, and 0 is a cookie as any other from then on', () => {
    const { queue, hardware } = queueOf();
    const answer = (cookie: number) => answerOf(() => queue.writeResponses([{ cookie, code: 0 }]));
    const next = () => {
      queue.deliver(hardware.group(1));
      return queue.readFaults()[0]?.cookie;
    };
    expect(answer(0)).toBe('EINVAL');
    expect(next()).toBe(1);
    expect(answer(0)).toBe('EINVAL');
    expect([next(), next()]).toEqual([0, 2]);
    expect([0, 1, 2].map(answer)).toEqual(['ok', 'ok', 'ok']);
    expect(next()).toBe(0);
  });

  it('is EINVAL for a wrong code or cookie, or tells how many were right before', () => {
    const { queue, hardware } = queueOf();
    queue.deliver(hardware.group(1));
    expect(answerOf(() => queue.writeResponses([{ cookie: 1, code: 0 }]))).toBe('EINVAL');
    queue.readFaults();
    expect(answerOf(() => queue.writeResponses([{ cookie: 1, code: 2 }]))).toBe('EINVAL');
    expect(answerOf(() => queue.writeResponses([{ cookie: 0, code: 0 }]))).toBe('EINVAL');
    const responses = [
      { cookie: 1, code: 0 },
      { cookie: 8, code: 0 },
    ];
    expect(queue.writeResponses(responses)).toBe(1);
    expect(queue.writeResponses([])).toBe(0);
  });

  it('is done by itself, INVALID, when an attachment ends: read or unread, of this attachment alone', () => {
    const { queue, hardware } = queueOf();
    const other = { idev: { id: 4 } } as unknown as IommufdAttachHandle;
    queue.deliver(hardware.group(1));
    queue.deliver(hardware.group(2, 1, other));
    queue.readFaults();
    queue.deliver(hardware.group(3));
    queue.deliver(hardware.group(4, 1, other));
    queue.autoResponse(hardware.handle);
    expect(hardware.answers).toEqual(['3 1', '1 1']);
    expect([queue.waiting, queue.unanswered]).toEqual([1, 1]);
    expect(queue.readFaults()).toMatchObject([{ devId: 4, cookie: 1 }]);
  });

  it('is done by itself, INVALID, when the queue is destroyed', () => {
    const { bench, context, queue, hardware } = queueOf();
    queue.deliver(hardware.group(1));
    queue.readFaults();
    queue.deliver(hardware.group(2));
    bench.files.closeAll();
    destroy(context, { id: queue.id });
    expect(hardware.answers).toEqual(['2 1', '1 1']);
  });
});

describe('poll', () => {
  it('is always writable, and readable when something is queued', () => {
    const { queue, hardware } = queueOf();
    expect(queue.poll()).toEqual({ readable: false, writable: true });
    queue.deliver(hardware.group(1));
    expect(queue.poll()).toEqual({ readable: true, writable: true });
    queue.readFaults();
    expect(queue.poll()).toEqual({ readable: false, writable: true });
  });

  it('wakes whoever waits, who may read at once', () => {
    const { queue, hardware } = queueOf();
    const read: string[] = [];
    const stop = queue.onWake(() => read.push(...seen(queue)));
    queue.deliver(hardware.group(1));
    queue.deliver(hardware.group(2));
    stop();
    queue.deliver(hardware.group(3));
    expect(read).toEqual(['1/1', '2/2']);
    expect(queue.waiting).toBe(1);
  });
});

describe('any sequence of faults, reads, answers and detaches', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('fault' as const), size: fc.integer({ min: 1, max: 4 }), of: fc.nat(2) }),
    fc.record({ do: fc.constant('read' as const), size: fc.nat(10), of: fc.constant(0) }),
    fc.record({ do: fc.constant('answer' as const), size: fc.nat(6), of: fc.nat(1) }),
    fc.record({ do: fc.constant('detach' as const), size: fc.constant(0), of: fc.nat(2) }),
  );

  it('answers every group exactly once, and hands groups out whole and in order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { bench, context, queue, hardware } = queueOf();
        const handles = [1, 2, 3].map((id) => ({ idev: { id } }) as unknown as IommufdAttachHandle);
        let unread: { grpid: number; size: number; of: number }[] = [];
        const cookies = new Map<number, { grpid: number; of: number }>();
        const expected: string[] = [];
        let grpid = 0;
        // An answer to cookie 0 while others wait makes it one like all, as in the real kernel.
        let lowest = 1;
        for (const { do: what, size, of } of steps) {
          if (what === 'fault') {
            queue.deliver(hardware.group(++grpid, size, handles[of]));
            unread.push({ grpid, size, of });
          } else if (what === 'read') {
            const fitting: string[] = [];
            const tooSmall = unread.length > 0 && unread[0]!.size > size;
            for (let room = size; unread.length > 0 && unread[0]!.size <= room; ) {
              const group = unread.shift()!;
              let cookie = lowest;
              while (cookies.has(cookie)) cookie++;
              cookies.set(cookie, group);
              for (let n = 0; n < group.size; n++) fitting.push(`${group.grpid}/${cookie}`);
              room -= group.size;
            }
            if (tooSmall) expect(answerOf(() => queue.readFaults(size))).toBe('EINVAL');
            else expect(seen(queue, size)).toEqual(fitting);
          } else if (what === 'answer') {
            const waiting = cookies.get(size);
            const answer = answerOf(() => queue.writeResponses([{ cookie: size, code: of }]));
            expect(answer).toBe(waiting === undefined ? 'EINVAL' : 'ok');
            if (size === 0 && !waiting && cookies.size > 0) lowest = 0;
            if (waiting) expected.push(`${waiting.grpid} ${of}`);
            cookies.delete(size);
          } else {
            for (const group of unread) if (group.of === of) expected.push(`${group.grpid} 1`);
            unread = unread.filter((group) => group.of !== of);
            for (const [cookie, group] of [...cookies].sort(([a], [b]) => a - b)) {
              if (group.of !== of) continue;
              expected.push(`${group.grpid} 1`);
              cookies.delete(cookie);
            }
            queue.autoResponse(handles[of]!);
          }
          expect(hardware.answers).toEqual(expected);
          expect(queue.cookies).toEqual([...cookies.keys()].sort((a, b) => a - b));
        }
        bench.files.closeAll();
        context.close();
        expect(new Set(hardware.answers.map((answer) => answer.split(' ')[0])).size).toBe(grpid);
        expect(hardware.answers.length).toBe(grpid);
      }),
      { numRuns: 1000 },
    );
  });
});
