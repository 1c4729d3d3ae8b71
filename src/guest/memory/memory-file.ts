/** A descriptor of a process whose pages can be mapped without an address (IOMMU_IOAS_MAP_FILE). */

import { closeSync, readlinkSync } from 'node:fs';
import type { FrameRuns } from '../../iommu/frame-runs.ts';
import type { PageSource } from '../../iommufd/user-memory.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { KernelFile } from '../../uapi/open-file.ts';
import type { Memories } from './memories.ts';
import { isInMemory } from './mounts.ts';
import { openForBoth } from './shared-memory.ts';

/** Page sets that map it have it open, so it is there even when the process has closed it. */
export class MemoryFile implements PageSource, KernelFile {
  readonly name: string;
  readonly #path: string;
  readonly #key: string;
  readonly #memories: Memories;
  #holders = 0;
  #fd: number | undefined;

  private constructor(name: string, path: string, memories: Memories) {
    this.name = name;
    this.#path = path;
    this.#key = memories.keyOf(path);
    this.#memories = memories;
  }

  /** Undefined if nothing is open there, or no file in memory. */
  static at(pid: number, fd: number, memories: Memories): MemoryFile | undefined {
    const path = `/proc/${pid}/fd/${fd}`;
    try {
      const name = readlinkSync(path);
      if (!isInMemory(pid, fd, name)) return undefined;
      return new MemoryFile(name, path, memories);
    } catch {
      return undefined;
    }
  }

  /** @throws KernelError EBADF the process has closed it */
  hold(): void {
    this.#fd ??= openForBoth(this.#path);
    if (this.#fd === undefined) throw new KernelError('EBADF', this.name, 'is not open any more');
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.close();
  }

  /** `memfd_pin_folios`. */
  pin(firstPage: number, count: number, _writable: boolean, runs: FrameRuns): void {
    const shared = this.#memories.shared(this.#key);
    try {
      shared.open(`/proc/self/fd/${this.#fd}`);
      if (firstPage + count > shared.pages) {
        throw new KernelError('EINVAL', this.name, `has no more than ${shared.pages} pages`);
      }
      shared.pin(firstPage, count, runs);
    } finally {
      this.#memories.dropIfIdle(shared);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
