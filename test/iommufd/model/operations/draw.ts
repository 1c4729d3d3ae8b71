/** What the arguments of a random call are drawn from: mostly what there is, now and then what makes no sense. */

import { MSI_GB, PAGE, RESERVED_GA, RESERVED_HA, ULONG_MAX } from '../../machine.ts';
import type { Choices } from '../choices.ts';
import { driverOf } from '../devices.ts';
import type { Thing } from '../state.ts';
import type { World } from '../world.ts';

export type Operation = (on: World, choose: Choices) => void;

export const GROUP_DEVICES = ['Ga', 'Gb', 'Gc', 'Ha'];
export const BASE = 0x100_0000n;

/** Mostly the first context, where things are. */
export function contextOf(choose: Choices): number {
  return choose.rarely(25) ? 1 : 0;
}

export function idsOf(on: World, at: number, kind: Thing['kind']): number[] {
  return [...on.model.context(at).things].filter(([, thing]) => thing.kind === kind).map(([id]) => id);
}

/** One of this kind; now and then of another, or none at all. */
export function id(on: World, at: number, choose: Choices, ...kinds: Thing['kind'][]): number {
  if (choose.rarely(24)) return choose.pick([0, 99, ...on.model.context(at).things.keys()]);
  const ids = kinds.flatMap((kind) => idsOf(on, at, kind));
  return ids.length === 0 ? 77 : choose.pick(ids);
}

/** One there is, or the operation is none. */
export function some(on: World, at: number, choose: Choices, kind: Thing['kind']): number | undefined {
  const ids = idsOf(on, at, kind);
  return ids.length === 0 ? undefined : choose.pick(ids);
}

export function addressIn(choose: Choices): bigint {
  if (choose.rarely(10)) {
    return choose.pick([
      0n,
      PAGE,
      BASE - PAGE,
      RESERVED_GA.start,
      MSI_GB.start - PAGE,
      RESERVED_HA.last,
      0x7fff_f000n,
      0x8000_0000n,
      ULONG_MAX,
      ULONG_MAX - 1n,
      ULONG_MAX - PAGE + 1n,
      BASE + 1n,
    ]);
  }
  const iova = BASE + BigInt(choose.next(14)) * PAGE;
  return choose.rarely(8) ? iova + 2048n : iova;
}

export function lengthIn(choose: Choices): bigint {
  if (choose.rarely(10)) {
    return choose.pick([
      0n,
      1n,
      1000n,
      2048n,
      6144n,
      512n * PAGE,
      ULONG_MAX,
      ULONG_MAX - 1n,
      1n << 63n,
      1n << 40n,
    ]);
  }
  return BigInt(choose.next(5) + 1) * PAGE;
}

export function userAddress(on: World, choose: Choices): bigint {
  if (choose.rarely(12)) return choose.pick([0n, PAGE, ULONG_MAX - PAGE + 1n, 0x1234n, on.arenas[4]!.base]);
  const address = on.arenas[0]!.base + BigInt(choose.next(19)) * PAGE;
  return choose.rarely(10) ? address + choose.pick([2048n, 1n, 100n]) : address;
}

export function mapFlags(choose: Choices): number {
  if (choose.rarely(20)) return choose.pick([0, 1, 8, 15]);
  return choose.pick([7, 7, 7, 5, 3, 6, 6, 4]);
}

export function bytesOf(choose: Choices): Uint8Array {
  const length = choose.pick([1, 8, 100, 2048, 4096, 5000, 9000, 0]);
  const seed = choose.next(256);
  return Uint8Array.from({ length }, (_, at) => (at * 7 + seed) & 0xff);
}

/** An address in what is mapped, where anything is. */
export function mappedAddress(on: World, at: number, ioas: number, choose: Choices): bigint {
  const thing = on.model.context(at).things.get(ioas);
  if (thing?.kind !== 'ioas' || thing.areas.length === 0 || choose.rarely(8)) return addressIn(choose);
  const area = choose.pick(thing.areas);
  const pages = (area.last - area.iova + 1n) / PAGE;
  return area.iova + BigInt(choose.next(Number(pages > 4n ? 4n : pages) || 1)) * PAGE;
}

export function mappedLength(on: World, at: number, ioas: number, iova: bigint, choose: Choices): bigint {
  const thing = on.model.context(at).things.get(ioas);
  const area =
    thing?.kind === 'ioas' ? thing.areas.find((each) => each.iova <= iova && iova <= each.last) : undefined;
  return area === undefined || choose.rarely(3) ? lengthIn(choose) : area.last - iova + 1n;
}

/** A device of a group: those of the selftest go with their own object. */
export function bound(on: World, at: number, choose: Choices): number | undefined {
  const ids = idsOf(on, at, 'device').filter((each) => driverOf(on.model.device(at, each).name) === 'group');
  return ids.length === 0 ? undefined : choose.pick(ids);
}
