/**
 * Memory that several processes may share: a file, a memfd, `MAP_SHARED | MAP_ANONYMOUS`, huge pages. Known by device
 * and inode, so that all of them pin the same frames.
 *
 * While any of it is pinned the file behind it is held open, which `/proc/PID/map_files` allows for memory that has
 * no name. Bytes outlive the processes then, as in the kernel. Where it cannot be opened (outside the initial user
 * namespace) or takes no writes (huge pages), they are moved through a process that still has it mapped.
 */

import { closeSync, constants, fstatSync, openSync, statfsSync } from 'node:fs';
import type { FrameRuns } from '../../iommu/frame-runs.ts';
import type { PhysicalMemory } from '../../iommu/physical-memory.ts';
import { SparseBytes } from '../../iommufd/sparse-bytes.ts';
import { FrameBlocks } from './frame-blocks.ts';
import { readAt, writeAt } from './memory-fd.ts';

/** Somebody who may have it mapped. */
export interface Mapper {
  /** Moves `bytes` at `offset` of the memory known by `key`: false if it is not mapped there (any more). */
  moveShared(key: string, offset: number, bytes: Uint8Array, write: boolean): boolean;
}

export interface SharedMemoryInit {
  key: string;
  physical: PhysicalMemory;
  /** Everybody who is known, whoever pinned it. */
  mappers(): Iterable<Mapper>;
  /** The last pin is gone. */
  onIdle(): void;
  /** A device uses bytes that cannot be reached any more; called once. */
  onLost(): void;
}

/** `f_type` of those whose files are memory: tmpfs, which memfds and anonymous shared memory are of, and hugetlbfs. */
export const MEMORY_FILE_SYSTEMS: readonly number[] = [0x0102_1994, 0x9584_58f6];

export class SharedMemory {
  /** Device and inode, as `/proc/PID/maps` has them. */
  readonly key: string;
  readonly #blocks: FrameBlocks;
  readonly #mappers: () => Iterable<Mapper>;
  readonly #onLost: () => void;
  #fd: number | undefined;
  #lost: SparseBytes | undefined;
  #isMemoryFile = true;

  constructor(init: SharedMemoryInit) {
    this.key = init.key;
    this.#mappers = init.mappers;
    this.#onLost = init.onLost;
    this.#blocks = new FrameBlocks(
      init.physical,
      `shared memory ${init.key}`,
      {
        read: (offset, into) => this.#move(offset, into, false),
        write: (offset, from) => this.#move(offset, from, true),
      },
      () => {
        this.#close();
        init.onIdle();
      },
    );
  }

  /** Nothing of it is pinned. */
  get isIdle(): boolean {
    return this.#blocks.isIdle;
  }

  /**
   * Whether its pages stay where they are when written to: those of a disk's file do not, because the kernel writes
   * them back, so it refuses to pin them for writing.
   */
  get isMemoryFile(): boolean {
    return this.#isMemoryFile;
  }

  /** How many there are now; as many as one likes where the file cannot be opened. */
  get pages(): number {
    return this.#fd === undefined ? Infinity : Math.ceil(fstatSync(this.#fd).size / 4096);
  }

  /** Opens the file if it is not open yet. `path` leads to it: `/proc/PID/map_files/…`, `/proc/PID/fd/…`. */
  open(path: string): void {
    if (this.#fd !== undefined) return;
    this.#fd = openForBoth(path);
    if (this.#fd !== undefined) {
      this.#isMemoryFile = MEMORY_FILE_SYSTEMS.includes(statfsSync(`/proc/self/fd/${this.#fd}`).type);
    }
  }

  /** Page `first` is the one at the start of the file. */
  pin(first: number, count: number, runs: FrameRuns): void {
    this.#blocks.pin(first, count, runs);
  }

  /** Nobody pinned it after all. */
  closeIfIdle(): void {
    if (this.isIdle) this.#close();
  }

  #move(offset: number, bytes: Uint8Array, write: boolean): void {
    if (this.#fd !== undefined) {
      const moved = write ? writeAt(this.#fd, offset, bytes) : readAt(this.#fd, offset, bytes);
      if (moved === 'all') return;
    }
    for (const mapper of this.#mappers()) {
      if (mapper.moveShared(this.key, offset, bytes, write)) return;
    }
    if (this.#lost === undefined) this.#onLost();
    this.#lost ??= new SparseBytes();
    if (write) this.#lost.write(offset, bytes);
    else this.#lost.read(offset, bytes);
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#lost = undefined;
  }
}

/** For reading and writing, or for reading only; undefined if neither is allowed. */
export function openForBoth(path: string): number | undefined {
  for (const access of [constants.O_RDWR, constants.O_RDONLY]) {
    try {
      return openSync(path, access);
    } catch {
      // Read-only files; map_files needs CAP_CHECKPOINT_RESTORE of the initial user namespace.
    }
  }
  return undefined;
}
