/** The address space of a process: arenas that come (`mmap`) and go (`munmap`). */

import { FrameRuns } from '../iommu/frame-runs.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import { Arena, type ArenaInit } from './arena.ts';
import { PAGE_BYTES, PAGE_SIZE } from './limits.ts';
import type { UserMemory } from './user-memory.ts';

/** Where mappings without an address of their own are put, upwards. */
const MMAP_BASE = 0x7f00_0000_0000n;

export class ProcessMemory implements UserMemory {
  readonly name: string;
  readonly #physical: PhysicalMemory;
  /** Ascending, disjoint. */
  readonly #arenas: Arena[] = [];
  #gone = false;

  constructor(physical: PhysicalMemory, name = 'process memory') {
    this.#physical = physical;
    this.name = name;
  }

  /** What is mapped, ascending. */
  get arenas(): readonly Arena[] {
    return this.#arenas;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /**
   * `mmap` of fresh memory, at `base` or above all there is.
   *
   * @throws KernelError EEXIST something is mapped there; as `Arena`
   */
  mmap(pages: number, options: Omit<Partial<ArenaInit>, 'pages'> = {}): Arena {
    const above = this.#arenas.at(-1);
    const base = options.base ?? (above && above.last >= MMAP_BASE ? above.last + 1n : MMAP_BASE);
    const end = base + BigInt(pages) * PAGE_BYTES;
    const at = this.#firstEndingAtOrAfter(base);
    const next = this.#arenas[at];
    if (next !== undefined && next.base < end)
      throw new KernelError('EEXIST', this.name, `${next.name} is there`);
    const arena = new Arena(this.#physical, { ...options, base, pages });
    this.#arenas.splice(at, 0, arena);
    return arena;
  }

  /**
   * `munmap` of a whole arena; pages that are pinned stay until unpinned.
   *
   * @throws KernelError EINVAL not mapped here
   */
  munmap(arena: Arena): void {
    const at = this.#arenas.indexOf(arena);
    if (at < 0) throw new KernelError('EINVAL', this.name, `${arena.name} is not mapped`);
    this.#arenas.splice(at, 1);
    arena.free();
  }

  /** The process is gone, and with it all its memory that is not pinned. */
  exit(): void {
    this.#gone = true;
    for (const arena of this.#arenas.splice(0)) arena.free();
  }

  read(address: bigint, into: Uint8Array): void {
    for (const part of this.#parts(address, into.length)) {
      part.arena.read(part.address, into.subarray(part.from, part.from + part.length));
    }
  }

  write(address: bigint, from: Uint8Array): void {
    for (const part of this.#parts(address, from.length)) {
      part.arena.write(part.address, from.subarray(part.from, part.from + part.length));
    }
  }

  pin(address: bigint, count: number, writable: boolean, runs: FrameRuns): void {
    const parts = [...this.#parts(address, count * PAGE_SIZE)];
    const [only] = parts;
    if (only !== undefined && parts.length === 1) {
      only.arena.pin(address, count, writable, runs);
      return;
    }
    const taken = new FrameRuns();
    try {
      for (const part of parts) part.arena.pin(part.address, part.length / PAGE_SIZE, writable, taken);
    } catch (error) {
      for (let at = 0; at < taken.length; at++) this.#physical.unpin(taken.first(at), taken.count(at));
      throw error;
    }
    runs.append(taken);
  }

  /** @throws KernelError EFAULT at the first byte that is not mapped, once the parts before it are through */
  *#parts(address: bigint, length: number): Generator<Part, void, undefined> {
    const end = address + BigInt(length);
    let at = this.#firstEndingAtOrAfter(address);
    for (let next = address; next < end; at++) {
      const arena = this.#arenas[at];
      if (arena === undefined || arena.base > next) {
        throw new KernelError('EFAULT', this.name, `nothing is mapped at 0x${next.toString(16)}`);
      }
      const stop = arena.last < end ? arena.last + 1n : end;
      yield { arena, address: next, from: Number(next - address), length: Number(stop - next) };
      next = stop;
    }
  }

  #firstEndingAtOrAfter(address: bigint): number {
    let low = 0;
    let high = this.#arenas.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#arenas[middle]!.last < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface Part {
  arena: Arena;
  address: bigint;
  /** Bytes, from the start of what is moved. */
  from: number;
  length: number;
}
