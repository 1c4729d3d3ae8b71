/** What an access does with the pages of the address space it is attached to: pin, unpin, read and write. */

import { Prot } from '../iommu/domain.ts';
import { FrameRuns } from '../iommu/frame-runs.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import type { Context } from './context.ts';
import { type AreaPiece, contiguousPieces } from './contiguous-areas.ts';
import type { Ioas } from './ioas.ts';
import { lastOf } from './iova-range.ts';
import { PAGE_BYTES, ULONG_MAX } from './limits.ts';
import { IommufdObject } from './object.ts';

/** `IOMMUFD_ACCESS_RW_*`. */
export const AccessRw = {
  Write: 1,
  /** The caller is a kernel thread, without memory of its own. */
  Kthread: 2,
  /** Through page frames, as for a caller in another process; of the selftest. */
  SlowPath: 4,
} as const;

export interface AccessPagesInit {
  /** What addresses and lengths of mappings have to be multiples of, in bytes. */
  alignment: bigint;
  /** Whether its driver said it would pin pages, and can be told to unpin them. */
  canPin: boolean;
}

export abstract class AccessPages extends IommufdObject {
  /** What is pinned from; none while it is being detached. */
  ioas: Ioas | undefined;
  /** `ioas_unpin`: what is unpinned from; stays until a detach is through. */
  protected unpinFrom: Ioas | undefined;
  /** `iova_alignment`, in bytes. */
  readonly alignment: bigint;
  readonly #canPin: boolean;

  constructor(context: Context, init: AccessPagesInit) {
    super(context, 'access');
    this.alignment = init.alignment;
    this.#canPin = init.canPin;
  }

  /**
   * `iommufd_access_pin_pages`: the frames behind `length` bytes, which stay where they are until `unpinPages` of
   * the same bytes.
   *
   * @param iova where the bytes begin in a page of the memory mapped there, at its first byte
   * @param flags `AccessRw` bits
   * @throws KernelError EINVAL the access was not made for pinning, no length, an area is not aligned to pages, or is
   *   being unmapped; EOVERFLOW the end is past 2^64-1; ENOENT not attached, or not mapped throughout; EPERM a
   *   mapping does not allow it; EFAULT, ENOMEM pinning failed. Nothing is pinned then
   */
  pinPages(iova: bigint, length: bigint, flags = 0): FrameRuns {
    if (!this.#canPin) {
      throw new KernelError('EINVAL', this.label, 'was made without the need to pin pages');
    }
    const { ioas, last } = this.#range(iova, length);
    const runs = new FrameRuns();
    const done: AreaPiece[] = [];
    try {
      for (const piece of pieces(ioas, iova, last)) {
        this.#assertAccessible(piece.area);
        assertPageAligned(piece, last);
        assertAllowed(piece.area, flags);
        const write = (flags & AccessRw.Write) !== 0;
        runs.append(piece.area.pages.addAccess(piece.area, ...pagesOf(piece), write));
        done.push(piece);
      }
    } catch (error) {
      for (const piece of done) piece.area.pages.removeAccess(piece.area, ...pagesOf(piece));
      throw error;
    }
    return runs;
  }

  /** `iommufd_access_unpin_pages`: of the very bytes of a `pinPages`. A warning for any others. */
  unpinPages(iova: bigint, length: bigint): void {
    const ioas = this.unpinFrom;
    const last = iova + length - 1n;
    if (ioas === undefined || length <= 0n || last > ULONG_MAX) {
      this.warn(`unpins ${length} bytes from 0x${iova.toString(16)} on, which it cannot have pinned`);
      return;
    }
    try {
      for (const piece of pieces(ioas, iova, last)) {
        piece.area.pages.removeAccess(piece.area, ...pagesOf(piece));
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.warn(`unpins what it has not pinned: ${error.message}`);
    }
  }

  /**
   * `iommufd_access_rw`: copies the bytes from `iova` on into `bytes`, or with `AccessRw.Write` the other way, without
   * pinning. Bytes before a refusal are copied, as in the kernel.
   *
   * @throws KernelError EINVAL no bytes, or an area is being unmapped; EOVERFLOW; ENOENT not attached, or not mapped
   *   throughout; EPERM a mapping does not allow it; EFAULT the memory is gone
   */
  rw(iova: bigint, bytes: Uint8Array, flags = 0): void {
    const { ioas, last } = this.#range(iova, BigInt(bytes.length));
    const slow = (flags & (AccessRw.SlowPath | AccessRw.Kthread)) === AccessRw.SlowPath;
    for (const piece of pieces(ioas, iova, last)) {
      this.#assertAccessible(piece.area);
      assertAllowed(piece.area, flags);
      const part = bytes.subarray(Number(piece.start - iova), Number(piece.last - iova) + 1);
      piece.area.pages.rw(piece.area.startByte(piece.start), part, (flags & AccessRw.Write) !== 0, slow);
    }
  }

  protected warn(text: string): void {
    this.context.iommufd.iommu.messages.warn(this.label, text);
  }

  #range(iova: bigint, length: bigint): { ioas: Ioas; last: bigint } {
    if (length <= 0n) throw new KernelError('EINVAL', this.label, 'is asked for no bytes at all');
    const last = lastOf(this.label, iova, length);
    if (this.ioas === undefined) {
      throw new KernelError('ENOENT', this.label, 'is not attached to an address space', 'attach it');
    }
    return { ioas: this.ioas, last };
  }

  #assertAccessible(area: Area): void {
    if (area.preventAccess) throw new KernelError('EINVAL', this.label, `${area.label} is being unmapped`);
  }
}

/** @throws KernelError ENOENT at the first byte nothing is mapped at, once the pieces before it are through */
function* pieces(ioas: Ioas, iova: bigint, last: bigint): Generator<AreaPiece, void, undefined> {
  let next = iova;
  for (const piece of contiguousPieces((at) => ioas.iovas.areaAt(at), iova, last)) {
    yield piece;
    next = piece.last + 1n;
  }
  if (next <= last)
    throw new KernelError('ENOENT', ioas.label, `nothing is mapped at 0x${next.toString(16)}`);
}

/** First and last page of the set, inclusive. */
function pagesOf({ area, start, last }: AreaPiece): [first: number, last: number] {
  return [area.pageAt(start), area.pageAt(last)];
}

/**
 * `iopt_area_contig_is_aligned`: pages are handed out whole, so every piece begins with one, and all but the last
 * piece end with one.
 */
function assertPageAligned({ area, start }: AreaPiece, last: bigint): void {
  const atStart = area.startByte(start) % PAGE_BYTES === 0n;
  const atEnd = (area.startByte(area.last) + 1n) % PAGE_BYTES === 0n;
  if (atStart && (atEnd || area.last >= last)) return;
  throw new KernelError('EINVAL', area.label, 'does not begin and end with a page of memory');
}

/** `check_area_prot`. */
function assertAllowed(area: Area, flags: number): void {
  const needed = (flags & AccessRw.Write) !== 0 ? Prot.Write : Prot.Read;
  if ((area.prot & needed) !== 0) return;
  const what = needed === Prot.Write ? 'written' : 'read';
  throw new KernelError('EPERM', area.label, `is not mapped to be ${what}`);
}
