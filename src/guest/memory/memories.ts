/** The memory of all processes of a session: what they share is shared here too. */

import { statSync } from 'node:fs';
import type { PhysicalMemory } from '../../iommu/physical-memory.ts';
import type { KernelFile } from '../../uapi/open-file.ts';
import { MemoryFile } from './memory-file.ts';
import { ProcessMemory } from './process-memory.ts';
import { SharedMemory } from './shared-memory.ts';

export interface MemoriesOptions {
  /** Told, once for each piece, when devices may see other bytes than they would on a real machine, and why. */
  report?: (text: string) => void;
}

const FEW_PROCESSES = 64;

export class Memories {
  readonly physical: PhysicalMemory;
  /**
   * Device of the file system that is served from here, as `/proc/PID/maps` writes it (`00:2a`): a page of one of its
   * files is never touched, as we would wait for ourselves.
   */
  untouchable: string | undefined;
  /** Counts calls: what a process has mapped is looked up once a call, as it cannot tell when within it that was. */
  call = 0;
  readonly #report: (text: string) => void;
  readonly #processes = new Map<number, ProcessMemory>();
  readonly #shared = new Map<string, SharedMemory>();
  /** With so many, those that are gone are looked for: each has descriptors of ours. */
  #mostProcesses = FEW_PROCESSES;

  constructor(physical: PhysicalMemory, options: MemoriesOptions = {}) {
    this.physical = physical;
    this.#report = options.report ?? (() => {});
  }

  /** To be called when a request of any process comes in: everything may have changed since the one before. */
  startCall(): void {
    this.call++;
  }

  /**
   * The memory of process `pid` (not a thread's id), the same object for as long as it runs the same program: after
   * `execve`, or if the number is another process's by now, there is a new one.
   */
  of(pid: number): ProcessMemory {
    const known = this.#processes.get(pid);
    if (known !== undefined && this.#isThere(known)) return known;
    if (this.#processes.size >= this.#mostProcesses) {
      this.forgetGone();
      this.#mostProcesses = Math.max(FEW_PROCESSES, 2 * this.#processes.size);
    }
    const memory = new ProcessMemory(pid, this);
    this.#processes.set(pid, memory);
    return memory;
  }

  /** Whether `of` would answer what it did before: the number is still that process's, not a thread's or another's. */
  has(pid: number): boolean {
    const known = this.#processes.get(pid);
    return known !== undefined && this.#isThere(known);
  }

  /** Gives up descriptors of processes that are gone; what devices have pinned of them stays. */
  forgetGone(): void {
    for (const [pid, memory] of this.#processes) {
      if (!memory.gone) continue;
      memory.close();
      this.#processes.delete(pid);
    }
  }

  /** Descriptor `fd` of process or thread `pid` as a file whose pages can be mapped; undefined if it is none in memory. */
  fileOf(pid: number, fd: number): (KernelFile & MemoryFile) | undefined {
    return MemoryFile.at(pid, fd, this);
  }

  /** Memory of that device and inode, which only pins keep. */
  shared(key: string): SharedMemory {
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      shared = new SharedMemory({
        key,
        physical: this.physical,
        mappers: () => this.#processes.values(),
        onIdle: () => this.#shared.delete(key),
        onLost: () =>
          this.report(`nobody has the memory ${key} any more that a device still uses: its bytes are lost`),
      });
      this.#shared.set(key, shared);
    }
    return shared;
  }

  /** A piece was asked for and not pinned. */
  dropIfIdle(shared: SharedMemory): void {
    if (!shared.isIdle) return;
    shared.closeIfIdle();
    this.#shared.delete(shared.key);
  }

  /** Device and inode of a file as `/proc/PID/maps` writes them. */
  keyOf(path: string): string {
    const { dev, ino } = statSync(path, { bigint: true });
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
    const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
    return `${hex(major)}:${hex(minor)} ${ino}`;
  }

  /** One that could not be opened is there as well, and asked again. */
  #isThere(memory: ProcessMemory): boolean {
    return !memory.gone && memory.isOpen;
  }

  report(text: string): void {
    this.#report(text);
  }

  /** Closes everything; for the end. */
  close(): void {
    for (const memory of this.#processes.values()) memory.close();
    this.#processes.clear();
  }
}

function hex(number: bigint): string {
  return number.toString(16).padStart(2, '0');
}
