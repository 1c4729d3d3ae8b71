/** A file in memory (`memfd_create`) whose pages can be mapped for DMA (IOMMU_IOAS_MAP_FILE, since 6.13). */

import type { FrameRuns } from '../iommu/frame-runs.ts';
import type { FrameRange, PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import { PAGE_BYTES, PAGE_SIZE } from './limits.ts';
import { SparseBytes } from './sparse-bytes.ts';
import type { PageSource } from './user-memory.ts';

export interface MemoryFileInit {
  /** In bytes; the last page may be part of a page. */
  size: number;
  name?: string;
}

export class MemoryFile implements PageSource {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly #physical: PhysicalMemory;
  readonly #frames: FrameRange;

  constructor(physical: PhysicalMemory, init: MemoryFileInit) {
    this.name = init.name ?? 'memory file';
    this.size = init.size;
    this.#physical = physical;
    this.#frames = physical.reserve(Math.ceil(init.size / PAGE_SIZE), new SparseBytes(), { name: this.name });
  }

  /** `memfd_pin_folios`: @throws KernelError EINVAL past the end of the file */
  pin(firstPage: number, count: number, _writable: boolean, runs: FrameRuns): void {
    this.#assertHolds(firstPage * PAGE_SIZE, count * PAGE_SIZE);
    const frame = this.#frames.first + firstPage;
    this.#physical.pin(frame, count);
    runs.push(frame, count);
  }

  /** `pread`, `offset` in bytes: @throws KernelError EINVAL past the end of the file */
  read(offset: number, into: Uint8Array): void {
    this.#assertHolds(offset, into.length);
    this.#physical.read(this.#address(offset), into);
  }

  /** `pwrite`, `offset` in bytes: @throws KernelError EINVAL past the end of the file */
  write(offset: number, from: Uint8Array): void {
    this.#assertHolds(offset, from.length);
    this.#physical.write(this.#address(offset), from);
  }

  /** The last descriptor is closed; pinned pages stay until unpinned. */
  close(): void {
    this.#physical.abandon(this.#frames);
  }

  #address(offset: number): bigint {
    return BigInt(this.#frames.first) * PAGE_BYTES + BigInt(offset);
  }

  #assertHolds(offset: number, length: number): void {
    if (offset >= 0 && offset + length <= this.size) return;
    throw new KernelError(
      'EINVAL',
      this.name,
      `${length} bytes at ${offset} are not all in its ${this.size}`,
    );
  }
}
