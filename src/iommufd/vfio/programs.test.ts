import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DmaFault } from '../../iommu/dma.ts';
import { ioasAlloc } from '../calls/ioas-alloc.ts';
import { ioasMap } from '../calls/ioas-map.ts';
import type { Context } from '../context.ts';
import { vfioCheckExtension, vfioGetApiVersion, vfioMapDma, vfioSetIommu, vfioUnmapDma } from './calls.ts';
import { VfioDeviceFile } from './device-file.ts';
import { VfioBench } from './testing.ts';
import { vfioIommuGetInfo } from './type1-info.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (content: Uint8Array) => new TextDecoder().decode(content);

/** What a program of 2012 does to have two devices of a group work for it (Documentation/driver-api/vfio.rst). */
function legacyProgram(bench: VfioBench, type: 1 | 3) {
  const [a] = bench.give('Ga', 'Gb');
  const container = bench.iommufd.open(bench.process, { vfio: true });
  expect(vfioGetApiVersion()).toBe(0);
  expect(vfioCheckExtension(container, type)).toBe(1);
  const group = bench.openGroupOf(a!);
  const status = { argsz: 8, flags: 0 };
  group.getStatus(status);
  expect(status.flags & 1).toBe(1);
  group.setContainer(container);
  vfioSetIommu(container, type);
  const info = { argsz: 1024, flags: 0, iovaPgsizes: 0n, capOffset: 0 };
  vfioIommuGetInfo(container, info);
  expect(info.capOffset).toBe(24);
  const vaddr = bench.arena.base;
  vfioMapDma(container, { argsz: 32, flags: 3, vaddr, iova: 0x10_0000n, size: 0x8000n });
  const files = [group.getDeviceFd('Ga'), group.getDeviceFd('Gb')];
  return { container, group, files, vaddr };
}

describe('a legacy program', () => {
  test.each([1, 3] as const)('from container to DMA and back, IOMMU type %i', (type) => {
    const bench = new VfioBench();
    const { container, group, files, vaddr } = legacyProgram(bench, type);
    expect(bench.physical.pinned).toBe(8);
    expect([bench.process.pinnedPages, bench.process.lockedPages]).toEqual([8, 0]);
    bench.arena.write(vaddr + 0x1ffen, bytes('across'));
    for (const file of files) expect(text(file.dma!.read(0x10_1ffen, 6))).toBe('across');
    files[1]!.dma!.write(0x10_7ff0n, bytes('from Gb'));
    const seen = new Uint8Array(7);
    bench.arena.read(vaddr + 0x7ff0n, seen);
    expect(text(seen)).toBe('from Gb');
    expect(() => files[0]!.dma!.read(0x10_8000n, 1)).toThrow(DmaFault);

    const part = { argsz: 24, flags: 0, iova: 0x10_2000n, size: 0x1000n };
    if (type === 1) {
      vfioUnmapDma(container, part);
      expect(part.size).toBe(0x1000n);
      expect(() => files[0]!.dma!.read(0x10_2000n, 1)).toThrow(DmaFault);
      expect(text(files[0]!.dma!.read(0x10_1ffen, 2))).toBe('ac');
      expect(bench.physical.pinned).toBe(7);
    } else {
      expect(() => vfioUnmapDma(container, part)).toThrow(/ENOENT/);
    }
    const all = { argsz: 24, flags: 2, iova: 0n, size: 0n };
    vfioUnmapDma(container, all);
    expect(all.size).toBe(type === 1 ? 0x7000n : 0x8000n);
    expect(bench.physical.pinned).toBe(0);
    expect(() => files[1]!.dma!.write(0x10_7ff0n, bytes('x'))).toThrow(DmaFault);

    for (const open of [...files, group, container]) open.close();
    bench.iommufd.assertNothingLeft();
    expect(bench.mock.live.size).toBe(1);
  });

  test('what is mapped counts for the process: RLIMIT_MEMLOCK holds it back', () => {
    const bench = new VfioBench({ process: { capabilities: [], memlockLimit: 0x4000n } });
    const [device] = bench.give('a');
    const container = bench.iommufd.open(bench.process, { vfio: true });
    const group = bench.openGroupOf(device!);
    group.setContainer(container);
    const file = group.getDeviceFd('a');
    const map = { argsz: 32, flags: 3, vaddr: bench.arena.base, iova: 0n, size: 0x4000n };
    vfioMapDma(container, map);
    expect(bench.process.pinnedPages).toBe(4);
    expect(() => vfioMapDma(container, { ...map, iova: 0x10_0000n, size: 0x1000n })).toThrow(/ENOMEM/);
    for (const open of [container, file, group]) open.close();
    bench.iommufd.assertNothingLeft();
  });

  test('nothing is left whatever order it closes its files in', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), fc.boolean(), (order, type1) => {
        const bench = new VfioBench({ process: { capabilities: ['CAP_SYS_RAWIO'] } });
        const { container, group, files } = legacyProgram(bench, type1 ? 1 : 3);
        const open = [container, group, ...files];
        for (const at of order) open[at]!.close();
        bench.iommufd.assertNothingLeft();
        expect(bench.physical.pinned).toBe(0);
        expect(bench.mock.live.size).toBe(1);
        expect(bench.picture()).toMatchObject({ told: [], contexts: [], groups: [{ owners: 0 }] });
        expect(bench.iommufd.iommu.messages.warnings).toEqual([]);
      }),
    );
  });

  test('closing the container first lets the devices go on until they are closed', () => {
    const bench = new VfioBench();
    const { container, group, files } = legacyProgram(bench, 3);
    container.close();
    group.close();
    bench.arena.write(bench.arena.base, bytes('still'));
    expect(text(files[0]!.dma!.read(0x10_0000n, 5))).toBe('still');
    files[0]!.close();
    expect(text(files[1]!.dma!.read(0x10_0000n, 5))).toBe('still');
    files[1]!.close();
    bench.iommufd.assertNothingLeft();
  });
});

/** What a program of today does: an iommufd, the devices' own files, an address space of its own making. */
function cdevProgram(bench: VfioBench) {
  const devices = bench.give('Ga', 'Gb', 'x');
  const context = bench.open();
  const files = devices.map((device) => bench.openCdev(device));
  for (const file of files) file.bindIommufd({ argsz: 16, flags: 0, iommufd: context, outDevid: 0 });
  const ioas = { flags: 0, outIoasId: 0 };
  ioasAlloc(context, ioas);
  const map = { flags: 7, ioasId: ioas.outIoasId, reserved: 0, iova: 0x40_0000n };
  ioasMap(context, { ...map, userVa: bench.arena.base, length: 0x4000n });
  for (const file of files) file.attachIommufdPt({ argsz: 12, flags: 0, ptId: ioas.outIoasId });
  return { context, files, ioasId: ioas.outIoasId };
}

describe('a program of today', () => {
  test('bind, attach, DMA, replace, detach', () => {
    const bench = new VfioBench();
    const { context, files } = cdevProgram(bench);
    bench.arena.write(bench.arena.base + 0x3000n, bytes('hello'));
    for (const file of files) expect(text(file.dma!.read(0x40_3000n, 5))).toBe('hello');
    const other = { flags: 0, outIoasId: 0 };
    ioasAlloc(context, other);
    files[0]!.attachIommufdPt({ argsz: 12, flags: 0, ptId: other.outIoasId });
    expect(() => files[1]!.dma!.read(0x40_3000n, 5)).toThrow(DmaFault);
    expect(text(files[2]!.dma!.read(0x40_3000n, 5))).toBe('hello');
    files[2]!.detachIommufdPt({ argsz: 8, flags: 0 });
    expect(() => files[2]!.dma!.read(0x40_3000n, 5)).toThrow(/blocked/);
    for (const open of [...files, context]) open.close();
    bench.iommufd.assertNothingLeft();
  });

  test('nothing is left whatever it detaches and in whatever order it closes', () => {
    const orders = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });
    fc.assert(
      fc.property(orders, fc.subarray([0, 1, 2]), (order, detached) => {
        const bench = new VfioBench();
        const { context, files } = cdevProgram(bench);
        for (const at of detached) files[at]!.detachIommufdPt({ argsz: 8, flags: 0 });
        const open: { close(): void }[] = [...files, context];
        for (const at of order) open[at]!.close();
        bench.iommufd.assertNothingLeft();
        expect(bench.mock.live.size).toBe(2);
        expect(bench.picture()).toMatchObject({ told: [], contexts: [] });
      }),
    );
  });

  test('files of both kinds, opened, used and closed at random, leave nothing', () => {
    const actions = fc.array(fc.tuple(fc.nat(8), fc.nat(30)), { maxLength: 40 });
    fc.assert(
      fc.property(actions, (steps) => {
        const bench = new VfioBench();
        const devices = bench.give('Ga', 'Gb', 'x');
        const contexts: Context[] = [];
        const open: { close(): void }[] = [];
        const attempt = (action: () => { close(): void } | void) => {
          try {
            const opened = action();
            if (opened) open.push(opened);
          } catch (error) {
            if (!(error instanceof Error && 'errno' in error)) throw error;
          }
        };
        const pick = <T>(list: readonly T[], at: number): T | undefined =>
          list[at % Math.max(list.length, 1)];
        for (const [kind, at] of steps) {
          const device = devices[at % devices.length]!;
          const context = pick(contexts, at >> 2);
          const file = pick(
            open.filter((each) => each instanceof VfioDeviceFile),
            at,
          );
          const group = bench.vfio.find(device)!.group.openedFile;
          const iommufd = context ?? {};
          if (kind === 0) contexts.push(bench.open());
          else if (kind === 1) attempt(() => bench.openGroupOf(device));
          else if (kind === 2) attempt(() => bench.openCdev(device));
          else if (kind === 3) attempt(() => group?.setContainer(iommufd));
          else if (kind === 4) attempt(() => group?.getDeviceFd(device.name));
          else if (kind === 5)
            attempt(() => file?.bindIommufd({ argsz: 16, flags: 0, iommufd, outDevid: 0 }));
          else if (kind === 6)
            attempt(() => file?.attachIommufdPt({ argsz: 12, flags: 0, ptId: 1 + (at % 4) }));
          else if (kind === 7) attempt(() => group?.unsetContainer());
          else attempt(() => open.splice(at % Math.max(open.length, 1), 1)[0]?.close());
        }
        for (const file of open) file.close();
        for (const context of contexts) context.close();
        bench.iommufd.assertNothingLeft();
        expect(bench.vfio.devices.map(({ openCount }) => openCount)).toEqual([0, 0, 0]);
        for (const device of devices) bench.bench.core.unbind(device);
        expect([bench.vfio.devices.length, bench.vfio.groups.size]).toEqual([0, 0]);
        expect(bench.iommufd.iommu.messages.warnings).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
