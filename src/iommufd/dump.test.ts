import { describe, expect, it } from 'vitest';
import { Prot } from '../iommu/domain.ts';
import { Access } from './access.ts';
import { faultQueueAlloc } from './calls/fault-queue-alloc.ts';
import { describeContext, describeIommufd } from './dump.ts';
import { Ioas } from './ioas.ts';
import { SelftestDevice } from './selftest/selftest-device.ts';
import { IommufdBench } from './testing.ts';

const PAGE = 4096n;

function busyBench() {
  const bench = new IommufdBench({ withSelftest: true });
  const context = bench.open();
  const ioas = Ioas.alloc(context);
  context.objects.publish(ioas);
  const { stdev } = SelftestDevice.create(context, 0, ioas.id);
  const access = Access.create(context, {
    needsPinPages: true,
    unmap: () => access.unpinPages(0x200_0000n, PAGE),
  });
  access.attach(ioas.id);
  const arena = bench.memory.mmap(4);
  const prot = Prot.Read | Prot.Write | Prot.Cache;
  ioas.iovas.mapUserPages(bench.memory, arena.base, 2n * PAGE, prot, { iova: 0x200_0000n });
  faultQueueAlloc(context, { flags: 0, outFaultId: 0, outFaultFd: 0 });
  return { bench, context, ioas, access, arena, stdev };
}

describe('a picture of iommufd', () => {
  it('is plain data: survives JSON', () => {
    const { bench, access } = busyBench();
    access.pinPages(0x200_0000n, PAGE);
    const picture = describeIommufd(bench.iommufd);
    expect(JSON.parse(JSON.stringify(picture))).toEqual(picture);
  });

  it('is the same for the same state, made twice', () => {
    expect(describeIommufd(busyBench().bench.iommufd)).toEqual(describeIommufd(busyBench().bench.iommufd));
  });

  it('names objects with their users, areas, page tables, pins and groups', () => {
    const { bench, context, access, arena } = busyBench();
    const runs = access.pinPages(0x200_0000n, PAGE);
    const picture = describeContext(context);
    expect(picture.objects.map(({ id, type, users }) => `${id} ${type} ${users}`)).toEqual([
      '1 ioas 3',
      '2 selftest 1',
      '3 device 3',
      '4 hwpt-paging 2',
      '5 access 2',
      '6 fault 2',
    ]);
    expect(picture.objects[0]!.details).toMatchObject({
      areas: [{ range: '0x2000000-0x2001fff', startByte: '0x0', filled: 1, accesses: 1, pages: 0 }],
      hwpts: [4],
    });
    const frame = arena.frames.first;
    expect(runs.first(0)).toBe(frame);
    const memory = `0x${(BigInt(frame) * PAGE).toString(16)}`;
    expect(JSON.stringify(picture.objects[3]!.details)).toContain(`-> ${memory} `);
    expect(picture.pageSets).toMatchObject([
      { pages: 2, pinned: 2, accesses: [{ first: 0, last: 0, users: 1 }] },
    ]);
    expect(picture.groups).toMatchObject([{ attachments: [{ pasid: 0, hwpt: 4, devices: [3] }] }]);
    const [group] = describeIommufd(bench.iommufd).groups;
    expect(group).toMatchObject({ owner: 'iommufd 1', domain: { hwpt: 'iommufd 1 HWPT 4' } });
  });

  it('differs when a page more is pinned, and not when that is undone', () => {
    const { bench, access } = busyBench();
    const before = describeIommufd(bench.iommufd);
    access.pinPages(0x200_0000n, PAGE);
    expect(describeIommufd(bench.iommufd)).not.toEqual(before);
    access.unpinPages(0x200_0000n, PAGE);
    expect(describeIommufd(bench.iommufd)).toEqual(before);
  });

  it('is empty again when everything is closed', () => {
    const { bench, context, access } = busyBench();
    context.close();
    access.release();
    expect(context.isReleased).toBe(false);
    bench.files.closeAll();
    expect(context.isReleased).toBe(true);
    bench.iommufd.assertNothingLeft();
    expect(describeIommufd(bench.iommufd)).toMatchObject({ contexts: [], groups: [], pinned: 0 });
  });
});
