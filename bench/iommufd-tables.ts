/** A device with much mapped memory: attached, moved to other page tables, detached. */

import { destroy, ioasCopy } from '../src/iommufd/calls/index.ts';
import { benchMachine, FIXED_READ_WRITE, map, newHwpt, newIoas } from './iommufd-machine.ts';
import { median } from './stats.ts';

/** Rounds that run code V8 has not compiled for good yet. */
const WARM_UP = 3;
const IOVA = 1n << 36n;
/** In pages: leaves of 1 GiB fit. */
const ALIGN = 1 << 18;

const TIMED = ['attach', 'replaceIoas', 'replaceHwpt', 'detach'] as const;
type Timed = (typeof TIMED)[number];

/** Times are milliseconds. */
export interface Moves extends Record<Timed, number> {
  memory: string;
  /** To an IOAS that is in no page table: pages are pinned, a table is filled. */
  attach: number;
  /** To an IOAS with copies of the same mappings: another table is filled, the first emptied; nothing is pinned anew. */
  replaceIoas: number;
  /** To a page table that is full already. */
  replaceHwpt: number;
  /** The table is emptied, pages are unpinned. */
  detach: number;
  /** Pages of table memory. */
  tables: number;
}

const MEMORIES = [
  { memory: 'contiguous, large leaves', frames: 'contiguous', largeLeaves: true },
  { memory: 'contiguous, 4 KiB leaves', frames: 'contiguous', largeLeaves: false },
  { memory: 'scattered frames', frames: 'scattered', largeLeaves: true },
] as const;

export async function moveBetweenTables(pages: number, rounds: number): Promise<Moves[]> {
  const { context, device, memory } = await benchMachine();
  const length = BigInt(pages) * 4096n;
  return MEMORIES.map(({ memory: name, frames, largeLeaves }) => {
    const arena = memory.mmap(pages, { frames, align: ALIGN });
    const times = Object.fromEntries(TIMED.map((field) => [field, []])) as unknown as Record<Timed, number[]>;
    let tables = 0;
    for (let round = 0; round < rounds + WARM_UP; round++) {
      const measure = (field: Timed, work: () => void) => {
        const start = performance.now();
        work();
        if (round >= WARM_UP) times[field].push(performance.now() - start);
      };
      const first = newIoas(context, largeLeaves);
      const second = newIoas(context, largeLeaves);
      map(context, first, arena.base, length, IOVA);
      ioasCopy(context, {
        flags: FIXED_READ_WRITE,
        srcIoasId: first,
        dstIoasId: second,
        srcIova: IOVA,
        dstIova: IOVA,
        length,
      });
      measure('attach', () => device.attach(first));
      tables = device.group.hwpt?.domain.pageTable?.tables ?? 0;
      measure('replaceIoas', () => device.replace(second));
      const made = [newHwpt(context, device.id, second), newHwpt(context, device.id, second)];
      device.replace(made[0]!);
      measure('replaceHwpt', () => device.replace(made[1]!));
      device.replace(second);
      for (const id of made) destroy(context, { id });
      measure('detach', () => device.detach());
      for (const id of [first, second]) destroy(context, { id });
    }
    memory.munmap(arena);
    const medians = Object.fromEntries(TIMED.map((field) => [field, median(times[field])]));
    return { memory: name, tables, ...(medians as Record<Timed, number>) };
  });
}
