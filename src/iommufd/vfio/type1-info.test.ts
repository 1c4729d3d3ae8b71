import { describe, expect, test } from 'vitest';
import { RegionType } from '../../iommu/reserved-region.ts';
import { answerOf } from '../../iommu/testing.ts';
import { ULONG_MAX } from '../limits.ts';
import { compatIoasCreate } from './compat-ioas.ts';
import { VfioBench, type VfioBenchOptions } from './testing.ts';
import { type VfioIommuInfoRequest, vfioIommuGetInfo } from './type1-info.ts';

function info(bench: VfioBench, context = bench.open()) {
  if (context.vfioIoas === undefined) compatIoasCreate(context);
  return (argsz: number) => {
    const request: VfioIommuInfoRequest = { argsz, flags: 0, iovaPgsizes: 0n, capOffset: 77 };
    vfioIommuGetInfo(context, request);
    return request;
  };
}

/** A container with one device attached. */
function attached(options: VfioBenchOptions = {}) {
  const bench = new VfioBench(options);
  const [device] = bench.give('a');
  const context = bench.open();
  const group = bench.openGroupOf(device!);
  group.setContainer(context);
  group.getDeviceFd('a');
  return { bench, context };
}

const everything = { start: 0n, end: ULONG_MAX };
/** Struct 24, DMA_AVAIL padded to 16, header and count 16, one range 16. */
const ONE_RANGE = 24 + 16 + 16 + 16;

describe('iommufd.md 5, IOMMU_GET_INFO', () => {
  test('argsz below 16 is EINVAL, before ENODEV without an address space', () => {
    const context = new VfioBench().open();
    const ask = (argsz: number) => () =>
      vfioIommuGetInfo(context, { argsz, flags: 0, iovaPgsizes: 0n, capOffset: 0 });
    expect(answerOf(ask(15))).toBe('EINVAL');
    expect(answerOf(ask(16))).toBe('ENODEV');
  });

  test.each([16, 20, 24, ONE_RANGE - 1])('argsz %i: told what is needed, no chain', (argsz) => {
    const reply = info(new VfioBench())(argsz);
    expect(reply).toMatchObject({ argsz: ONE_RANGE, flags: 3, capOffset: 0 });
  });

  test('the chain: DMA_AVAIL, then the ranges, each 8 bytes aligned', () => {
    expect(info(new VfioBench())(ONE_RANGE)).toMatchObject({
      argsz: ONE_RANGE,
      flags: 3,
      capOffset: 24,
      caps: [
        { id: 3, version: 1, offset: 24, next: 40, avail: 0xffff_ffff },
        { id: 1, version: 1, offset: 40, next: 0, nrIovas: 1, iovaRanges: [everything], complete: true },
      ],
    });
    expect(info(new VfioBench())(65536)).toMatchObject({ argsz: ONE_RANGE, capOffset: 24 });
  });

  test.each<[number, object[]]>([
    [24, []],
    [35, []],
    [36, [{ id: 3, next: 0 }]],
    [40, [{ id: 3, next: 40 }]],
    [71, [{ id: 3, next: 40 }]],
    [
      72,
      [
        { id: 3, next: 40 },
        { id: 1, nrIovas: 2, iovaRanges: [{ start: 0n, end: 0xfffn }], complete: false },
      ],
    ],
    [
      88,
      [
        { id: 3, next: 40 },
        { id: 1, nrIovas: 2, complete: true },
      ],
    ],
  ])('argsz %i of 88: what fits is written nevertheless', (argsz, caps) => {
    const bench = new VfioBench();
    const context = bench.open();
    compatIoasCreate(context);
    context.vfioIoas!.iovas.reserve({ name: 'hole' }, 0x1000n, 0x1fffn);
    const reply = info(bench, context)(argsz);
    expect(reply).toMatchObject({ argsz: 88, capOffset: argsz === 88 ? 24 : 0 });
    expect(reply.caps).toHaveLength(caps.length);
    expect(reply.caps).toMatchObject(caps);
  });

  test('an address space that is reserved altogether has no ranges, and says so', () => {
    const bench = new VfioBench();
    const context = bench.open();
    compatIoasCreate(context);
    context.vfioIoas!.iovas.reserve({ name: 'all' }, 0n, ULONG_MAX);
    expect(info(bench, context)(56).caps![1]).toMatchObject({ nrIovas: 0, iovaRanges: [], complete: true });
  });

  test('page sizes: all from a page up without a page table, then what every one can do', () => {
    expect(info(new VfioBench())(16).iovaPgsizes).toBe(ULONG_MAX - 0xfffn);
    const { bench, context } = attached();
    expect(info(bench, context)(16).iovaPgsizes).toBe(0x4020_1000n);
  });

  test('page sizes below a page count as one page', () => {
    const { bench, context } = attached({ iommu: { pageSizes: 0x10_0800n } });
    expect(info(bench, context)(16).iovaPgsizes).toBe(0x10_1000n);
  });

  test('ranges exclude what a device has reserved', () => {
    const msi = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };
    const { bench, context } = attached({ iommu: { resvRegions: () => [msi] } });
    expect(info(bench, context)(4096).caps![1]).toMatchObject({
      iovaRanges: [
        { start: 0n, end: 0xfedf_ffffn },
        { start: 0xfef0_0000n, end: ULONG_MAX },
      ],
    });
  });
});
