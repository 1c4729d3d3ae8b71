/** The model: address spaces. Everything by looking at all there is; nothing is fast and nothing is clever. */

import { MAX, meets, PAGE, Pages, rangeOf, refuse, runOf } from './pages.ts';
import type { Area, Ioas, Range } from './state.ts';

const HUGE = 0x20_0000n;
/** The one file there is. */
export const FILE_FD = 3;

export abstract class AddressSpaces extends Pages {
  ioasAlloc(context: number, flags: number): number {
    if (flags !== 0) refuse('EOPNOTSUPP');
    const id = this.newId(context);
    const ioas: Ioas = { kind: 'ioas', areas: [], allowed: [], reserved: [], pageWise: false, hwpts: [] };
    this.context(context).things.set(id, ioas);
    return id;
  }

  alignment(context: number, id: number): bigint {
    const ioas = this.ioas(context, id);
    const wishes = [1n];
    if (ioas.pageWise) wishes.push(PAGE);
    for (const hwpt of ioas.hwpts) wishes.push(this.granule(context, hwpt));
    for (const thing of this.context(context).things.values()) {
      if (thing.kind === 'access' && thing.ioas === id && thing.pinning) wishes.push(PAGE);
    }
    return wishes.reduce((a, b) => (a > b ? a : b));
  }

  protected granule(context: number, hwpt: number): bigint {
    const thing = this.context(context).things.get(hwpt);
    return thing?.kind === 'hwpt' && thing.driver === 'selftest' ? 2048n : PAGE;
  }

  /** Every mapping would do with this alignment. */
  protected checkAligned(ioas: Ioas, alignment: bigint): void {
    for (const { iova, last, startByte } of ioas.areas) {
      if ([iova, last + 1n, startByte % PAGE].some((value) => value % alignment !== 0n)) refuse('EADDRINUSE');
    }
  }

  ioasMap(
    context: number,
    call: { ioas: number; flags: number; reserved: number; userVa: bigint; length: bigint; iova: bigint },
  ): bigint {
    const { flags, userVa, length } = call;
    if ((flags & ~7) !== 0 || call.reserved !== 0) refuse('EOPNOTSUPP');
    if (call.iova >= MAX || length >= MAX) refuse('EOVERFLOW');
    if ((flags & 6) === 0) refuse('EINVAL');
    return this.mapUser(context, call.ioas, userVa, length, flags, (flags & 1) === 0 ? undefined : call.iova);
  }

  ioasMapFile(
    context: number,
    call: { ioas: number; flags: number; fd: number; start: bigint; length: bigint; iova: bigint },
  ): bigint {
    const { flags, start, length } = call;
    if ((flags & ~7) !== 0) refuse('EOPNOTSUPP');
    if (call.iova >= MAX || length >= MAX) refuse('EOVERFLOW');
    if ((flags & 6) === 0) refuse('EINVAL');
    const ioas = this.ioas(context, call.ioas);
    if (call.fd !== FILE_FD) refuse('EBADF');
    if (start + length > MAX) refuse('EOVERFLOW');
    if (length === 0n || length > MAX - PAGE) refuse('EINVAL');
    const slice = { set: this.newSet(context, start, flags, true), startByte: start % PAGE, length };
    const fixed = (flags & 1) === 0 ? undefined : call.iova;
    return this.mapSlices(context, call.ioas, ioas, [slice], length, flags, fixed);
  }

  /** Only files stay behind when a process hands its context on; here it hands it to itself. */
  changeProcess(context: number, reserved: number): void {
    if (reserved !== 0) refuse('EOPNOTSUPP');
    for (const thing of this.context(context).things.values()) {
      if (thing.kind !== 'ioas') continue;
      if (thing.areas.some(({ set }) => !this.state.sets.get(set)!.file)) refuse('EINVAL');
    }
  }

  /** @param flags 2 to write, 4 to read */
  protected mapUser(
    context: number,
    id: number,
    userVa: bigint,
    length: bigint,
    flags: number,
    fixed: bigint | undefined,
  ): bigint {
    const ioas = this.ioas(context, id);
    if (length === 0n || length > MAX - PAGE) refuse('EINVAL');
    if (userVa + length > MAX) refuse('EOVERFLOW');
    const slice = { set: this.newSet(context, userVa, flags, false), startByte: userVa % PAGE, length };
    return this.mapSlices(context, id, ioas, [slice], length, flags, fixed);
  }

  private mapSlices(
    context: number,
    id: number,
    ioas: Ioas,
    slices: { set: number; startByte: bigint; length: bigint }[],
    length: bigint,
    flags: number,
    fixed: bigint | undefined,
  ): bigint {
    const alignment = this.alignment(context, id);
    if (length % alignment !== 0n) refuse('EINVAL');
    const { set, startByte } = slices[0]!;
    const from = this.state.sets.get(set)!.address + startByte;
    const iova = fixed ?? this.place(ioas, from, length, alignment);
    if (fixed !== undefined) this.checkFixed(ioas, fixed, length, alignment);
    const areas: Area[] = [];
    let at = iova;
    for (const slice of slices) {
      if ((flags & 2) !== 0 && !this.state.sets.get(slice.set)!.writable) refuse('EPERM');
      if ((slice.startByte % PAGE) % alignment !== 0n) refuse('EINVAL');
      const last = at + slice.length - 1n;
      areas.push({
        iova: at,
        last,
        set: slice.set,
        startByte: slice.startByte,
        read: (flags & 4) !== 0,
        write: (flags & 2) !== 0,
        prevented: false,
      });
      at = last + 1n;
    }
    if (ioas.hwpts.length > 0) for (const area of areas) this.pinRun(runOf(area));
    ioas.areas.push(...areas);
    ioas.areas.sort((a, b) => (a.iova < b.iova ? -1 : 1));
    return iova;
  }

  private checkFixed(ioas: Ioas, iova: bigint, length: bigint, alignment: bigint): void {
    if (iova % alignment !== 0n) refuse('EINVAL');
    const wanted = { start: iova, last: iova + length - 1n };
    if (wanted.last > MAX) refuse('EOVERFLOW');
    if (ioas.reserved.some((range) => meets(range, wanted))) refuse('EINVAL');
    if (ioas.areas.some((area) => meets(rangeOf(area), wanted))) refuse('EEXIST');
  }

  /** The lowest place. It can only be right behind something, or where an allowed range begins. */
  private place(ioas: Ioas, from: bigint, length: bigint, least: bigint): bigint {
    if (length >= MAX / 2n) refuse('EOVERFLOW');
    let alignment = 1n;
    while (alignment < length) alignment *= 2n;
    if (from !== 0n && (from & -from) < alignment) alignment = from & -from;
    if (alignment > HUGE) alignment = HUGE;
    if (alignment < least) refuse('EINVAL');
    const everything = { start: PAGE, last: MAX - PAGE };
    const ranges =
      ioas.allowed.length === 0 ? [everything] : joined(ioas.allowed).map((range) => cut(range, everything));
    const taken = [...ioas.reserved, ...ioas.areas.map(rangeOf)];
    const found: bigint[] = [];
    for (const range of ranges) {
      for (const start of [range.start, ...taken.map(({ last }) => last + 1n)]) {
        if (start < range.start) continue;
        const iova = ceiling(start, alignment, from % PAGE);
        const wanted = { start: iova, last: iova + length - 1n };
        // A byte that is the last of its hole is not used.
        const tail = length === 1n ? { start: iova, last: iova + 1n } : wanted;
        if (tail.last > range.last || taken.some((other) => meets(other, tail))) continue;
        found.push(iova);
      }
    }
    if (found.length === 0) refuse('ENOSPC');
    return found.reduce((a, b) => (a < b ? a : b));
  }

  ioasCopy(
    context: number,
    call: { flags: number; src: number; dst: number; length: bigint; srcIova: bigint; dstIova: bigint },
  ): bigint {
    const { flags, length, srcIova, dstIova } = call;
    if ((flags & ~7) !== 0) refuse('EOPNOTSUPP');
    if ([length, srcIova, dstIova].some((value) => value >= MAX)) refuse('EOVERFLOW');
    if ((flags & 6) === 0) refuse('EINVAL');
    const source = this.ioas(context, call.src);
    if (length === 0n) refuse('EINVAL');
    if (srcIova + length - 1n > MAX) refuse('EOVERFLOW');
    const slices = pieces(source, srcIova, srcIova + length - 1n).map(({ area, start, last }) => ({
      set: area.set,
      startByte: area.startByte + (start - area.iova),
      length: last - start + 1n,
    }));
    if (slices.reduce((sum, slice) => sum + slice.length, 0n) < length) refuse('ENOENT');
    const target = this.ioas(context, call.dst);
    return this.mapSlices(
      context,
      call.dst,
      target,
      slices,
      length,
      flags,
      (flags & 1) === 0 ? undefined : dstIova,
    );
  }

  /** What was unmapped before a refusal stays so: answers both. */
  ioasUnmap(context: number, id: number, iova: bigint, length: bigint): { unmapped: bigint; code?: string } {
    const ioas = this.ioas(context, id);
    const everything = iova === 0n && length === MAX;
    if (!everything) {
      if (iova >= MAX || length >= MAX) refuse('EOVERFLOW');
      if (length === 0n) refuse('EINVAL');
      if (iova + length - 1n > MAX) refuse('EOVERFLOW');
    }
    const result = this.unmapRange(context, id, ioas, iova, everything ? MAX : iova + length - 1n);
    if (result.code === undefined && result.unmapped === 0n && !everything) refuse('ENOENT');
    return result;
  }

  protected unmapRange(
    context: number,
    id: number,
    ioas: Ioas,
    start: bigint,
    last: bigint,
  ): { unmapped: bigint; code?: string } {
    let unmapped = 0n;
    for (const area of ioas.areas.filter((each) => meets(rangeOf(each), { start, last }))) {
      if (area.iova < start || area.last > last) return { unmapped, code: 'ENOENT' };
      if (this.pinnedBy(context, id, area)) {
        area.prevented = true;
        this.askBack(context, id, area.iova, area.last);
        if (this.pinnedBy(context, id, area)) return { unmapped, code: 'EDEADLK' };
      }
      this.forget(context, ioas, area);
      unmapped += area.last - area.iova + 1n;
    }
    return { unmapped: BigInt.asUintN(64, unmapped) };
  }

  private forget(context: number, ioas: Ioas, area: Area): void {
    ioas.areas.splice(ioas.areas.indexOf(area), 1);
    for (const id of ioas.hwpts) {
      const hwpt = this.context(context).things.get(id);
      if (hwpt?.kind !== 'hwpt') continue;
      for (const page of [...hwpt.dirty]) if (page >= area.iova && page <= area.last) hwpt.dirty.delete(page);
    }
  }

  private pinnedBy(context: number, id: number, area: Area): boolean {
    return [...this.context(context).things.values()].some(
      (thing) =>
        thing.kind === 'access' &&
        thing.ioas === id &&
        thing.pins.some((pin) => pin.pages.some((page) => page.area === area.iova)),
    );
  }

  /** Users that are not stubborn let go of all pins that meet the range. */
  private askBack(context: number, id: number, start: bigint, last: bigint): void {
    for (const thing of this.context(context).things.values()) {
      if (thing.kind !== 'access' || thing.ioas !== id || thing.stubborn) continue;
      thing.pins = thing.pins.filter(
        (pin) => !meets({ start: pin.iova, last: pin.iova + pin.length - 1n }, { start, last }),
      );
    }
  }

  allowIovas(context: number, id: number, reserved: number, ranges: Range[] | undefined): void {
    if (reserved !== 0) refuse('EOPNOTSUPP');
    const ioas = this.ioas(context, id);
    if (ranges === undefined) refuse('EFAULT');
    ranges.forEach((range, at) => {
      if (range.start >= range.last) refuse('EINVAL');
      if (ranges.slice(0, at).some((other) => meets(other, range))) refuse('EINVAL');
    });
    if (ranges.some((range) => ioas.reserved.some((taken) => meets(taken, range)))) refuse('EADDRINUSE');
    ioas.allowed = ranges;
  }

  /** What IOVA_RANGES lists. */
  usable(context: number, id: number): Range[] {
    const holes: Range[] = [];
    let from = 0n;
    for (const { start, last } of joined(this.ioas(context, id).reserved)) {
      if (start > from) holes.push({ start: from, last: start - 1n });
      from = last + 1n;
    }
    if (from <= MAX) holes.push({ start: from, last: MAX });
    return holes;
  }

  reserve(ioas: Ioas, owner: string, range: Range): void {
    if (ioas.areas.some((area) => meets(rangeOf(area), range))) refuse('EADDRINUSE');
    if (ioas.allowed.some((allowed) => meets(allowed, range))) refuse('EADDRINUSE');
    ioas.reserved.push({ owner, ...range });
  }

  unreserve(ioas: Ioas, owner: string): void {
    ioas.reserved = ioas.reserved.filter((range) => range.owner !== owner);
  }

  setHugePages(context: number, id: number, value: bigint): void {
    const ioas = this.ioas(context, id);
    if (value === 1n) {
      ioas.pageWise = false;
      return;
    }
    if (value !== 0n) refuse('EINVAL');
    if (ioas.pageWise) return;
    if (ioas.hwpts.length > 0 && ioas.areas.length > 0) refuse('EINVAL');
    if (this.alignment(context, id) < PAGE) this.checkAligned(ioas, PAGE);
    ioas.pageWise = true;
  }

  /** Cuts areas so that each of `lasts` ends one. Cuts before a refused one stay. */
  protected cutAreas(context: number, id: number, lasts: bigint[]): string | undefined {
    const ioas = this.ioas(context, id);
    for (const last of lasts) {
      const area = ioas.areas.find((each) => each.iova <= last && last <= each.last);
      if (area === undefined || last === area.iova || last === area.last) continue;
      if (area.prevented) return 'EBUSY';
      const alignment = this.alignment(context, id);
      const cutAt = area.startByte + (last + 1n - area.iova);
      if ((last + 1n) % alignment !== 0n || cutAt % alignment !== 0n) return 'EINVAL';
      if (this.pinnedBy(context, id, area)) return 'EINVAL';
      if (ioas.hwpts.length > 0 && !ioas.pageWise) return 'EINVAL';
      const right: Area = { ...area, iova: last + 1n, startByte: cutAt };
      area.last = last;
      ioas.areas.splice(ioas.areas.indexOf(area) + 1, 0, right);
    }
    return undefined;
  }
}

/** The parts of areas that cover a range from its start on, up to the first gap. */
export function pieces(
  ioas: Ioas,
  start: bigint,
  last: bigint,
): { area: Area; start: bigint; last: bigint }[] {
  const found: { area: Area; start: bigint; last: bigint }[] = [];
  let from = start;
  while (from <= last) {
    const at = from;
    const area = ioas.areas.find((each) => each.iova <= at && at <= each.last);
    if (area === undefined) break;
    const end = area.last < last ? area.last : last;
    found.push({ area, start: from, last: end });
    from = end + 1n;
  }
  return found;
}

/** Behind something that does not end at a page the offset in the page is only or-ed in, and so not always kept. */
function ceiling(start: bigint, alignment: bigint, offset: bigint): bigint {
  const past = start % alignment;
  return (past === 0n ? start : start - past + alignment) | offset;
}

function cut(range: Range, to: Range): Range {
  return {
    start: range.start < to.start ? to.start : range.start,
    last: range.last > to.last ? to.last : range.last,
  };
}

function joined(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.start < b.start ? -1 : 1));
  const spans: Range[] = [];
  for (const { start, last } of sorted) {
    const before = spans.at(-1);
    if (before === undefined || start > before.last + 1n) spans.push({ start, last });
    else if (last > before.last) before.last = last;
  }
  return spans;
}
