/**
 * The memory of the machine, as its page frames (`struct page`): who holds the bytes, and how often each frame is
 * pinned for DMA.
 *
 * A pinned frame stays what it is until the last pin is gone, even if the memory it belonged to is given back
 * meanwhile. The sum of all pins must be 0 when everybody has cleaned up, which makes a leak easy to see.
 */

import { KernelError } from '../kernel/errors.ts';
import { PinCounts } from './pin-counts.ts';

/** Where the bytes of a range are kept. Offsets are in bytes, from the start of the range. */
export interface Backing {
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  /** The last pin of the range is gone. It may be released now; absent: nobody asks. */
  idle?(): void;
}

/** Contiguous page frames of one owner. */
export interface FrameRange {
  /** Page frame number: physical address / PAGE_SIZE. */
  readonly first: number;
  readonly pages: number;
}

export interface ReserveOptions {
  /** In pages, a power of two: the first frame is a multiple of it. */
  align?: number;
  /** Shown in messages. */
  name?: string;
}

const FRAME_SIZE = 4096;
/** Physical addresses have at most 52 bits. */
const LAST_FRAME = 2 ** 40 - 1;
/** Frame 0 is never handed out: address 0 is what a wrong pointer has. */
const FIRST_FRAME = 256;

class Range implements FrameRange {
  readonly first: number;
  readonly pages: number;
  readonly backing: Backing;
  readonly name: string;
  readonly counts: PinCounts;
  /** Given back by its owner, kept by its pins. */
  orphaned = false;

  constructor(first: number, pages: number, backing: Backing, name: string) {
    this.first = first;
    this.pages = pages;
    this.backing = backing;
    this.name = name;
    this.counts = new PinCounts(pages);
  }

  holds(frame: number): boolean {
    return frame >= this.first && frame < this.first + this.pages;
  }
}

export class PhysicalMemory {
  /** Ascending, disjoint. */
  #ranges: Range[] = [];
  #next = FIRST_FRAME;
  /** The range looked up last; most look-ups are in it again. */
  #recent: Range | undefined;
  #pinned = 0;

  /** Sum of the pin counts of all frames: 0 when nobody leaked a pin. */
  get pinned(): number {
    return this.#pinned;
  }

  /** Pages of memory there are. */
  get pages(): number {
    return this.#ranges.reduce((sum, range) => sum + range.pages, 0);
  }

  /**
   * Contiguous frames for `pages` pages, never handed out before.
   *
   * @throws KernelError EINVAL `pages` is not 1 or more, or `align` no power of two; ENOMEM past 2^52 bytes
   */
  reserve(pages: number, backing: Backing, options: ReserveOptions = {}): FrameRange {
    const { align = 1, name = 'memory' } = options;
    if (!Number.isSafeInteger(pages) || pages < 1) {
      throw new KernelError('EINVAL', name, `cannot be ${pages} pages large`);
    }
    if (align < 1 || !Number.isInteger(Math.log2(align))) {
      throw new KernelError('EINVAL', name, `alignment of ${align} pages is not a power of two`);
    }
    const first = Math.ceil(this.#next / align) * align;
    if (first + pages - 1 > LAST_FRAME) {
      throw new KernelError('ENOMEM', name, `${pages} pages are more than are left`);
    }
    const range = new Range(first, pages, backing, name);
    this.#ranges.push(range);
    this.#next = first + pages;
    return range;
  }

  /**
   * The owner is done with a range that nobody else uses.
   *
   * @throws KernelError EINVAL not reserved (any more), EBUSY a frame of it is pinned
   */
  release(range: FrameRange): void {
    const found = this.#reserved(range);
    if (found.counts.total > 0) {
      throw new KernelError('EBUSY', found.name, `${found.counts.total} pins hold its pages`, 'unpin them');
    }
    this.#remove(found);
  }

  /**
   * As `munmap` or the end of a process: the owner is done, pinned pages or not. Pins keep the range until the last
   * is gone.
   *
   * @throws KernelError EINVAL not reserved (any more)
   */
  abandon(range: FrameRange): void {
    const found = this.#reserved(range);
    if (found.counts.total > 0) found.orphaned = true;
    else this.#remove(found);
  }

  /**
   * `pin_user_pages`: `count` frames from `first` on stay where they are until as many `unpin`.
   *
   * @throws KernelError EFAULT one of them is no memory; no pin was taken then
   */
  pin(first: number, count: number): void {
    const range = this.#rangeOf(first);
    if (range?.holds(first + count - 1)) range.counts.add(first - range.first, count);
    else for (const part of this.#parts(first, count)) part.range.counts.add(part.at, part.count);
    this.#pinned += count;
  }

  /**
   * `unpin_user_page_range_dirty_lock`.
   *
   * @throws KernelError EFAULT one of them is no memory; EINVAL one of them is not pinned; nothing was unpinned then
   */
  unpin(first: number, count: number): void {
    const range = this.#rangeOf(first);
    if (range?.holds(first + count - 1)) {
      assertPinned(range, first - range.first, count);
      this.#unpin(range, first - range.first, count);
    } else {
      const parts = this.#parts(first, count);
      for (const part of parts) assertPinned(part.range, part.at, part.count);
      for (const part of parts) this.#unpin(part.range, part.at, part.count);
    }
  }

  /** How often a frame is pinned; 0 where there is no memory. */
  pins(frame: number): number {
    const range = this.#rangeOf(frame);
    return range === undefined ? 0 : range.counts.at(frame - range.first);
  }

  /**
   * Bytes from physical address `address` on.
   *
   * @throws KernelError EFAULT part of them is no memory; `into` is as it was then
   */
  read(address: bigint, into: Uint8Array): void {
    for (const { range, offset, from, length } of this.#slices(address, into.length)) {
      range.backing.read(offset, into.subarray(from, from + length));
    }
  }

  /** @throws KernelError EFAULT part of the bytes is no memory; nothing was written then */
  write(address: bigint, from: Uint8Array): void {
    for (const { range, offset, from: at, length } of this.#slices(address, from.length)) {
      range.backing.write(offset, from.subarray(at, at + length));
    }
  }

  #unpin(range: Range, at: number, count: number): void {
    range.counts.remove(at, count);
    this.#pinned -= count;
    if (range.counts.total > 0) return;
    if (range.orphaned) this.#remove(range);
    else range.backing.idle?.();
  }

  #slices(address: bigint, length: number): Slice[] {
    if (length === 0) return [];
    if (address < 0n || address + BigInt(length) - 1n > BigInt(LAST_FRAME) * 4096n + 4095n)
      throw noMemory(address);
    const start = Number(address);
    const firstFrame = Math.floor(start / FRAME_SIZE);
    const lastFrame = Math.floor((start + length - 1) / FRAME_SIZE);
    const slices: Slice[] = [];
    let done = 0;
    for (const part of this.#parts(firstFrame, lastFrame - firstFrame + 1)) {
      const offset = start + done - part.range.first * FRAME_SIZE;
      const bytes = Math.min(length - done, (part.at + part.count) * FRAME_SIZE - offset);
      slices.push({ range: part.range, offset, from: done, length: bytes });
      done += bytes;
    }
    return slices;
  }

  /** The ranges that `count` frames from `first` on lie in. */
  #parts(first: number, count: number): Part[] {
    const parts: Part[] = [];
    for (let frame = first; frame < first + count; ) {
      const range = this.#rangeOf(frame);
      if (range === undefined) throw noMemory(BigInt(frame) * 4096n);
      const at = frame - range.first;
      const here = Math.min(first + count - frame, range.pages - at);
      parts.push({ range, at, count: here });
      frame += here;
    }
    return parts;
  }

  #rangeOf(frame: number): Range | undefined {
    if (this.#recent?.holds(frame)) return this.#recent;
    const range = this.#ranges[this.#indexAfter(frame) - 1];
    if (!range?.holds(frame)) return undefined;
    this.#recent = range;
    return range;
  }

  /** Index of the first range that starts after `frame`. */
  #indexAfter(frame: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.first <= frame) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #reserved(range: FrameRange): Range {
    const found = this.#rangeOf(range.first);
    if (found === undefined || found !== range || found.orphaned) {
      throw new KernelError('EINVAL', 'physical memory', 'the range is not reserved, or was given back');
    }
    return found;
  }

  #remove(range: Range): void {
    this.#ranges.splice(this.#indexAfter(range.first) - 1, 1);
    if (this.#recent === range) this.#recent = undefined;
  }
}

interface Part {
  range: Range;
  /** Pages from the start of the range. */
  at: number;
  count: number;
}

interface Slice {
  range: Range;
  /** Bytes from the start of the range, and from the start of what is moved. */
  offset: number;
  from: number;
  length: number;
}

function assertPinned(range: Range, at: number, count: number): void {
  const free = range.counts.firstUnpinned(at, count);
  if (free === undefined) return;
  throw new KernelError(
    'EINVAL',
    range.name,
    `page frame 0x${(range.first + free).toString(16)} is not pinned`,
  );
}

function noMemory(address: bigint): KernelError {
  return new KernelError('EFAULT', `physical address 0x${address.toString(16)}`, 'no memory is there');
}
