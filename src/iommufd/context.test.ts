import { describe, expect, it } from 'vitest';
import { answerOf } from '../iommu/testing.ts';
import { Arena } from './arena.ts';
import { IommufdObject } from './object.ts';
import { makeProcess, makeUser } from './process.ts';
import { everyStepFails, IommufdBench } from './testing.ts';

class Thing extends IommufdObject {
  destroy(): void {}
}

function thingIn(context: ReturnType<IommufdBench['open']>): Thing {
  const thing = new Thing(context, 'ioas');
  context.objects.reserve(thing);
  return thing;
}

describe('opening', () => {
  it('of /dev/iommu counts pinned pages for the user, of /dev/vfio/vfio for the process', () => {
    const { iommufd, process } = new IommufdBench();
    expect(iommufd.open(process).accountMode).toBe('user');
    expect(iommufd.open(process, { vfio: true }).accountMode).toBe('process');
  });

  it('fails without a trace', () => {
    const failed = everyStepFails(() => {
      const bench = new IommufdBench();
      return { faults: bench.faults, act: () => bench.open(), picture: () => bench.iommufd.contexts.size };
    });
    expect(failed).toEqual(['context']);
  });

  it('remembers processes as long as pages are charged to them, and not thousands of others', () => {
    const { iommufd } = new IommufdBench();
    const charged = Object.assign(
      makeProcess({ memory: new Arena(iommufd.physical, { base: 0n, pages: 1 }) }),
      {
        pinnedPages: 1,
      },
    );
    iommufd.calls(charged);
    for (let made = 0; made < 1000; made++) iommufd.calls({ ...charged, pinnedPages: 0 });
    expect(iommufd.processes.has(charged)).toBe(true);
    expect(iommufd.processes.size).toBeLessThan(100);
  });

  it('gives every file objects of its own', () => {
    const bench = new IommufdBench();
    const [one, other] = [bench.open(), bench.open()];
    expect([thingIn(one).id, thingIn(other).id]).toEqual([1, 1]);
    expect([one.label, other.label]).toEqual(['iommufd 1', 'iommufd 2']);
  });
});

describe('the accounting mode', () => {
  it('needs CAP_SYS_RESOURCE, no objects, and a value of 0 or 1, in this order', () => {
    const poor = new IommufdBench({}, { capabilities: ['CAP_IPC_LOCK'] }).open();
    expect(answerOf(() => poor.setRlimitMode(7n))).toBe('EPERM');
    const context = new IommufdBench().open();
    expect(answerOf(() => context.setRlimitMode(2n))).toBe('EINVAL');
    context.setRlimitMode(1n);
    expect(context.accountMode).toBe('process');
    context.setRlimitMode(0n);
    expect(context.accountMode).toBe('user');
    const thing = thingIn(context);
    expect(answerOf(() => context.setRlimitMode(7n))).toBe('EBUSY');
    context.objects.publish(thing);
    expect(answerOf(() => context.setRlimitMode(1n))).toBe('EBUSY');
    context.objects.remove(thing.id);
    expect(answerOf(() => context.setRlimitMode(1n))).toBe('ok');
  });
});

describe('closing', () => {
  it('happens once, and then the context cannot be used', () => {
    const { iommufd, process } = new IommufdBench();
    const context = iommufd.open(process);
    context.close();
    expect([context.isReleased, iommufd.contexts.size]).toEqual([true, 0]);
    expect(answerOf(() => context.close())).toBe('EBADF');
    expect(answerOf(() => context.get())).toBe('EBADF');
    expect(answerOf(() => context.put())).toBe('EBADF');
  });

  it('waits for whoever inside the kernel keeps the context', () => {
    const context = new IommufdBench().open();
    context.get();
    context.objects.publish(thingIn(context));
    context.close();
    expect([context.isOpen, context.isReleased, context.objects.size]).toEqual([false, false, 1]);
    context.put();
    expect([context.isReleased, context.objects.size]).toEqual([true, 0]);
  });

  it('tells what is left over', () => {
    const context = new IommufdBench().open();
    const thing = thingIn(context);
    context.objects.publish(thing);
    thing.users++;
    expect(() => context.close()).toThrow('closing leaves behind IOAS 1 (1 user)');
  });

  it('forgets the address space of old VFIO calls when that is destroyed', () => {
    const context = new IommufdBench().open();
    const thing = thingIn(context);
    context.objects.publish(thing);
    context.vfioIoas = thing as never;
    context.objects.remove(thing.id);
    expect(context.vfioIoas).toBeUndefined();
  });
});

describe('assertNothingLeft', () => {
  it('finds open contexts, pins and charges', () => {
    const user = makeUser('alice');
    const bench = new IommufdBench({}, { user });
    bench.iommufd.assertNothingLeft();
    const context = bench.open();
    context.objects.publish(thingIn(context));
    expect(() => bench.iommufd.assertNothingLeft()).toThrow('iommufd 1 is open (IOAS 1)');
    context.close();
    const { frames } = bench.memory.mmap(1);
    bench.physical.pin(frames.first, 1);
    user.lockedPages = 3;
    bench.process.pinnedPages = 4;
    expect(() => bench.iommufd.assertNothingLeft()).toThrow(
      '1 pins of physical pages; user alice is charged 3 pages; tester has 4 pages pinned',
    );
  });

  it('finds groups that are owned', () => {
    const bench = new IommufdBench({ withSelftest: true });
    const { iommu, selftest } = bench.iommufd;
    const device = selftest!.createDevice(0);
    iommu.deviceClaimDmaOwner(device, bench);
    expect(() => bench.iommufd.assertNothingLeft()).toThrow('is owned');
    iommu.deviceReleaseDmaOwner(device);
    selftest!.destroyDevice(device);
    bench.iommufd.assertNothingLeft();
  });
});

describe('a process', () => {
  it('is root with 8 MiB of RLIMIT_MEMLOCK unless told', () => {
    const { memory } = new IommufdBench();
    const process = makeProcess({ memory });
    expect(process.capabilities.has('CAP_IPC_LOCK')).toBe(true);
    expect(process.memlockLimit).toBe(0x80_0000n);
    expect(makeProcess({ memory, capabilities: [] }).user).not.toBe(process.user);
  });
});
