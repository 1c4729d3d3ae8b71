/**
 * What every domain needs of its page table, whatever its format.
 *
 * Addresses are bytes and reach up to 2^64-1; `last` is always inclusive. A leaf is what one entry (or one row of
 * entries that belong together) maps; its size is a power of two.
 */

import type { FrameRuns } from '../frame-runs.ts';

/** Mapping and asking. Callers have checked that nothing ends past 2^64-1. */
export interface PageTable {
  /**
   * `map_pages`, with the leaf sizes `iommu_pgsize` picks: the largest that alignment and length allow. All or nothing.
   *
   * @throws KernelError EEXIST a page of the range is mapped (drivers would overwrite it, or warn), EINVAL not a
   *   multiple of the smallest page, or what the format cannot hold, EFAULT past the width of the hardware, ENOMEM
   */
  map(iova: bigint, paddr: bigint, size: bigint, prot: number): void;
  /**
   * As `map` of one run after the other, at once: what makes a million scattered pages cheap.
   *
   * @param skip bytes left out at the start of the first frame, less than PAGE_SIZE
   * @param size bytes in all; ends somewhere in the last frame
   * @param small no leaf larger than PAGE_SIZE (`batch_iommu_map_small`)
   * @throws KernelError as `map`; nothing of it is mapped then
   */
  mapRuns(iova: bigint, runs: FrameRuns, skip: number, size: bigint, prot: number, small: boolean): void;
  /**
   * `unmap_pages`: whole leaves from `iova` on, up to the first hole. What a range does to a leaf it covers in part is
   * the format's.
   *
   * @returns bytes unmapped; more than `size` where the last leaf was larger
   */
  unmap(iova: bigint, size: bigint): bigint;
  /** `iova_to_phys`, right for every byte. */
  translate(iova: bigint): bigint | undefined;
  /** The parts of `start … last` that nothing is mapped at, ascending. */
  holes(start: bigint, last: bigint): { start: bigint; last: bigint }[];
}

/** One mapping as hardware has it. */
export interface Leaf {
  iova: bigint;
  paddr: bigint;
  /** Bytes. */
  size: bigint;
  /** `IOMMU_READ`, `IOMMU_WRITE`. */
  prot: number;
  accessed: boolean;
  dirty: boolean;
}

/** One entry read on the way from the root to a page. */
export interface WalkStep {
  /** 1: the tables whose entries map the smallest pages. */
  level: number;
  /** Where the table is, in an address space of its own that holds nothing but tables. */
  table: bigint;
  index: number;
  /** The entry, all 64 bits. */
  entry: bigint;
  kind: 'table' | 'leaf' | 'nothing';
  /** Bytes of I/O addresses that the entry, or a leaf of several entries, decides about. */
  size: bigint;
  /** The next table, or the first byte of memory of the leaf. */
  address?: bigint;
  /** Names of the entry's bits, e.g. `R W A`. */
  bits: string;
}

/** What one DMA access meets. `last`: the last I/O address of the same leaf. */
export type PageAccess = { paddr: bigint; last: bigint } | 'not-mapped' | 'not-readable' | 'not-writable';

/** A page table of a known format. */
export interface IoPageTable extends PageTable {
  /** In a few words: `VT-d second level, 4 levels`. */
  readonly format: string;
  /** Bit n set: leaves of 2^n bytes (`pgsize_bitmap`). */
  readonly pageSizes: bigint;
  /** Highest I/O address that can be mapped. */
  readonly lastAddress: bigint;
  /** Tables of 4 KiB in use, root included. An empty page table has none. */
  readonly tables: number;
  /** Called before every table is allocated; may throw to refuse. */
  onAllocate: (() => void) | undefined;
  /** The entries read for `iova`, from the root down to the leaf or to where nothing follows. */
  walk(iova: bigint): WalkStep[];
  /** Leaves that overlap `start … last`, ascending. */
  leaves(start: bigint, last: bigint): Iterable<Leaf>;
  /** One access as hardware makes it: permissions, and while dirty tracking is on the accessed and dirty bits. */
  access(iova: bigint, write: boolean): PageAccess;
  /** `set_dirty_tracking`. Bits that are set stay. */
  setDirtyTracking(on: boolean): void;
  /**
   * `read_and_clear_dirty`: reports what of `start … last` was written to, ascending, leaves that follow each other
   * in one. A leaf that only begins or ends in the range is cleared whole but reported in part.
   *
   * @param clear whether the bits are cleared (not with `IOMMU_DIRTY_NO_CLEAR`)
   */
  readAndClearDirty(
    start: bigint,
    last: bigint,
    clear: boolean,
    report: (iova: bigint, size: bigint) => void,
  ): void;
  /** Every entry that is not empty, one line each, indented by level; leaves that continue each other on one line. */
  dump(): string[];
  /** Unmaps everything and gives all tables back. */
  free(): void;
}
