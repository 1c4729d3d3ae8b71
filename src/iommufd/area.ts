/** A range of I/O addresses and the slice of a page set that is mapped there (`struct iopt_area`). */

import { KernelError } from '../kernel/errors.ts';
import { rangeWords } from './iova-range.ts';
import { PAGE_BYTES } from './limits.ts';
import type { PageSet } from './page-set.ts';

export interface AreaInit {
  /** In bytes, both inclusive. */
  iova: bigint;
  last: bigint;
  /** A reference to it is the area's from now on. */
  pages: PageSet;
  /** Bytes from the start of the page set. */
  startByte: bigint;
  /** `IOMMU_READ` and friends. */
  prot: number;
}

export class Area {
  readonly iova: bigint;
  /** Inclusive. */
  readonly last: bigint;
  readonly pages: PageSet;
  /** `iopt_area_index`, `iopt_area_last_index`: pages of the set, inclusive; the outer two may be mapped in part. */
  readonly firstPage: number;
  readonly lastPage: number;
  /** Bytes of the first page that are not mapped. */
  readonly pageOffset: number;
  readonly prot: number;
  /** The area is being unmapped: no new accesses (`prevent_access`). */
  preventAccess = false;
  /** `num_accesses`, counted by the page set. */
  accesses = 0;
  /** `num_locks`: hardware queues in it, which refuse an unmap (since 6.17). */
  locks = 0;
  /** Page tables that the area is mapped into, counted by the page set; with the first its pages are pinned. */
  filled = 0;

  constructor(init: AreaInit) {
    this.iova = init.iova;
    this.last = init.last;
    this.pages = init.pages;
    this.firstPage = Number(init.startByte / PAGE_BYTES);
    this.pageOffset = Number(init.startByte % PAGE_BYTES);
    this.lastPage = Number((init.startByte + (init.last - init.iova)) / PAGE_BYTES);
    this.prot = init.prot;
  }

  /** `iopt_area_length`, in bytes. */
  get length(): bigint {
    return this.last - this.iova + 1n;
  }

  /** `iopt_area_start_byte`: where in the page set the byte at `iova` is. */
  startByte(iova: bigint = this.iova): bigint {
    return iova - this.iova + BigInt(this.pageOffset) + BigInt(this.firstPage) * PAGE_BYTES;
  }

  /** `iopt_area_iova_to_index`: the page of the set that `iova` is in. */
  pageAt(iova: bigint): number {
    return Number(this.startByte(iova) / PAGE_BYTES);
  }

  /**
   * `iopt_area_split`: two areas in place of this one, mapped and pinned as it is. This one is no more; the right
   * one has a reference to the page set of its own.
   *
   * @param last of the left area
   * @param alignment `iova_alignment` of the address space
   * @param largePages pages of this area may be mapped by large leaves
   * @throws KernelError EBUSY it is being unmapped; EINVAL the cut is not aligned, an access pins pages, or large
   *   leaves may be cut
   */
  split(last: bigint, alignment: bigint, largePages: boolean): [left: Area, right: Area] {
    const at = last + 1n;
    if (this.preventAccess) throw new KernelError('EBUSY', this.label, 'is being unmapped');
    if ((at & (alignment - 1n)) !== 0n || (this.startByte(at) & (alignment - 1n)) !== 0n) {
      throw new KernelError('EINVAL', this.label, `cannot be cut at 0x${at.toString(16)}: not aligned`);
    }
    if (this.accesses > 0) {
      throw new KernelError(
        'EINVAL',
        this.label,
        'cannot be cut while an access pins pages of it',
        'unpin them',
      );
    }
    if (this.filled > 0 && largePages) {
      throw new KernelError(
        'EINVAL',
        this.label,
        'cannot be cut: it may be mapped by large pages',
        'disable them first',
      );
    }
    const { pages, prot, iova } = this;
    const left = new Area({ iova, last, pages, startByte: this.startByte(), prot });
    const right = new Area({
      iova: at,
      last: this.last,
      pages: pages.get(),
      startByte: this.startByte(at),
      prot,
    });
    pages.splitArea(this, left, right);
    return [left, right];
  }

  get label(): string {
    return `area ${rangeWords(this.iova, this.last)}`;
  }
}
