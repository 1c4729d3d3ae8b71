/** Many small mappings through the calls: IOAS_MAP, IOAS_COPY, IOAS_UNMAP. */

import { destroy, ioasCopy, ioasMap, ioasUnmap } from '../src/iommufd/calls/index.ts';
import type { HwptPaging } from '../src/iommufd/hwpt-paging.ts';
import { shuffle, xorshift } from './area-work.ts';
import {
  type BenchMachine,
  benchMachine,
  FIXED_READ_WRITE,
  map,
  newHwpt,
  newIoas,
} from './iommufd-machine.ts';
import { median } from './stats.ts';

/** Calls of each kind at least in a round; small address spaces are filled again and again. */
const CALLS = 200_000;
const WARM_UP = 1;
/** A million mappings take a quarter of a minute to come and go. */
const MOST_ROUNDS = 3;
const PAGE = 4096n;
/** Mappings of a page, with a page between each and the next, so that no two could be one leaf. */
const STRIDE = 2n * PAGE;
const IOVA = 1n << 32n;

const TIMED_CALLS = ['map', 'copy', 'unmap', 'place'] as const;
type Timed = (typeof TIMED_CALLS)[number];

/** Nanoseconds a call, in random order of addresses. */
export interface CallTimes extends Record<Timed, number> {
  /** Bytes for each mapping: all there is of it but page tables, which are `tableBytes`. */
  bytes: number;
  tableBytes: number;
}

export interface AreaCalls {
  /** Nobody sees the address space yet, so nothing is pinned. */
  lazy: CallTimes;
  /** A device is attached: every call pins and fills, or empties and unpins. */
  attached: CallTimes;
}

interface Work extends BenchMachine {
  attached: boolean;
  /** Where each mapping goes, and its memory. */
  iovas: readonly bigint[];
  addresses: readonly bigint[];
}

/** @param size mappings there are at once */
export async function areaCalls(size: number, rounds: number): Promise<AreaCalls> {
  const machine = await benchMachine();
  const arena = machine.memory.mmap(size);
  const order = Array.from({ length: size }, (_, n) => n);
  shuffle(order, xorshift());
  const iovas = order.map((slot) => IOVA + BigInt(slot) * STRIDE);
  const addresses = order.map((slot) => arena.base + BigInt(slot) * PAGE);
  const [lazy, attached] = [false, true].map((attached) =>
    measure({ ...machine, attached, iovas, addresses }, Math.min(rounds, MOST_ROUNDS)),
  );
  return { lazy: lazy!, attached: attached! };
}

function measure(work: Work, rounds: number): CallTimes {
  const all = Array.from({ length: WARM_UP + rounds }, () => round(work)).slice(WARM_UP);
  const medians = TIMED_CALLS.map((call) => [call, median(all.map((one) => one[call]))]);
  return { ...(Object.fromEntries(medians) as Record<Timed, number>), ...memoryOf(work) };
}

function round(work: Work): Record<Timed, number> {
  const ms = { map: 0, place: 0, copy: 0, unmap: 0 };
  const size = work.iovas.length;
  const fillings = Math.ceil(CALLS / size);
  for (let filling = 0; filling < fillings; filling++) fill(work, ms);
  const each = (call: Timed) => (ms[call] * 1e6) / (size * fillings);
  return { map: each('map'), copy: each('copy'), unmap: each('unmap'), place: each('place') };
}

function fill({ context, device, attached, iovas, addresses }: Work, ms: Record<Timed, number>): void {
  const timed = (call: Timed, work: (n: number) => void) => {
    const start = performance.now();
    for (let n = 0; n < iovas.length; n++) work(n);
    ms[call] += performance.now() - start;
  };
  const ioas = newIoas(context);
  const other = newIoas(context);
  if (attached) device.attach(ioas);
  timed('map', (n) => map(context, ioas, addresses[n]!, PAGE, iovas[n]!));
  timed('copy', (n) =>
    ioasCopy(context, {
      flags: FIXED_READ_WRITE,
      srcIoasId: ioas,
      dstIoasId: other,
      srcIova: iovas[n]!,
      dstIova: iovas[n]!,
      length: PAGE,
    }),
  );
  timed('unmap', (n) => ioasUnmap(context, { ioasId: ioas, iova: iovas[n]!, length: PAGE }));
  timed('place', (n) =>
    ioasMap(context, {
      flags: FIXED_READ_WRITE & ~1,
      ioasId: ioas,
      reserved: 0,
      userVa: addresses[n]!,
      length: PAGE,
      iova: 0n,
    }),
  );
  if (attached) device.detach();
  for (const id of [ioas, other]) destroy(context, { id });
}

/** Of address spaces filled once; small ones are many, so that the heap's own coming and going does not show. */
function memoryOf({ context, device, attached, iovas, addresses }: Work) {
  const spaces = Array.from({ length: Math.ceil(CALLS / iovas.length) }, () => newIoas(context));
  const hwpts = attached ? spaces.map((ioas) => newHwpt(context, device.id, ioas)) : [];
  const before = used();
  for (const ioas of spaces) {
    for (const [n, iova] of iovas.entries()) map(context, ioas, addresses[n]!, PAGE, iova);
  }
  const bytes = used() - before;
  const domains = hwpts.map((id) => context.objects.peek<HwptPaging>(id, 'hwpt-paging')!.domain);
  const tables = domains.reduce((sum, { pageTable }) => sum + pageTable!.tables * 4096, 0);
  for (const id of [...hwpts, ...spaces]) destroy(context, { id });
  const mappings = iovas.length * spaces.length;
  return { bytes: (bytes - tables) / mappings, tableBytes: tables / mappings };
}

function used(): number {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: what the first lets go of, the second frees.
  gc?.();
  gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
