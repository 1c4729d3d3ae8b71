import { describe, expect, test } from 'vitest';
import { answerOf } from '../../iommu/testing.ts';
import { HwptAllocFlag, hwptAlloc } from '../calls/hwpt-alloc.ts';
import { ioasAlloc } from '../calls/ioas-alloc.ts';
import type { Context } from '../context.ts';
import { everyStepFails } from '../testing.ts';
import type { VfioBindIommufdRequest } from './bind-requests.ts';
import type { VfioDeviceFile } from './device-file.ts';
import { VfioBench, type VfioBenchOptions } from './testing.ts';

/** A group Ga, Gb; the file of Ga, and an iommufd. */
function opened(options: VfioBenchOptions = {}) {
  const bench = new VfioBench(options);
  const [a, b] = bench.give('Ga', 'Gb');
  return { bench, a: a!, b: b!, file: bench.openCdev(a!), context: bench.open() };
}

function bind(iommufd: Context | number, init: Partial<VfioBindIommufdRequest> = {}): VfioBindIommufdRequest {
  return { argsz: 16, flags: 0, iommufd, outDevid: 0, ...init };
}

function newIoas(context: Context): number {
  const request = { flags: 0, outIoasId: 0 };
  ioasAlloc(context, request);
  return request.outIoasId;
}

function attach(file: VfioDeviceFile, ptId: number, pasid?: number): number {
  const request = {
    argsz: 16,
    flags: pasid === undefined ? 0 : 1,
    ptId,
    ...(pasid !== undefined && { pasid }),
  };
  file.attachIommufdPt(request);
  return request.ptId;
}

/** Bound, with two address spaces. */
function bound(options: VfioBenchOptions = {}) {
  const made = opened(options);
  made.file.bindIommufd(bind(made.context));
  return { ...made, ioas: newIoas(made.context), other: newIoas(made.context) };
}

describe('BIND_IOMMUFD (device_cdev.c)', () => {
  test.each<[string, Partial<VfioBindIommufdRequest>, string]>([
    ['argsz 15', { argsz: 15 }, 'EINVAL'],
    ['a flag', { flags: 1 }, 'EINVAL'],
    ['a negative descriptor', { iommufd: -1 }, 'EINVAL'],
    ['a closed descriptor', { iommufd: 44 }, 'EBADF'],
    ['another file', { iommufd: {} }, 'EBADFD'],
    ['a longer struct', { argsz: 24 }, 'ok'],
  ])('%s: %o %s', (_, init, answer) => {
    const { bench, file, context } = opened();
    const before = bench.picture();
    expect(answerOf(() => file.bindIommufd(bind(context, init)))).toBe(answer);
    if (answer !== 'ok') expect(bench.picture()).toEqual(before);
  });

  test('answers the id of the device; once per file', () => {
    const { file, context } = opened();
    newIoas(context);
    const request = bind(context);
    file.bindIommufd(request);
    expect(request.outDevid).toBe(2);
    expect(file.vfioDevice.iommufdDevice?.id).toBe(2);
    expect(answerOf(() => file.bindIommufd(bind(context)))).toBe('EINVAL');
    expect(answerOf(() => file.bindIommufd(bind(99)))).toBe('EINVAL');
  });

  test('a descriptor of the process will do', () => {
    const { bench, file, context } = opened();
    file.bindIommufd(bind(bench.files.install(context)));
    expect(file.vfioDevice.iommufdDevice?.context).toBe(context);
  });

  test('once per device: EINVAL for a second file, until the first is closed', () => {
    const { bench, a, file, context } = opened();
    const second = bench.openCdev(a);
    file.bindIommufd(bind(context));
    expect(answerOf(() => second.bindIommufd(bind(context)))).toBe('EINVAL');
    file.close();
    second.bindIommufd(bind(context));
    expect(bench.told).toEqual(['open Ga', 'close Ga', 'open Ga']);
  });

  test('EBUSY while the group is open, whichever device', () => {
    const { bench, b, file, context } = opened();
    const group = bench.openGroupOf(b);
    expect(answerOf(() => file.bindIommufd(bind(context)))).toBe('EBUSY');
    expect(answerOf(() => file.bindIommufd(bind(99)))).toBe('EBUSY');
    group.close();
    file.bindIommufd(bind(context));
  });

  test('devices of a group go to one context', () => {
    const { bench, b, file, context } = opened();
    file.bindIommufd(bind(context));
    const second = bench.openCdev(b);
    expect(answerOf(() => second.bindIommufd(bind(bench.open())))).toBe('EPERM');
    second.bindIommufd(bind(context));
  });

  test('a member with an ordinary driver: EPERM, by name', () => {
    const { bench, b, file, context } = opened();
    bench.bench.core.unbind(b);
    bench.bind(b, bench.ordinary);
    expect(() => file.bindIommufd(bind(context))).toThrow(/in use by Gb \(nic\).*EPERM/);
  });

  test('a reply that cannot be written takes everything back', () => {
    const { bench, file, context } = opened();
    const before = bench.picture();
    const request = bind(context);
    const unwritable = Object.freeze({ ...request });
    expect(() => file.bindIommufd(unwritable)).toThrow(TypeError);
    expect(bench.picture()).toEqual(before);
  });

  test('before it every call is EINVAL, after the close EBADF', () => {
    const { file } = opened();
    const calls = [
      () => file.attachIommufdPt({ argsz: 12, flags: 0, ptId: 1 }),
      () => file.detachIommufdPt({ argsz: 8, flags: 0 }),
      () => file.getInfo({ argsz: 20, flags: 0, numRegions: 0, numIrqs: 0, capOffset: 0 }),
      () => file.reset(),
      () => void file.read(0n, new Uint8Array(4)),
      () => void file.write(0n, new Uint8Array(4)),
    ];
    expect(calls.map(answerOf)).toEqual(calls.map(() => 'EINVAL'));
    file.close();
    expect(calls.map(answerOf)).toEqual(calls.map(() => 'EBADF'));
    expect(answerOf(() => file.close())).toBe('EBADF');
  });

  test('a driver without calls of its own: EINVAL', () => {
    const { file } = bound();
    expect(answerOf(() => file.reset())).toBe('EINVAL');
    expect(answerOf(() => file.read(0n, new Uint8Array(1)))).toBe('EINVAL');
  });

  test('it fails at each step without a trace', () => {
    const steps = everyStepFails(() => {
      const { bench, file, context } = opened();
      return {
        faults: bench.faults,
        act: () => file.bindIommufd(bind(context)),
        picture: () => bench.picture(),
      };
    });
    expect(steps).toEqual(expect.arrayContaining(['object id', 'open device']));
    expect(steps.at(-1)).toBe('open device');
  });
});

describe('ATTACH_IOMMUFD_PT and DETACH_IOMMUFD_PT', () => {
  test.each([
    ['argsz 11', { argsz: 11, flags: 0 }, 'EINVAL'],
    ['an unknown flag', { argsz: 16, flags: 2 }, 'EINVAL'],
    ['a PASID that argsz does not cover', { argsz: 12, flags: 1 }, 'EINVAL'],
    ['the struct of 6.12', { argsz: 12, flags: 0 }, 'ok'],
  ])('attach with %s: %o %s', (_, init, answer) => {
    const { file, ioas } = bound();
    expect(answerOf(() => file.attachIommufdPt({ ptId: ioas, ...init }))).toBe(answer);
  });

  test.each([
    ['argsz 7', { argsz: 7, flags: 0 }, 'EINVAL'],
    ['an unknown flag', { argsz: 12, flags: 2 }, 'EINVAL'],
    ['a PASID that argsz does not cover', { argsz: 8, flags: 1 }, 'EINVAL'],
    ['nothing attached', { argsz: 8, flags: 0 }, 'ok'],
    ['nothing attached at the PASID', { argsz: 12, flags: 1, pasid: 3 }, 'ok'],
  ])('detach with %s: %o %s', (_, init, answer) => {
    expect(answerOf(() => bound().file.detachIommufdPt(init))).toBe(answer);
  });

  test('attach, then replace, to an address space or a page table; then detach', () => {
    const { context, file, ioas, other } = bound();
    const first = attach(file, ioas);
    expect(context.objects.peek(first)?.type).toBe('hwpt-paging');
    expect(attach(file, ioas)).toBe(first);
    const second = attach(file, other);
    expect(second).not.toBe(first);
    expect(context.objects.peek(first)).toBeUndefined();
    expect(attach(file, second)).toBe(second);
    expect(file.vfioDevice.isAttached).toBe(true);
    file.detachIommufdPt({ argsz: 8, flags: 0 });
    file.detachIommufdPt({ argsz: 8, flags: 0 });
    expect(file.vfioDevice.isAttached).toBe(false);
    expect(context.objects.peek(second)).toBeUndefined();
  });

  test('what cannot be attached or replaced changes nothing', () => {
    const { bench, file, ioas } = bound();
    const attempts = [999, 1, ioas + 50];
    for (const ready of [false, true]) {
      if (ready) attach(file, ioas);
      const before = bench.picture();
      expect(attempts.map((ptId) => answerOf(() => attach(file, ptId)))).toEqual([
        'ENOENT',
        'EINVAL',
        'ENOENT',
      ]);
      expect(bench.picture()).toEqual(before);
    }
  });

  test('a reply that cannot be written leaves the device detached, as in the kernel', () => {
    const { file, ioas, other } = bound();
    attach(file, ioas);
    const request = Object.freeze({ argsz: 12, flags: 0, ptId: other });
    expect(() => file.attachIommufdPt(request)).toThrow(TypeError);
    expect(file.vfioDevice.isAttached).toBe(false);
  });

  test('the whole group moves with one of its devices', () => {
    const { bench, b, context, file, ioas, other } = bound();
    const second = bench.openCdev(b);
    second.bindIommufd(bind(context));
    expect(attach(second, ioas)).toBe(attach(file, ioas));
    const moved = attach(file, other);
    expect(second.vfioDevice.iommufdDevice!.group.hwpt?.id).toBe(moved);
    expect(answerOf(() => attach(second, ioas))).toBe('ok');
    expect(file.vfioDevice.iommufdDevice!.group.hwpt?.id).not.toBe(moved);
  });

  test('attach and replace fail at each step without a trace', () => {
    for (const replacing of [false, true]) {
      const steps = everyStepFails(() => {
        const { bench, context, file, ioas, other } = bound();
        if (replacing) attach(file, ioas);
        const { iovas } = context.objects.peek(other) as NonNullable<Context['vfioIoas']>;
        iovas.mapUserPages(bench.arena, bench.arena.base, 0x3000n, 3, { iova: 0x8000n });
        return { faults: bench.faults, act: () => void attach(file, other), picture: () => bench.picture() };
      });
      expect(steps).toEqual(expect.arrayContaining([replacing ? 'replace' : 'attach', 'alloc', 'map']));
    }
  });
});

describe('PASIDs, as newer kernels have them', () => {
  const withPasids = { iommu: { maxPasids: () => 64, userDomains: { pasid: true } } };

  /** A page table on `ioas` that is made for PASIDs. */
  function pasidTable({ context, file }: ReturnType<typeof bound>, ioas: number): number {
    const request = {
      flags: HwptAllocFlag.Pasid,
      devId: file.vfioDevice.iommufdDevice!.id,
      ptId: ioas,
      outHwptId: 0,
      reserved: 0,
      dataType: 0,
      dataLen: 0,
      dataUptr: 0n,
      faultId: 0,
      reserved2: 0,
    };
    hwptAlloc(context, request);
    return request.outHwptId;
  }

  test('without any in the device the attach is refused and changes nothing', () => {
    const { bench, file, ioas } = bound();
    const before = bench.picture();
    expect(answerOf(() => attach(file, ioas, 5))).toBe('EINVAL');
    expect(bench.picture()).toEqual(before);
  });

  test('each has a table of its own: attach, replace, detach, and all gone with the close', () => {
    const made = bound(withPasids);
    const { bench, context, file, ioas, other } = made;
    const [first, second] = [pasidTable(made, ioas), pasidTable(made, other)];
    expect(attach(file, first, 5)).toBe(first);
    expect(attach(file, second, 7)).toBe(second);
    expect(file.vfioDevice.pasids).toEqual([5, 7]);
    expect(attach(file, second, 5)).toBe(second);
    expect(context.objects.peek(first)!.users).toBe(1);
    file.detachIommufdPt({ argsz: 12, flags: 1, pasid: 7 });
    file.detachIommufdPt({ argsz: 12, flags: 1, pasid: 7 });
    expect([file.vfioDevice.pasids, file.vfioDevice.isAttached]).toEqual([[5], false]);
    file.close();
    expect(bench.mock.pasids.get(made.a)?.size ?? 0).toBe(0);
    context.close();
    bench.iommufd.assertNothingLeft();
  });

  test('attach and replace fail at each step without a trace', () => {
    for (const replacing of [false, true]) {
      const steps = everyStepFails(() => {
        const made = bound(withPasids);
        const { bench, file } = made;
        const [first, second] = [pasidTable(made, made.ioas), pasidTable(made, made.other)];
        if (replacing) attach(file, first, 5);
        return {
          faults: bench.faults,
          act: () => void attach(file, second, 5),
          picture: () => bench.picture(),
        };
      });
      expect(steps).toEqual(expect.arrayContaining(['pasid']));
    }
  });
});
