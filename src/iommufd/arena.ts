/**
 * A piece of a process's memory, made here rather than in a real process: any size, empty until touched.
 *
 * Its page frames are contiguous, so that page tables can use their largest pages, or scattered, no two pages next
 * to each other, which is the worst a page table can meet.
 */

import type { FrameRuns } from '../iommu/frame-runs.ts';
import type { FrameRange, PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import { PAGE_BYTES, PAGE_SIZE, ULONG_MAX } from './limits.ts';
import { SparseBytes } from './sparse-bytes.ts';
import type { UserMemory } from './user-memory.ts';

export interface ArenaInit {
  /** First address, a multiple of PAGE_SIZE. */
  base: bigint;
  pages: number;
  /** The process may write to it, and so may devices; true unless told. */
  writable?: boolean;
  /** Shown in messages. */
  name?: string;
  /** Contiguous unless told. */
  frames?: 'contiguous' | 'scattered';
  /** In pages, a power of two: where the first frame lies. */
  align?: number;
}

export class Arena implements UserMemory {
  readonly name: string;
  readonly base: bigint;
  readonly pages: number;
  readonly writable: boolean;
  readonly frames: FrameRange;
  readonly #physical: PhysicalMemory;
  readonly #stride: number;
  #gone = false;

  /** @throws KernelError EINVAL `base` is not page aligned or the arena ends past 2^64-1; as `reserve` */
  constructor(physical: PhysicalMemory, init: ArenaInit) {
    this.name = init.name ?? `memory at 0x${init.base.toString(16)}`;
    if (init.base % PAGE_BYTES !== 0n || init.base + BigInt(init.pages) * PAGE_BYTES - 1n > ULONG_MAX) {
      throw new KernelError('EINVAL', this.name, 'does not start at a page, or ends past 2^64-1');
    }
    this.base = init.base;
    this.pages = init.pages;
    this.writable = init.writable ?? true;
    this.#physical = physical;
    this.#stride = init.frames === 'scattered' ? strideFor(init.pages) : 1;
    this.frames = physical.reserve(init.pages, new SparseBytes(), {
      name: this.name,
      ...(init.align === undefined ? {} : { align: init.align }),
    });
  }

  /** Highest address of it. */
  get last(): bigint {
    return this.base + BigInt(this.pages) * PAGE_BYTES - 1n;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Page frame of page `index`, from 0. */
  frameOf(index: number): number {
    return this.frames.first + (this.#stride === 1 ? index : (index * this.#stride) % this.pages);
  }

  read(address: bigint, into: Uint8Array): void {
    this.#assertHolds(address, into.length);
    this.#move(address, into, (at, bytes) => this.#physical.read(at, bytes));
  }

  write(address: bigint, from: Uint8Array): void {
    this.#assertHolds(address, from.length);
    if (!this.writable) throw new KernelError('EFAULT', this.name, 'is read-only');
    this.#move(address, from, (at, bytes) => this.#physical.write(at, bytes));
  }

  /** What is there, read-only or not. `length` is in bytes. */
  bytes(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.read(address, bytes);
    return bytes;
  }

  pin(address: bigint, count: number, writable: boolean, runs: FrameRuns): void {
    this.#assertHolds(address, count * PAGE_SIZE);
    if (writable && !this.writable) throw new KernelError('EFAULT', this.name, 'is read-only');
    const index = Number((address - this.base) / PAGE_BYTES);
    if (this.#stride === 1) {
      this.#physical.pin(this.frames.first + index, count);
      runs.push(this.frames.first + index, count);
      return;
    }
    const { first } = this.frames;
    for (let at = this.frameOf(index) - first, done = 0; done < count; done++) {
      this.#physical.pin(first + at, 1);
      runs.push(first + at, 1);
      at += this.#stride;
      if (at >= this.pages) at -= this.pages;
    }
  }

  /** `munmap`, or the end of the process: no more of it can be read or pinned; pinned pages stay until unpinned. */
  free(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#physical.abandon(this.frames);
  }

  #assertHolds(address: bigint, length: number): void {
    if (this.#gone) throw new KernelError('EFAULT', this.name, 'is unmapped');
    if (address < this.base || address + BigInt(length) - 1n > this.last) {
      throw new KernelError(
        'EFAULT',
        this.name,
        `0x${address.toString(16)} and ${length} bytes are not all in it`,
      );
    }
  }

  #move(address: bigint, bytes: Uint8Array, part: (physical: bigint, bytes: Uint8Array) => void): void {
    const offset = Number(address - this.base);
    if (this.#stride === 1) {
      part(BigInt(this.frames.first) * PAGE_BYTES + BigInt(offset), bytes);
      return;
    }
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const within = at % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - within, bytes.length - done);
      const frame = this.frameOf((at - within) / PAGE_SIZE);
      part(BigInt(frame) * PAGE_BYTES + BigInt(within), bytes.subarray(done, done + length));
      done += length;
    }
  }
}

/** A step that visits every page once before it comes back, far from the page before. */
function strideFor(pages: number): number {
  for (let stride = Math.floor(pages * 0.618) | 1; stride > 1; stride--) {
    if (greatestCommonDivisor(stride, pages) === 1) return stride;
  }
  return 1;
}

function greatestCommonDivisor(a: number, b: number): number {
  let [larger, smaller] = [a, b];
  while (smaller > 0) [larger, smaller] = [smaller, larger % smaller];
  return larger;
}
