import { describe, expect, it } from 'vitest';
import { HwptAllocFlag } from '../iommufd/calls/hwpt-alloc.ts';
import { TestOp, VEVENTQ_TYPE_SELFTEST } from '../iommufd/selftest/numbers.ts';
import { FAULT_QUEUE_ALLOC, HWPT_ALLOC, IOAS_ALLOC, VEVENTQ_ALLOC } from './iommufd-structs.ts';
import { OneOfEach } from './one-of-each-testing.ts';
import { Poll } from './open-file.ts';
import { HWPT_PAGE_RESPONSE, HWPT_PGFAULT, VEVENT_HEADER } from './queue-structs.ts';
import { codeOf } from './testing.ts';

const RECORD = 40;

/** A program whose device sends its page faults to a queue. */
class WithFaults extends OneOfEach {
  readonly queue = this.program.call(this.fd, 0x8e, FAULT_QUEUE_ALLOC, {});
  readonly queueFd = this.queue.outFaultFd;

  constructor() {
    super();
    const { outHwptId } = this.program.call(this.fd, 0x89, HWPT_ALLOC, {
      ...this.nestedRequest(),
      flags: HwptAllocFlag.FaultIdValid,
      faultId: this.queue.outFaultId,
    });
    this.program.test(this.fd, TestOp.MockDomainReplace, { id: this.stdev, ptId: outHwptId });
  }

  fault(addr: bigint): void {
    const { device, program, fd } = this;
    program.test(fd, TestOp.TriggerIopf, { devId: device, pasid: 0xffff_ffff, grpid: 3, perm: 3, addr });
  }

  read(size: number): object[] {
    const bytes = this.program.read(this.queueFd, size);
    return Array.from({ length: bytes.length / RECORD }, (_, at) =>
      HWPT_PGFAULT.decode(bytes.subarray(at * RECORD, (at + 1) * RECORD)),
    );
  }

  answer(...responses: { cookie: number; code: number }[]): number {
    const bytes = new Uint8Array(responses.length * 8);
    for (const [at, response] of responses.entries())
      HWPT_PAGE_RESPONSE.encode(response, bytes.subarray(at * 8));
    return this.program.write(this.queueFd, bytes);
  }
}

describe('the file of a fault queue', () => {
  it('is a new descriptor, whose number is in the reply', () => {
    const { program, queueFd } = new WithFaults();
    expect(program.descriptors).toContain(queueFd);
    expect(program.openFile(queueFd)).toMatchObject({ kind: 'fault-queue', label: '[iommufd-pgfault]' });
    expect(program.trace.find((line) => line.includes('FAULT_QUEUE'))).toMatch(
      /out_fault_fd=0 => new}\) = 0$/,
    );
  });

  it('gives faults of 40 bytes, and takes answers of 8', () => {
    const world = new WithFaults();
    world.fault(0x5000n);
    world.fault(0x6000n);
    const { device } = world;
    const fault = { flags: 3, devId: device, grpid: 3, perm: 3, length: 0 };
    expect(world.read(2 * RECORD)).toMatchObject([
      { ...fault, addr: 0x5000n, cookie: 1 },
      { ...fault, addr: 0x6000n, cookie: 2 },
    ]);
    expect(world.answer({ cookie: 1, code: 0 }, { cookie: 2, code: 1 })).toBe(16);
    world.end();
  });

  it('is empty: 0 bytes, no error and no waiting', () => {
    expect(new WithFaults().read(RECORD)).toEqual([]);
  });

  it('refuses sizes that are no multiple, and positions: ESPIPE', () => {
    const { program, queueFd } = new WithFaults();
    expect(codeOf(() => program.read(queueFd, 39))).toBe('ESPIPE');
    expect(codeOf(() => program.read(queueFd, 40, 40n))).toBe('ESPIPE');
    expect(codeOf(() => program.write(queueFd, new Uint8Array(12)))).toBe('ESPIPE');
    expect(codeOf(() => program.write(queueFd, new Uint8Array(8), 1n))).toBe('ESPIPE');
  });

  it('a read too short for the first group: EINVAL, and it stays', () => {
    const world = new WithFaults();
    world.fault(0x5000n);
    expect(codeOf(() => world.read(0))).toBe('EINVAL');
    expect(world.read(RECORD)).toHaveLength(1);
  });

  it('wrong answers: EINVAL if the first is, else the bytes taken before', () => {
    const world = new WithFaults();
    world.fault(0x5000n);
    world.read(RECORD);
    expect(codeOf(() => world.answer({ cookie: 1, code: 2 }))).toBe('EINVAL');
    expect(codeOf(() => world.answer({ cookie: 9, code: 0 }))).toBe('EINVAL');
    expect(world.answer({ cookie: 1, code: 0 }, { cookie: 1, code: 0 })).toBe(8);
  });

  it('polls writable always, readable with a fault queued, and wakes who waits', () => {
    const world = new WithFaults();
    const file = world.program.openFile(world.queueFd);
    let woken = 0;
    const stop = file.onWake?.(() => woken++);
    expect(file.poll?.()).toBe(Poll.Out);
    world.fault(0x5000n);
    expect([file.poll?.(), woken]).toEqual([Poll.Out | Poll.In | Poll.ReadNormal, 1]);
    stop?.();
    world.fault(0x6000n);
    expect(woken).toBe(1);
  });

  it('keeps the queue from being destroyed until it is closed; ioctls: ENOTTY', () => {
    const { program, fd } = new OneOfEach();
    const { outFaultId, outFaultFd } = program.call(fd, 0x8e, FAULT_QUEUE_ALLOC, {});
    const destroy = () =>
      codeOf(() => program.ioctl(fd, 0x3b80, program.place(Uint8Array.of(8, 0, 0, 0, outFaultId, 0, 0, 0))));
    expect(destroy()).toBe('EBUSY');
    expect(codeOf(() => program.ioctl(outFaultFd, 0x3b80, 0n))).toBe('ENOTTY');
    program.close(outFaultFd);
    expect(destroy()).toBeUndefined();
  });

  it('without a way to install descriptors: ENOSYS with the reason, and nothing is left', () => {
    const world = new OneOfEach();
    const { program, fd } = world;
    program.noDescriptors = 'there is no C compiler';
    const objects = world.bench.iommufd.contexts.values().next().value!.objects.size;
    expect(codeOf(() => program.call(fd, 0x8e, FAULT_QUEUE_ALLOC, {}))).toBe('ENOSYS');
    expect(codeOf(() => program.test(fd, TestOp.CreateAccess, { id: world.ioas }))).toBe('ENOSYS');
    expect(world.bench.iommufd.contexts.values().next().value!.objects.size).toBe(objects);
    expect(program.trace.at(-1)).toMatch(/ENOSYS \(.*there is no C compiler\)$/);
    world.end();
  });

  it('the number cannot be given out after all: undone, as if there had been no call', () => {
    const { program, fd, bench } = new OneOfEach();
    const { address } = program.placeStruct(FAULT_QUEUE_ALLOC, {});
    const { objects } = bench.iommufd.contexts.values().next().value!;
    const before = objects.size;
    const result = program.openFile(fd).ioctl(program, 0x3b8e, address);
    expect(typeof result).toBe('object');
    if (typeof result === 'object') result.undo();
    expect(objects.size).toBe(before);
    expect(program.call(fd, 0x81, IOAS_ALLOC, {}).outIoasId).toBeGreaterThan(0);
  });
});

describe('the file of an event queue', () => {
  const withEvents = () => {
    const world = new OneOfEach();
    // Events are of a device that is attached to a table of the vIOMMU.
    const nested = { ...world.nestedRequest(), ptId: world.viommu };
    const { outHwptId: ptId } = world.program.call(world.fd, 0x89, HWPT_ALLOC, nested);
    world.program.test(world.fd, TestOp.MockDomainReplace, { id: world.stdev, ptId });
    const request = { viommuId: world.viommu, type: VEVENTQ_TYPE_SELFTEST, veventqDepth: 2 };
    const queue = world.program.call(world.fd, 0x93, VEVENTQ_ALLOC, request).outVeventqFd;
    const event = () => world.program.test(world.fd, TestOp.TriggerVevent, { devId: world.device });
    return { world, queue, event };
  };

  it('gives a header of 8 bytes and the data of the event', () => {
    const { world, queue, event } = withEvents();
    event();
    event();
    const bytes = world.program.read(queue, 24);
    expect(bytes.length).toBe(24);
    expect(VEVENT_HEADER.decode(bytes)).toEqual({ flags: 0, sequence: 0 });
    expect(VEVENT_HEADER.decode(bytes.subarray(12))).toEqual({ flags: 0, sequence: 1 });
    // The virtual id of the device.
    expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true)).toBe(7);
    world.end();
  });

  it('says that events were lost, with a header alone', () => {
    const { world, queue, event } = withEvents();
    for (let at = 0; at < 3; at++) event();
    const bytes = world.program.read(queue, 100);
    expect(bytes.length).toBe(32);
    expect(VEVENT_HEADER.decode(bytes.subarray(24))).toEqual({ flags: 1, sequence: 2 });
  });

  it('refuses positions: ESPIPE, too little room: EINVAL, and writing: EINVAL', () => {
    const { world, queue, event } = withEvents();
    event();
    expect(codeOf(() => world.program.read(queue, 24, 1n))).toBe('ESPIPE');
    expect(codeOf(() => world.program.read(queue, 11))).toBe('EINVAL');
    expect(codeOf(() => world.program.write(queue, new Uint8Array(8)))).toBe('EINVAL');
    expect(world.program.openFile(queue).poll?.()).toBe(Poll.In | Poll.ReadNormal);
  });
});
