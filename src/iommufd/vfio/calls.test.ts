import { describe, expect, test } from 'vitest';
import { Prot } from '../../iommu/domain.ts';
import { answerOf } from '../../iommu/testing.ts';
import { RepliedError } from '../calls/replied-error.ts';
import type { Context } from '../context.ts';
import { ULONG_MAX } from '../limits.ts';
import { everyStepFails } from '../testing.ts';
import {
  type VfioDmaMapRequest,
  type VfioDmaUnmapRequest,
  vfioCheckExtension,
  vfioGetApiVersion,
  vfioMapDma,
  vfioSetIommu,
  vfioUnmapDma,
} from './calls.ts';
import { compatIoasCreate, compatIoasGetId, compatSetNoIommu } from './compat-ioas.ts';
import { VfioBench, type VfioBenchOptions } from './testing.ts';

const PAGE = 4096n;

function container(options: VfioBenchOptions = {}) {
  const bench = new VfioBench(options);
  const context = bench.iommufd.open(bench.process, { vfio: true });
  return { bench, context };
}

function withIoas(options: VfioBenchOptions = {}) {
  const made = container(options);
  compatIoasCreate(made.context);
  return made;
}

function mapRequest(init: Partial<VfioDmaMapRequest>): VfioDmaMapRequest {
  return { argsz: 32, flags: 3, vaddr: 0n, iova: 0n, size: PAGE, ...init };
}

function unmapRequest(init: Partial<VfioDmaUnmapRequest>): VfioDmaUnmapRequest {
  return { argsz: 24, flags: 0, iova: 0n, size: 0n, ...init };
}

/** Maps pages `first … last` of the arena at the same page of the address space. */
function map({ bench, context }: { bench: VfioBench; context: Context }, first: bigint, last: bigint): void {
  const size = (last - first + 1n) * PAGE;
  vfioMapDma(context, mapRequest({ vaddr: bench.arena.base + first * PAGE, iova: first * PAGE, size }));
}

/** Pages that are mapped, area by area. */
function areas(context: Context): [bigint, bigint][] {
  return [...context.vfioIoas!.iovas.areas].map(({ value: { iova, last } }) => [iova / PAGE, last / PAGE]);
}

describe('iommufd.md 5, GET_API_VERSION and CHECK_EXTENSION', () => {
  test('the version is 0', () => expect(vfioGetApiVersion()).toBe(0));

  test.each([
    [1, 1],
    [3, 1],
    [9, 1],
    [4, 1],
    [8, 0],
    [6, 0],
    [10, 0],
    [2, 0],
    [0, 0],
    [77, 0],
  ])('extension %i is answered %i', (type, answer) => {
    expect(vfioCheckExtension(withIoas().context, type)).toBe(answer);
  });

  test.each([
    [1, 0],
    [3, 0],
    [9, 0],
    [8, 1],
    [6, 0],
  ])('in noiommu mode extension %i is answered %i', (type, answer) => {
    const { context } = container({ iommufd: { noiommu: true } });
    compatSetNoIommu(context);
    expect(vfioCheckExtension(context, type)).toBe(answer);
  });

  test('coherent DMA is ENODEV without an address space; the others need none', () => {
    const { context } = container();
    expect(answerOf(() => vfioCheckExtension(context, 4))).toBe('ENODEV');
    expect([1, 3, 8, 9].map((type) => vfioCheckExtension(context, type))).toEqual([1, 1, 0, 1]);
  });

  test('coherent DMA is 1 without a page table, 0 once one of them does not enforce it', () => {
    const { bench, context } = withIoas();
    const [device] = bench.give('a');
    expect(vfioCheckExtension(context, 4)).toBe(1);
    const group = bench.openGroupOf(device!);
    group.setContainer(context);
    const file = group.getDeviceFd('a');
    expect([...context.vfioIoas!.hwpts].map((hwpt) => hwpt.enforceCacheCoherency)).toEqual([false]);
    expect(vfioCheckExtension(context, 4)).toBe(0);
    for (const open of [file, group, context]) open.close();
    bench.iommufd.assertNothingLeft();
  });
});

test('iommufd.md 5, CHECK_EXTENSION 4: 1 while every page table enforces coherency', () => {
  const iommu = {
    capabilities: ['cache-coherency', 'enforce-cache-coherency'] as const,
    enforceCacheCoherency: () => true,
  };
  const { bench, context } = withIoas({ iommu });
  const [device] = bench.give('a');
  const group = bench.openGroupOf(device!);
  group.setContainer(context);
  group.getDeviceFd('a');
  expect(context.vfioIoas!.hwpts.size).toBe(1);
  expect(vfioCheckExtension(context, 4)).toBe(1);
});

describe('iommufd.md 5, SET_IOMMU', () => {
  test.each([
    ['no address space', container, 1, 'ENODEV'],
    ['no address space', container, 3, 'ENODEV'],
    ['an address space', withIoas, 1, 'ok'],
    ['an address space', withIoas, 3, 'ok'],
    ['an address space', withIoas, 8, 'EINVAL'],
    ['an address space', withIoas, 6, 'EINVAL'],
    ['no address space, the type is looked at first', container, 2, 'EINVAL'],
  ] as const)('%s, %o, type %i: %s', (_, make, type, answer) => {
    expect(answerOf(() => vfioSetIommu(make().context, type))).toBe(answer);
  });

  test('type 1 turns huge pages off, type 3 does not', () => {
    const { context } = withIoas();
    vfioSetIommu(context, 3);
    expect(context.vfioIoas!.iovas.largePagesDisabled).toBe(false);
    vfioSetIommu(context, 1);
    vfioSetIommu(context, 1);
    expect(context.vfioIoas!.iovas.largePagesDisabled).toBe(true);
    expect(context.vfioIoas!.iovas.iovaAlignment).toBe(PAGE);
  });

  test('noiommu needs the mode and CAP_SYS_RAWIO, and then allows nothing else', () => {
    const plain = container({ iommufd: { noiommu: true } });
    expect(answerOf(() => vfioSetIommu(plain.context, 8))).toBe('EINVAL');
    compatSetNoIommu(plain.context);
    expect(answerOf(() => vfioSetIommu(plain.context, 8))).toBe('ok');
    expect(answerOf(() => vfioSetIommu(plain.context, 1))).toBe('EINVAL');
    const poor = container({ iommufd: { noiommu: true }, process: { capabilities: ['CAP_SYS_ADMIN'] } });
    compatSetNoIommu(poor.context);
    expect(answerOf(() => vfioSetIommu(poor.context, 8))).toBe('EPERM');
    const old = container();
    compatSetNoIommu(old.context);
    expect(answerOf(() => vfioSetIommu(old.context, 8))).toBe('EINVAL');
  });
});

describe('iommufd.md 5, the compatibility IOAS', () => {
  test('it has an id, is made once, and is made again after it was destroyed', () => {
    const { context } = withIoas();
    expect(compatIoasGetId(context)).toBe(1);
    compatIoasCreate(context);
    expect(context.objects.size).toBe(1);
    context.objects.remove(1);
    expect(answerOf(() => compatIoasGetId(context))).toBe('ENODEV');
    compatIoasCreate(context);
    expect(compatIoasGetId(context)).toBe(1);
  });

  test('it and noiommu mode exclude each other', () => {
    const { context } = withIoas();
    expect(answerOf(() => compatSetNoIommu(context))).toBe('EINVAL');
    const other = container().context;
    compatSetNoIommu(other);
    compatSetNoIommu(other);
    expect(answerOf(() => compatIoasCreate(other))).toBe('EINVAL');
    expect(other.objects.isEmpty).toBe(true);
  });

  test('making it fails at each step without a trace', () => {
    const steps = everyStepFails(() => {
      const { bench, context } = container();
      return { faults: bench.faults, act: () => compatIoasCreate(context), picture: () => bench.picture() };
    });
    expect(steps).toEqual(['object id']);
  });
});

describe('iommufd.md 5, MAP_DMA', () => {
  test.each<[string, Partial<VfioDmaMapRequest>, string]>([
    ['argsz 31', { argsz: 31 }, 'EINVAL'],
    ['argsz beyond the struct', { argsz: 4096 }, 'ok'],
    ['flag VADDR', { flags: 4 }, 'EINVAL'],
    ['an unknown flag', { flags: 0x8000_0003 }, 'EINVAL'],
    ['neither read nor write', { flags: 0 }, 'ok'],
    ['size 0', { size: 0n }, 'EINVAL'],
    ['size not pages, and no page table to mind', { size: 1n }, 'ok'],
    ['past the end', { iova: ULONG_MAX, size: 2n }, 'EOVERFLOW'],
    ['the last byte there is', { iova: ULONG_MAX, size: 1n }, 'ok'],
    ['address 0', { iova: 0n }, 'ok'],
    ['over what is mapped', { iova: 0x10_0000n }, 'EEXIST'],
  ])('%s: %o %s', (_, init, answer) => {
    const { bench, context } = withIoas();
    const vaddr = bench.arena.base;
    vfioMapDma(context, mapRequest({ vaddr, iova: 0x10_0000n }));
    expect(answerOf(() => vfioMapDma(context, mapRequest({ vaddr, ...init })))).toBe(answer);
  });

  test('ENODEV without an address space, after the checks of the struct', () => {
    const { context } = container();
    expect(answerOf(() => vfioMapDma(context, mapRequest({})))).toBe('ENODEV');
    expect(answerOf(() => vfioMapDma(context, mapRequest({ flags: 8 })))).toBe('EINVAL');
  });

  test.each([
    [0, Prot.Cache],
    [1, Prot.Cache | Prot.Read],
    [2, Prot.Cache | Prot.Write],
    [3, Prot.Cache | Prot.Read | Prot.Write],
  ])('flags %i map with prot %i, always coherent', (flags, prot) => {
    const { bench, context } = withIoas();
    vfioMapDma(context, mapRequest({ vaddr: bench.arena.base, flags }));
    expect([...context.vfioIoas!.iovas.areas].map(({ value }) => value.prot)).toEqual([prot]);
  });
});

describe('iommufd.md 5, UNMAP_DMA', () => {
  test.each<[string, Partial<VfioDmaUnmapRequest>, string]>([
    ['argsz 23', { argsz: 23 }, 'EINVAL'],
    ['flag GET_DIRTY_BITMAP', { flags: 1 }, 'EINVAL'],
    ['flag VADDR', { flags: 4 }, 'EINVAL'],
    ['everything', { flags: 2 }, 'ok'],
    ['everything from somewhere', { flags: 2, iova: PAGE }, 'EINVAL'],
    ['everything of a size', { flags: 2, size: PAGE }, 'EINVAL'],
    ['size 0', { size: 0n }, 'EINVAL'],
    ['past the end', { iova: 2n, size: ULONG_MAX }, 'EOVERFLOW'],
    ['nothing mapped', { iova: 64n * PAGE, size: PAGE }, 'ok'],
    ['part of a mapping', { iova: PAGE, size: PAGE }, 'ENOENT'],
  ])('%s: %o %s', (_, init, answer) => {
    const made = withIoas();
    map(made, 1n, 4n);
    expect(answerOf(() => vfioUnmapDma(made.context, unmapRequest(init)))).toBe(answer);
  });

  test('ENODEV without an address space, after the checks of the struct', () => {
    const { context } = container();
    expect(answerOf(() => vfioUnmapDma(context, unmapRequest({ flags: 2, iova: 1n })))).toBe('ENODEV');
    expect(answerOf(() => vfioUnmapDma(context, unmapRequest({ flags: 1 })))).toBe('EINVAL');
  });

  test('the size is what was mapped: 0 for nothing', () => {
    const made = withIoas();
    map(made, 1n, 4n);
    map(made, 8n, 8n);
    const nothing = unmapRequest({ iova: 32n * PAGE, size: 8n * PAGE });
    vfioUnmapDma(made.context, nothing);
    expect(nothing.size).toBe(0n);
    const some = unmapRequest({ iova: 0n, size: 64n * PAGE });
    vfioUnmapDma(made.context, some);
    expect(some.size).toBe(5n * PAGE);
    const all = unmapRequest({ flags: 2 });
    vfioUnmapDma(made.context, all);
    expect(all.size).toBe(0n);
  });

  test('a refusal on the way is replied to: what went before stays away and is told', () => {
    const made = withIoas();
    map(made, 1n, 2n);
    map(made, 3n, 6n);
    const request = unmapRequest({ iova: PAGE, size: 4n * PAGE });
    expect(() => vfioUnmapDma(made.context, request)).toThrow(RepliedError);
    expect(request.size).toBe(2n * PAGE);
    expect(areas(made.context)).toEqual([[3n, 6n]]);
    const empty = unmapRequest({ iova: PAGE, size: 0n });
    expect(() => vfioUnmapDma(made.context, empty)).toThrow(RepliedError);
    const wrong = unmapRequest({ flags: 2, size: 1n });
    expect(answerOf(() => vfioUnmapDma(made.context, wrong))).toBe('EINVAL');
    expect(wrong.size).toBe(1n);
  });

  test.each<[string, bigint, bigint, [bigint, bigint][]]>([
    [
      'the middle',
      3n,
      4n,
      [
        [1n, 2n],
        [5n, 8n],
      ],
    ],
    ['the beginning', 0n, 2n, [[3n, 8n]]],
    ['the end', 7n, 20n, [[1n, 6n]]],
    ['all of it', 1n, 8n, []],
  ])('type 1 cuts: %s', (_, first, last, left) => {
    const made = withIoas();
    vfioSetIommu(made.context, 1);
    map(made, 1n, 8n);
    const request = unmapRequest({ iova: first * PAGE, size: (last - first + 1n) * PAGE });
    vfioUnmapDma(made.context, request);
    expect(areas(made.context)).toEqual(left);
    const kept = left.reduce((sum, [from, to]) => sum + to - from + 1n, 0n);
    expect(request.size).toBe((8n - kept) * PAGE);
  });

  test('type 1 from address 0 has one edge to cut', () => {
    const made = withIoas();
    vfioSetIommu(made.context, 1);
    map(made, 0n, 3n);
    vfioUnmapDma(made.context, unmapRequest({ iova: 0n, size: PAGE }));
    expect(areas(made.context)).toEqual([[1n, 3n]]);
  });
});

describe('failure at any step leaves things as they were', () => {
  /** Two devices of a group on the compatibility IOAS; pages 1 to 8 and 16 mapped. */
  function working(type: 1 | 3) {
    const bench = new VfioBench();
    const [device] = bench.give('Ga', 'Gb');
    const context = bench.iommufd.open(bench.process, { vfio: true });
    const group = bench.openGroupOf(device!);
    group.setContainer(context);
    vfioSetIommu(context, type);
    for (const name of ['Ga', 'Gb']) group.getDeviceFd(name);
    map({ bench, context }, 1n, 8n);
    map({ bench, context }, 16n, 16n);
    return { bench, context };
  }

  test.each([1, 3] as const)('MAP_DMA, type %i', (type) => {
    const steps = everyStepFails(() => {
      const { bench, context } = working(type);
      const act = () => map({ bench, context }, 20n, 30n);
      return { faults: bench.faults, act, picture: () => bench.picture() };
    });
    expect(steps).toEqual(expect.arrayContaining(['map']));
  });

  test('UNMAP_DMA of a part, type 1', () => {
    const steps = everyStepFails(() => {
      const { bench, context } = working(1);
      const act = () => vfioUnmapDma(context, unmapRequest({ iova: 3n * PAGE, size: 2n * PAGE }));
      return { faults: bench.faults, act, picture: () => bench.picture() };
    });
    expect(steps.length).toBeGreaterThan(1);
  });

  test('UNMAP_DMA of whole mappings needs nothing that could fail', () => {
    const steps = everyStepFails(() => {
      const { bench, context } = working(3);
      return {
        faults: bench.faults,
        act: () => vfioUnmapDma(context, unmapRequest({ flags: 2 })),
        picture: () => bench.picture(),
      };
    });
    expect(steps).toEqual([]);
  });
});
