/**
 * Page frames for something that real memory stands behind: a process's private memory, a file.
 *
 * They are given out in blocks of 2 MiB, aligned as the memory is, when a page of a block is first pinned, and taken
 * back with the last pin. So neighbours in memory are neighbours in frames, page tables can use large pages as they
 * do with huge pages, and nothing is kept of memory that no device can reach.
 */

import { FrameRuns } from '../../iommu/frame-runs.ts';
import type { Backing, FrameRange, PhysicalMemory } from '../../iommu/physical-memory.ts';

export const BLOCK_PAGES = 512;
export const BLOCK_BYTES = BLOCK_PAGES * 4096;

/** Moves bytes of the memory itself. `offset` is in bytes, from the start of page 0. */
export interface Bytes {
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
}

export class FrameBlocks {
  readonly #physical: PhysicalMemory;
  readonly #name: string;
  readonly #bytes: Bytes;
  readonly #onIdle: () => void;
  readonly #blocks = new Map<number, FrameRange>();

  /** @param onIdle the last pin of all is gone */
  constructor(physical: PhysicalMemory, name: string, bytes: Bytes, onIdle: () => void) {
    this.#physical = physical;
    this.#name = name;
    this.#bytes = bytes;
    this.#onIdle = onIdle;
  }

  get isIdle(): boolean {
    return this.#blocks.size === 0;
  }

  /**
   * Pins `count` pages from page `first` on: all or none.
   *
   * @throws KernelError ENOMEM the machine has no frames left
   */
  pin(first: number, count: number, runs: FrameRuns): void {
    const taken = new FrameRuns();
    try {
      for (let page = first; page < first + count; ) {
        const index = Math.floor(page / BLOCK_PAGES);
        const within = page - index * BLOCK_PAGES;
        const here = Math.min(first + count - page, BLOCK_PAGES - within);
        const frame = this.#block(index).first + within;
        this.#physical.pin(frame, here);
        taken.push(frame, here);
        page += here;
      }
    } catch (error) {
      unpinAll(this.#physical, taken);
      throw error;
    }
    runs.append(taken);
  }

  #block(index: number): FrameRange {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      block = this.#physical.reserve(BLOCK_PAGES, this.#backing(index), {
        name: this.#name,
        align: BLOCK_PAGES,
      });
      this.#blocks.set(index, block);
    }
    return block;
  }

  #backing(index: number): Backing {
    const start = index * BLOCK_BYTES;
    const bytes = this.#bytes;
    return {
      read: (offset, into) => bytes.read(start + offset, into),
      write: (offset, from) => bytes.write(start + offset, from),
      idle: () => this.#giveBack(index),
    };
  }

  #giveBack(index: number): void {
    const block = this.#blocks.get(index);
    if (block === undefined) return;
    this.#blocks.delete(index);
    this.#physical.release(block);
    if (this.#blocks.size === 0) this.#onIdle();
  }
}

/** Undoes pins that were taken in vain. */
export function unpinAll(physical: PhysicalMemory, taken: FrameRuns): void {
  for (let at = 0; at < taken.length; at++) physical.unpin(taken.first(at), taken.count(at));
}
