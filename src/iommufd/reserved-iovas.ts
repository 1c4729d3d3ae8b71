/** Addresses nobody may map, by whoever reserved them (`iopt_reserved`). Reservations of different owners may overlap. */

import { firstMeeting, holesBetween, type IovaRange, joined } from './iova-range.ts';
import { ULONG_MAX } from './limits.ts';

/** A domain, for what lies outside its aperture; a device, for its reserved regions; null for a test's reservation. */
export type ReservationOwner = { readonly name: string } | null;

export interface Reservation extends IovaRange {
  readonly owner: ReservationOwner;
}

export class ReservedIovas {
  readonly #byOwner = new Map<ReservationOwner, Reservation[]>();
  /** Joined spans, until the next change. The devices of a machine mostly reserve the same few. */
  #spans: readonly IovaRange[] | undefined;

  get size(): number {
    let size = 0;
    for (const ranges of this.#byOwner.values()) size += ranges.length;
    return size;
  }

  add(owner: ReservationOwner, start: bigint, last: bigint): void {
    const reservation = { owner, start, last };
    const ranges = this.#byOwner.get(owner);
    if (ranges === undefined) this.#byOwner.set(owner, [reservation]);
    else ranges.push(reservation);
    if (!this.#covers(start, last)) this.#spans = undefined;
  }

  /** `__iopt_remove_reserved_iova`: everything this owner reserved is free again, as far as no other owner minds. */
  removeOwner(owner: ReservationOwner): void {
    if (this.#byOwner.delete(owner)) this.#spans = undefined;
  }

  /** What is reserved, ascending, overlapping and touching reservations made one. */
  get spans(): readonly IovaRange[] {
    this.#spans ??= joined(this);
    return this.#spans;
  }

  /** `iopt_reserved_iter_first`: the first reserved span that shares an address with `start … last`. */
  meeting(start: bigint, last: bigint): IovaRange | undefined {
    return firstMeeting(this.spans, start, last);
  }

  /** The holes of `interval_tree_for_each_span` over 0 to 2^64-1. */
  holes(): IovaRange[] {
    return holesBetween(this.spans, 0n, ULONG_MAX);
  }

  /** Every reservation, by start, then by end. */
  *[Symbol.iterator](): Generator<Reservation> {
    const all = [...this.#byOwner.values()].flat();
    all.sort((a, b) => compare(a.start, b.start) || compare(a.last, b.last));
    yield* all;
  }

  #covers(start: bigint, last: bigint): boolean {
    if (this.#spans === undefined) return false;
    const span = firstMeeting(this.#spans, start, last);
    return span !== undefined && span.start <= start && span.last >= last;
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
