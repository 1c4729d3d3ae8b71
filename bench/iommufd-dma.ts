/** What devices do: bytes moved through page tables, and the marks that leaves in the dirty bitmap. */

import { HwptAllocFlag } from '../src/iommufd/calls/hwpt-alloc.ts';
import { hwptGetDirtyBitmap, hwptSetDirtyTracking } from '../src/iommufd/calls/index.ts';
import type { HwptPaging } from '../src/iommufd/hwpt-paging.ts';
import { benchMachine, map, newHwpt, newIoas } from './iommufd-machine.ts';
import { median } from './stats.ts';

const WARM_UP = 2;
/** 16 million pages are written to in each. */
const DIRTY_ROUNDS = 3;
const IOVA = 1n << 36n;
const PAGE = 4096n;
const GiB = 1n << 30n;

/** Milliseconds one HWPT_GET_DIRTY_BITMAP takes. */
export interface DirtyTimes {
  leaf: string;
  none: number;
  few: number;
  some: number;
  all: number;
}

/** @param gibibytes of mapped memory; one bit stands for 4 KiB */
export async function dirtyBitmap(gibibytes: number, wanted: number): Promise<DirtyTimes[]> {
  const rounds = Math.min(wanted, DIRTY_ROUNDS);
  const { context, device, memory } = await benchMachine();
  const length = BigInt(gibibytes) * GiB;
  const pages = Number(length / PAGE);
  const arena = memory.mmap(pages, { align: 1 << 18 });
  const bitmap = memory.mmap(Math.ceil(pages / 8 / 4096));
  const results: DirtyTimes[] = [];
  for (const largeLeaves of [false, true]) {
    const ioas = newIoas(context, largeLeaves);
    map(context, ioas, arena.base, length, IOVA);
    const hwptId = newHwpt(context, device.id, ioas, HwptAllocFlag.DirtyTracking);
    hwptSetDirtyTracking(context, { flags: 1, hwptId, reserved: 0 });
    const table = context.objects.peek<HwptPaging>(hwptId, 'hwpt-paging')!.domain.pageTable!;
    const read = () =>
      hwptGetDirtyBitmap(context, {
        hwptId,
        flags: 0,
        reserved: 0,
        iova: IOVA,
        length,
        pageSize: PAGE,
        data: bitmap.base,
      });
    const time = (step: bigint | undefined) => {
      const times: number[] = [];
      for (let round = 0; round < rounds + 1; round++) {
        for (let at = 0n; step !== undefined && at < length; at += step) table.access(IOVA + at, true);
        const start = performance.now();
        read();
        if (round > 0) times.push(performance.now() - start);
      }
      return median(times);
    };
    results.push({
      leaf: largeLeaves ? '1 GiB' : '4 KiB',
      none: time(undefined),
      few: time(GiB),
      some: time(PAGE * 1000n),
      all: time(PAGE),
    });
  }
  return results;
}

/** Bytes a second. */
export interface DmaSpeed {
  memory: string;
  read: number;
  write: number;
}

export interface DmaSpeeds {
  block: number;
  /** One typed array into another, block by block. */
  limit: number;
  speeds: DmaSpeed[];
}

/** @param block bytes of one access */
export async function deviceDma(block: number, rounds: number): Promise<DmaSpeeds> {
  const { context, device, memory } = await benchMachine();
  const pages = 16_384;
  const bytes = pages * 4096;
  const speeds = (
    [
      ['contiguous, large leaves', 'contiguous'],
      ['scattered frames', 'scattered'],
    ] as const
  ).map(([name, frames]) => {
    const arena = memory.mmap(pages, { frames, align: 512 });
    const ioas = newIoas(context);
    map(context, ioas, arena.base, BigInt(bytes), IOVA);
    device.attach(ioas);
    const from = new Uint8Array(block).fill(1);
    const addresses = Array.from({ length: bytes / block }, (_, n) => IOVA + BigInt(n * block));
    const write = speed(bytes, rounds, () => {
      for (const iova of addresses) device.dma.write(iova, from);
    });
    const read = speed(bytes, rounds, () => {
      for (const iova of addresses) sink += device.dma.read(iova, block)[0]!;
    });
    device.detach();
    return { memory: name, read, write };
  });
  const target = new Uint8Array(bytes);
  const source = new Uint8Array(bytes).fill(1);
  const limit = speed(bytes, rounds, () => {
    for (let at = 0; at < bytes; at += block) target.set(source.subarray(at, at + block), at);
  });
  if (sink + target[0]! === 0) throw new Error('nothing was moved');
  return { block, limit, speeds };
}

let sink = 0;

function speed(bytes: number, rounds: number, work: () => void): number {
  const times: number[] = [];
  for (let round = 0; round < rounds + WARM_UP; round++) {
    const start = performance.now();
    work();
    if (round >= WARM_UP) times.push(performance.now() - start);
  }
  return bytes / (median(times) / 1000);
}
