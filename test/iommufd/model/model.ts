/** The model as a whole: dirty bits, DMA, old VFIO calls, and calls that are refused and change nothing. */

import { pieces } from './address-spaces.ts';
import { Devices } from './devices.ts';
import { MAX, refuse } from './pages.ts';
import { type Area, Refusal } from './state.ts';

/** Where a byte of DMA or of an access is in the process's memory. */
export type Reached = bigint | string;

export class Model extends Devices {
  setDirty(context: number, id: number, flags: number): void {
    if ((flags & ~1) !== 0) refuse('EOPNOTSUPP');
    const hwpt = this.hwpt(context, id);
    if (hwpt.parent !== undefined) refuse('ENOENT');
    if (!hwpt.dirtyOps) refuse('EOPNOTSUPP');
    hwpt.tracking = flags === 1;
    if (hwpt.tracking) hwpt.dirty.clear();
  }

  /** Numbers of the bits that are set. */
  getDirty(
    context: number,
    call: { hwpt: number; flags: number; iova: bigint; length: bigint; pageSize: bigint },
  ): Set<number> {
    const { iova, length, pageSize } = call;
    if ((call.flags & ~1) !== 0) refuse('EOPNOTSUPP');
    const hwpt = this.hwpt(context, call.hwpt);
    if (hwpt.parent !== undefined) refuse('ENOENT');
    if (length === 0n) refuse('EINVAL');
    const last = iova + length - 1n;
    if (last > MAX) refuse('EOVERFLOW');
    const alignment = this.alignment(context, hwpt.ioas);
    if (iova % alignment !== 0n || (last + 1n) % alignment !== 0n) refuse('EINVAL');
    if (pageSize === 0n || iova % pageSize !== 0n || (last + 1n) % pageSize !== 0n) refuse('EINVAL');
    if (!hwpt.dirtyOps) refuse('EOPNOTSUPP');
    const bits = new Set<number>();
    if (!hwpt.tracking) return bits;
    for (const { start, last: end } of pieces(this.ioas(context, hwpt.ioas), iova, last)) {
      for (const page of [...hwpt.dirty]) {
        if (page < start || page > end) continue;
        // Every bit that stands for a byte of the page, whatever the size asked for.
        for (
          let byte = page;
          byte < page + 2048n && byte <= last;
          byte += pageSize < 2048n ? pageSize : 2048n
        ) {
          bits.add(Number((byte - iova) / pageSize));
        }
        if ((call.flags & 1) === 0) hwpt.dirty.delete(page);
      }
    }
    return bits;
  }

  /** Where DMA of a device to `iova` arrives; or why not. Marks what is written to. */
  dma(name: string, pasid: number, iova: bigint, write: boolean): Reached {
    const { owner, attachments } = this.groupOf(name);
    const attachment = attachments.get(pasid);
    if (attachment === undefined) return 'blocked';
    const hwpt = this.hwpt(owner!, attachment.hwpt);
    // A guest's table only adds its offset; what is written to is kept by the table below.
    const table = hwpt.parent === undefined ? hwpt : this.hwpt(owner!, hwpt.parent);
    const at = BigInt.asUintN(64, iova + hwpt.offset);
    const area = this.ioas(owner!, hwpt.ioas).areas.find((each) => each.iova <= at && at <= each.last);
    if (iova > MAX || area === undefined) return 'not-mapped';
    if (write && !area.write) return 'not-writable';
    if (!write && !area.read) return 'not-readable';
    if (write && table.tracking) table.dirty.add(at - (at % 2048n));
    return this.addressOf(area, at);
  }

  vfioIoas(context: number, op: number, id: number): number | undefined {
    if (op === 0) return this.context(context).vfioIoas ?? refuse('ENODEV');
    if (op > 2) refuse('EOPNOTSUPP');
    if (op === 1) this.ioas(context, id);
    this.context(context).vfioIoas = op === 1 ? id : undefined;
    return undefined;
  }

  vfioSetIommu(context: number, type: number): void {
    if (type !== 1 && type !== 3) refuse('EINVAL');
    const id = this.vfioIoas(context, 0, 0)!;
    if (type === 1) this.setHugePages(context, id, 0n);
  }

  vfioMap(context: number, call: { flags: number; vaddr: bigint; size: bigint; iova: bigint }): void {
    if ((call.flags & ~3) !== 0) refuse('EINVAL');
    const id = this.vfioIoas(context, 0, 0)!;
    const flags = ((call.flags & 1) === 0 ? 0 : 4) | ((call.flags & 2) === 0 ? 0 : 2);
    this.mapUser(context, id, call.vaddr, call.size, flags, call.iova);
  }

  vfioUnmap(
    context: number,
    call: { flags: number; iova: bigint; size: bigint },
  ): { size: bigint; code?: string } {
    const { flags, iova, size } = call;
    if ((flags & ~2) !== 0) refuse('EINVAL');
    const id = this.vfioIoas(context, 0, 0)!;
    const ioas = this.ioas(context, id);
    if (flags === 2) {
      if (iova !== 0n || size !== 0n) refuse('EINVAL');
      const { unmapped, code } = this.unmapRange(context, id, ioas, 0n, MAX);
      return code === undefined ? { size: unmapped } : { size: unmapped, code };
    }
    if (ioas.pageWise) {
      const lasts = [BigInt.asUintN(64, iova + size - 1n), ...(iova === 0n ? [] : [iova - 1n])];
      const code = this.cutAreas(context, id, lasts);
      if (code !== undefined) return { size, code };
    }
    if (size === 0n) return { size: 0n, code: 'EINVAL' };
    if (iova + size - 1n > MAX) return { size: 0n, code: 'EOVERFLOW' };
    const { unmapped, code } = this.unmapRange(context, id, ioas, iova, iova + size - 1n);
    return code === undefined ? { size: unmapped } : { size: unmapped, code };
  }

  addReserved(context: number, id: number, start: bigint, length: bigint): void {
    if (length === 0n) refuse('EINVAL');
    if (start + length - 1n > MAX) refuse('EOVERFLOW');
    this.reserve(this.ioas(context, id), 'a test', { start, last: start + length - 1n });
  }

  setMode(context: number, value: bigint): void {
    if (this.context(context).things.size > 0) refuse('EBUSY');
    if (value > 1n) refuse('EINVAL');
    this.context(context).mode = value === 1n ? 'process' : 'user';
  }

  /** What a page table holds: none for nested ones. */
  mappedBy(context: number, id: number): Area[] {
    const hwpt = this.hwpt(context, id);
    return hwpt.parent === undefined ? this.ioas(context, hwpt.ioas).areas : [];
  }

  /** Whatever `call` has done is undone where it is refused. */
  attempt<R>(call: () => R): { result: R } | { code: string } {
    const before = structuredClone(this.state);
    try {
      return { result: call() };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.state = before;
      return { code: error.code };
    } finally {
      this.pinning = [];
    }
  }
}
