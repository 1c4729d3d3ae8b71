/** What the random sequences found, each in its shortest form. */

import { expect, test } from 'vitest';
import { answerOf } from '../../../src/iommu/testing.ts';
import type { HwptPaging } from '../../../src/iommufd/hwpt-paging.ts';
import { map, mockDomain, newHwpt, newIoas } from '../calls.ts';
import { Machine, PAGE } from '../machine.ts';

test('a replace by an IOAS with an automatic table of another IOMMU makes a table of its own', () => {
  const on = new Machine();
  const { context } = on;
  const [here, there] = [newIoas(context), newIoas(context)];
  const { hwpt: foreign } = mockDomain(context, there);
  const bound = on.bind('Ha');
  bound.attach(here);
  const own = bound.replace(there);
  expect(own).not.toBe(foreign);
  const { domain } = context.objects.peek<HwptPaging>(own, 'hwpt-paging')!;
  expect(domain.owner).toBe(on.driver);
  expect(answerOf(() => bound.replace(foreign))).toBe('EINVAL');
  on.end();
});

test('automatic placement behind what does not end at a page need not keep the offset in the page', () => {
  const on = new Machine();
  const { context, memory } = on;
  const ioas = newIoas(context);
  const { base } = memory.mmap(4);
  map(context, ioas, base, 0x235n, PAGE);
  const { iovas } = context.objects.peek<HwptPaging['ioas']>(ioas, 'ioas')!;
  // 0x1235 with the offset or-ed in: the kernel aligns to the lowest bit of the address only.
  expect(iovas.mapUserPages(memory, base + 1n, PAGE, 7)).toBe(0x1235n);
  on.end();
});

test('DMA through a nested table ends each piece where the leaf of the parent ends', () => {
  const on = new Machine();
  const { context, memory } = on;
  const ioas = newIoas(context);
  const arena = memory.mmap(8, { frames: 'scattered' });
  const scratch = memory.mmap(1).base;
  map(context, ioas, arena.base, 4n * PAGE, 0x100_0000n);
  const bound = on.bind('Ha');
  const parent = newHwpt(context, bound.id, ioas, { flags: 1 });
  memory.write(scratch, new Uint8Array(BigUint64Array.of(100n).buffer));
  bound.attach(newHwpt(context, bound.id, parent, { dataType: 0x6d6f636b, dataLen: 8, dataUptr: scratch }));
  const bytes = Uint8Array.from({ length: 9000 }, (_, at) => at & 0xff);
  bound.dma.write(0x100_0000n - 100n, bytes);
  expect(arena.bytes(arena.base, 9000)).toEqual(bytes);
  on.end();
});
