import { describe, expect, it, vi } from 'vitest';
import { Prot } from '../iommu/domain.ts';
import { answerOf } from '../iommu/testing.ts';
import { Access, type AccessOps } from './access.ts';
import { AccessRw } from './access-pages.ts';
import { destroy } from './calls/destroy.ts';
import type { Context } from './context.ts';
import { Ioas } from './ioas.ts';
import { ULONG_MAX } from './limits.ts';
import { makeUser } from './process.ts';
import { everyStepFails, IommufdBench } from './testing.ts';

const PAGE = 4096n;
const READ_WRITE = Prot.Read | Prot.Write | Prot.Cache;

function ioasOf(context: Context): Ioas {
  const ioas = Ioas.alloc(context);
  context.objects.publish(ioas);
  return ioas;
}

function setUp(ops: AccessOps = {}) {
  const bench = new IommufdBench();
  const context = bench.open();
  const ioas = ioasOf(context);
  const access = Access.create(context, { needsPinPages: true, unmap: () => {}, ...ops });
  const arena = bench.memory.mmap(16);
  const map = (iova: bigint, pages: bigint, prot: number = READ_WRITE, at = arena.base, into = ioas) =>
    into.iovas.mapUserPages(bench.memory, at, pages * PAGE, prot, { iova });
  return { bench, context, ioas, access, arena, map, warnings: bench.bench.iommu.messages.warnings };
}

/** A driver that unpins what it is told to unmap. */
function obedient(pinned: { iova: bigint; length: bigint }[]) {
  const asked: string[] = [];
  const setup = setUp({
    unmap: (iova, length) => {
      asked.push(`${iova} ${length}`);
      for (const range of pinned.splice(0)) setup.access.unpinPages(range.iova, range.length);
    },
  });
  return { ...setup, asked };
}

describe('access objects', () => {
  it('have an id, belong to their driver and keep the context', () => {
    const { bench, context, access } = setUp();
    expect(access.id).toBe(2);
    expect(answerOf(() => destroy(context, { id: 2 }))).toBe('EBUSY');
    context.close();
    expect(context.isReleased).toBe(false);
    access.release();
    expect(context.isReleased).toBe(true);
    bench.iommufd.assertNothingLeft();
  });

  it('come with every step failed once, without a trace', () => {
    const failed = everyStepFails(() => {
      const { bench, context } = setUp();
      return {
        faults: bench.faults,
        act: () => Access.create(context, {}),
        picture: () => [[...context.objects].map(({ label }) => label), context.references],
      };
    });
    expect(failed).toEqual(['object id']);
  });
});

describe('attach, replace and detach', () => {
  it('attach uses the address space, once', () => {
    const { context, ioas, access } = setUp();
    expect(answerOf(() => access.attach(7))).toBe('ENOENT');
    expect(answerOf(() => access.attach(access.id))).toBe('ENOENT');
    access.attach(ioas.id);
    expect([ioas.users, ioas.callsInFlight]).toEqual([2, 0]);
    expect(answerOf(() => access.attach(ioas.id))).toBe('EINVAL');
    expect(answerOf(() => destroy(context, { id: ioas.id }))).toBe('EBUSY');
    access.detach();
    expect(ioas.users).toBe(1);
  });

  it('replace needs an attachment, and the same address space is fine', () => {
    const { context, ioas, access } = setUp();
    expect(answerOf(() => access.replace(ioas.id))).toBe('ENOENT');
    access.attach(ioas.id);
    const other = ioasOf(context);
    access.replace(ioas.id);
    expect(answerOf(() => access.replace(99))).toBe('ENOENT');
    expect([ioas.users, other.users]).toEqual([2, 1]);
    access.replace(other.id);
    expect([ioas.users, other.users]).toEqual([1, 2]);
    expect([ioas.iovas.accesses.size, other.iovas.accesses.size]).toEqual([0, 1]);
  });

  it('detach asks to unpin everything, and nothing can be pinned meanwhile', () => {
    const asked: unknown[] = [];
    const { ioas, access, map } = setUp({
      unmap: (iova, length) => {
        asked.push([
          iova,
          length,
          answerOf(() => access.pinPages(0n, PAGE)),
          answerOf(() => access.attach(1)),
        ]);
        asked.push(answerOf(() => access.release()));
        access.unpinPages(0n, PAGE);
      },
    });
    map(0n, 1n);
    access.attach(ioas.id);
    access.pinPages(0n, PAGE);
    access.detach();
    expect(asked).toEqual([[0n, ULONG_MAX, 'ENOENT', 'EBUSY'], 'EBUSY']);
    expect(ioas.iovas.areaAt(0n)!.accesses).toBe(0);
  });

  it('detach without an attachment, or unpinning without one, is a warning', () => {
    const { access, warnings } = setUp();
    access.detach();
    access.unpinPages(0n, PAGE);
    expect(warnings.length).toBe(2);
  });

  it('pin needs raise the alignment of the address space to a page: EADDRINUSE if a mapping does not do', () => {
    const { bench, context, ioas, access, arena } = setUp();
    ioas.iovas.mapUserPages(bench.memory, arena.base, 100n, READ_WRITE, { iova: 4n });
    expect(answerOf(() => access.attach(ioas.id))).toBe('EADDRINUSE');
    expect(ioas.users).toBe(1);
    const reader = Access.create(context, {});
    reader.attach(ioas.id);
    expect(ioas.iovas.iovaAlignment).toBe(1n);
  });

  it('a replace that fails at any step changes nothing', () => {
    const failed = everyStepFails(() => {
      const { bench, context, ioas, access } = setUp();
      access.attach(ioas.id);
      const other = ioasOf(context);
      return {
        faults: bench.faults,
        act: () => access.replace(other.id),
        picture: () => [access.ioas?.id, ioas.users, other.users, other.iovas.iovaAlignment],
      };
    });
    expect(failed).toContain('object look-up');
    expect(failed).toContain('access entry');
  });

  it('cannot be released while it is being detached, not even later', async () => {
    let released: Promise<void> | undefined;
    const { context, ioas, access } = setUp({
      unmap: () => {
        released ??= access.releaseWhenIdle();
      },
    });
    access.attach(ioas.id);
    access.detach();
    await expect(released).rejects.toMatchObject({ code: 'EBUSY' });
    expect(context.objects.peek(access.id)).toBe(access);
    expect([access.users, ioas.users]).toEqual([2, 1]);
    access.attach(ioas.id);
    access.release();
    expect([context.objects.peek(access.id), ioas.users]).toEqual([undefined, 1]);
  });

  it('release detaches, and waits for a callback in flight when asked to', async () => {
    let released: Promise<void> | undefined;
    const { context, ioas, access, map } = setUp({
      unmap: (iova, length) => {
        if (length === ULONG_MAX) return;
        expect(answerOf(() => access.release())).toBe('EBUSY');
        released = access.releaseWhenIdle();
        access.unpinPages(iova, length);
      },
    });
    map(0n, 1n);
    access.attach(ioas.id);
    access.pinPages(0n, PAGE);
    ioas.iovas.unmap(0n, PAGE);
    await released;
    expect([context.objects.peek(access.id), ioas.users]).toEqual([undefined, 1]);
  });
});

describe('pinning pages', () => {
  it('gives the frames, across areas, and pins each page once', () => {
    const { bench, ioas, access, arena, map } = setUp();
    map(0n, 2n);
    map(2n * PAGE, 2n, READ_WRITE, arena.base + 8n * PAGE);
    access.attach(ioas.id);
    const runs = access.pinPages(PAGE, 2n * PAGE);
    expect([...runs.frames()]).toEqual([arena.frameOf(1), arena.frameOf(8)]);
    access.pinPages(PAGE, 2n * PAGE);
    expect(bench.physical.pinned).toBe(2);
    access.unpinPages(PAGE, 2n * PAGE);
    expect(bench.physical.pinned).toBe(2);
    access.unpinPages(PAGE, 2n * PAGE);
    expect(bench.physical.pinned).toBe(0);
  });

  it('has its refusals in the kernel order', () => {
    const { context, ioas, access, map } = setUp();
    const reader = Access.create(context, { unmap: () => {} });
    expect(answerOf(() => reader.pinPages(0n, PAGE))).toBe('EINVAL');
    expect(answerOf(() => access.pinPages(0n, 0n))).toBe('EINVAL');
    expect(answerOf(() => access.pinPages(ULONG_MAX, 2n))).toBe('EOVERFLOW');
    expect(answerOf(() => access.pinPages(0n, PAGE))).toBe('ENOENT');
    access.attach(ioas.id);
    map(0n, 1n, Prot.Read);
    map(PAGE, 1n);
    expect(answerOf(() => access.pinPages(0n, 3n * PAGE, AccessRw.Write))).toBe('EPERM');
    expect(answerOf(() => access.pinPages(0n, 3n * PAGE))).toBe('ENOENT');
    expect(answerOf(() => access.pinPages(PAGE, PAGE, AccessRw.Write))).toBe('ok');
    expect(answerOf(() => access.pinPages(1n, 10n))).toBe('EINVAL');
    map(8n * PAGE, 1n, Prot.Write);
    expect(answerOf(() => access.pinPages(8n * PAGE, PAGE))).toBe('EPERM');
    access.unpinPages(PAGE, PAGE);
    expect(ioas.iovas.areaAt(PAGE)!.accesses).toBe(0);
  });

  it('that fails at any step pins nothing', () => {
    const failed = everyStepFails(() => {
      const { bench, ioas, access, arena, map } = setUp();
      map(0n, 2n);
      map(2n * PAGE, 2n, READ_WRITE, arena.base + 8n * PAGE);
      access.attach(ioas.id);
      return {
        faults: bench.faults,
        act: () => access.pinPages(PAGE, 2n * PAGE),
        picture: () => [
          bench.physical.pinned,
          [0n, 2n * PAGE].map((iova) => ioas.iovas.areaAt(iova)!.accesses),
        ],
      };
    });
    expect(failed.length).toBeGreaterThanOrEqual(4);
  });

  it('counts against RLIMIT_MEMLOCK of whoever mapped', () => {
    const user = makeUser('alice');
    const bench = new IommufdBench({}, { user, capabilities: [], memlockLimit: 2n * PAGE });
    const context = bench.open();
    const ioas = ioasOf(context);
    const arena = bench.memory.mmap(4);
    ioas.iovas.mapUserPages(bench.memory, arena.base, 4n * PAGE, READ_WRITE, { iova: 0n });
    const access = Access.create(context, {
      needsPinPages: true,
      unmap: () => access.unpinPages(0n, 2n * PAGE),
    });
    access.attach(ioas.id);
    expect(answerOf(() => access.pinPages(0n, 3n * PAGE))).toBe('ENOMEM');
    access.pinPages(0n, 2n * PAGE);
    expect(user.lockedPages).toBe(2);
    access.release();
    expect(user.lockedPages).toBe(0);
  });
});

describe('unmapping what an access has pinned', () => {
  it('asks for exactly the area, and goes on once it is unpinned', () => {
    const pinned = [{ iova: PAGE, length: PAGE }];
    const { bench, ioas, access, map, asked } = obedient(pinned);
    map(0n, 4n);
    access.attach(ioas.id);
    access.pinPages(PAGE, PAGE);
    expect(ioas.iovas.unmap(0n, 4n * PAGE)).toBe(4n * PAGE);
    expect(asked).toEqual(['0 16384']);
    expect([bench.physical.pinned, ioas.iovas.areas.size]).toEqual([0, 0]);
  });

  it('lets nobody in any more while it asks: EINVAL', () => {
    const answers: string[] = [];
    const { ioas, access, map } = setUp({
      unmap: () => {
        answers.push(answerOf(() => access.pinPages(0n, PAGE)));
        answers.push(answerOf(() => access.rw(0n, new Uint8Array(1))));
        access.unpinPages(0n, PAGE);
      },
    });
    map(0n, 1n);
    access.attach(ioas.id);
    access.pinPages(0n, PAGE);
    ioas.iovas.unmapAll();
    expect(answers).toEqual(['EINVAL', 'EINVAL']);
  });

  it('asks again and again, then gives up: EDEADLK', () => {
    const unmap = vi.fn();
    const { ioas, access, map } = setUp({ unmap });
    map(0n, 1n);
    access.attach(ioas.id);
    access.pinPages(0n, PAGE);
    expect(answerOf(() => ioas.iovas.unmapAll())).toBe('EDEADLK');
    expect(unmap).toHaveBeenCalledTimes(101);
  });
});

describe('reading and writing without pinning', () => {
  it('moves bytes of any place and length, across areas', () => {
    const { bench, ioas, access, arena, map } = setUp();
    map(0n, 1n);
    map(PAGE, 1n, READ_WRITE, arena.base + 8n * PAGE);
    access.attach(ioas.id);
    for (const flags of [0, AccessRw.SlowPath, AccessRw.Kthread]) {
      const bytes = Uint8Array.from({ length: 20 }, (_, n) => n + flags);
      access.rw(PAGE - 7n, bytes, AccessRw.Write | flags);
      const back = new Uint8Array(20);
      access.rw(PAGE - 7n, back, flags);
      expect(back).toEqual(bytes);
      expect(arena.bytes(arena.base + PAGE - 7n, 7)).toEqual(bytes.subarray(0, 7));
      expect(arena.bytes(arena.base + 8n * PAGE, 13)).toEqual(bytes.subarray(7));
    }
    expect(bench.physical.pinned).toBe(0);
  });

  it('has its refusals: EINVAL nothing, EOVERFLOW, ENOENT, EPERM, EFAULT', () => {
    const { bench, ioas, access, arena, map } = setUp();
    const one = new Uint8Array(1);
    expect(answerOf(() => access.rw(0n, new Uint8Array()))).toBe('EINVAL');
    expect(answerOf(() => access.rw(ULONG_MAX, new Uint8Array(2)))).toBe('EOVERFLOW');
    expect(answerOf(() => access.rw(0n, one))).toBe('ENOENT');
    access.attach(ioas.id);
    expect(answerOf(() => access.rw(0n, one))).toBe('ENOENT');
    map(0n, 1n, Prot.Read);
    expect(answerOf(() => access.rw(0n, one, AccessRw.Write))).toBe('EPERM');
    expect(answerOf(() => access.rw(PAGE - 1n, new Uint8Array(2)))).toBe('ENOENT');
    bench.memory.munmap(arena);
    expect(answerOf(() => access.rw(0n, one))).toBe('EFAULT');
  });
});
