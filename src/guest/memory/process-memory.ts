/**
 * The memory of a process that runs outside: copied through `/proc/PID/mem`, pinned in frames of the model.
 *
 * `/proc/PID/mem` ignores page protections, so `/proc/PID/maps` is asked what is allowed. For pinning it is read
 * again in every call. Copies, which every call makes, are content with what was read before if the sizes in
 * `/proc/PID/statm` are the same and would not be had anything changed: for private writable memory (but for the first
 * thread's stack), and for writing to shared memory, where the kernel itself refuses what is not allowed.
 *
 * Nothing outside holds the pages of a process for us. Three things therefore differ from a real machine, and only
 * for private memory that is pinned: when the process ends or executes another program, what it held is lost; when
 * it unmaps part of it, likewise; and when it maps something else to the same place without a call between, the door
 * takes it for what was there. What devices write there meanwhile is kept, and `report` is told.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { FrameRuns } from '../../iommu/frame-runs.ts';
import { PAGE_SIZE } from '../../iommufd/limits.ts';
import { SparseBytes } from '../../iommufd/sparse-bytes.ts';
import type { UserMemory } from '../../iommufd/user-memory.ts';
import { KernelError } from '../../kernel/errors.ts';
import { FrameBlocks, unpinAll } from './frame-blocks.ts';
import { indexOfMapping, type Mapping, readMaps } from './maps.ts';
import type { Memories } from './memories.ts';
import { type Moved, readAt, writeAt } from './memory-fd.ts';
import type { Mapper, SharedMemory } from './shared-memory.ts';

type Need = 'any' | 'readable' | 'writable';

/** `TASK_SIZE`: a page below 2^47. */
const USER_END = 2n ** 47n - BigInt(PAGE_SIZE);
const statm = Buffer.alloc(256);
const byte = Buffer.alloc(1);

export class ProcessMemory implements UserMemory, Mapper {
  readonly name: string;
  readonly #pid: number;
  readonly #memories: Memories;
  readonly #blocks: FrameBlocks;
  /** Of `/proc/PID`; none once closed, or if they could not be opened. */
  #files: { mem: number; maps: number; statm: number } | undefined;
  /** Why there are none. */
  #refusal = 'has ended';
  #gone = false;
  #mappings: readonly Mapping[] = [];
  /** In which call `#mappings` was read, and in which it was found to be good enough for copies. */
  #readIn = -1;
  #trustedIn = -1;
  /** In which call it was last seen not to be gone. */
  #aliveIn = -1;
  #sizes = '';
  #lost: SparseBytes | undefined;

  /** @param pid of the process, not of one of its other threads */
  constructor(pid: number, memories: Memories) {
    this.name = `memory of process ${pid}`;
    this.#pid = pid;
    this.#memories = memories;
    this.#blocks = new FrameBlocks(
      memories.physical,
      this.name,
      {
        read: (at, into) => this.#moveOwn(at, into, false),
        write: (at, from) => this.#moveOwn(at, from, true),
      },
      () => {
        this.#lost = undefined;
      },
    );
    this.#open();
  }

  /** The process has ended, or runs another program. */
  get gone(): boolean {
    const { call } = this.#memories;
    if (this.#files === undefined || this.#aliveIn === call) return this.#gone;
    const last = this.#mappings.at(-1);
    if (last === undefined || readAt(this.#files.mem, last.end - 1, byte) === 'gone') this.close();
    else this.#aliveIn = call;
    return this.#gone;
  }

  /** It is neither gone nor refused. */
  get isOpen(): boolean {
    return this.#files !== undefined;
  }

  read(address: bigint, into: Uint8Array): void {
    if (into.length === 0) return;
    const start = this.#checkCopy(address, into.length, 'any');
    this.#assertMoved(
      this.#withFile((mem) => readAt(mem, start, into)),
      address,
    );
  }

  write(address: bigint, from: Uint8Array): void {
    if (from.length === 0) return;
    const start = this.#checkCopy(address, from.length, 'writable');
    this.#assertMoved(
      this.#withFile((mem) => writeAt(mem, start, from)),
      address,
    );
  }

  pin(address: bigint, count: number, writable: boolean, runs: FrameRuns): void {
    const start = this.#userAddress(address, count * PAGE_SIZE);
    this.#readMappings();
    const end = start + count * PAGE_SIZE;
    this.#assertAllows(start, end, writable ? 'writable' : 'readable');
    const taken = new FrameRuns();
    try {
      for (let at = start; at < end; ) {
        const mapping = this.#mappings[indexOfMapping(this.#mappings, at)]!;
        const stop = Math.min(mapping.end, end);
        this.#pinOne(mapping, at, stop, writable, taken);
        at = stop;
      }
    } catch (error) {
      unpinAll(this.#memories.physical, taken);
      throw error;
    }
    runs.append(taken);
  }

  moveShared(key: string, offset: number, bytes: Uint8Array, write: boolean): boolean {
    if (this.#files === undefined) return false;
    this.#readMappings();
    for (const mapping of this.#mappings) {
      const at = mapping.start + offset - mapping.offset;
      if (mapping.shared !== key || at < mapping.start || at + bytes.length > mapping.end) continue;
      const { mem } = this.#files;
      if ((write ? writeAt(mem, at, bytes) : readAt(mem, at, bytes)) === 'all') return true;
    }
    return false;
  }

  /** Its descriptors are given up: nothing can be copied or pinned any more. What is pinned stays. */
  close(): void {
    this.#gone = true;
    this.#mappings = [];
    const files = this.#files;
    this.#files = undefined;
    for (const fd of Object.values(files ?? {})) closeSync(fd);
  }

  #open(): void {
    const opened: number[] = [];
    const open = (name: string, flags: string): number => {
      opened.push(openSync(`/proc/${this.#pid}/${name}`, flags));
      return opened.at(-1)!;
    };
    try {
      this.#files = { mem: open('mem', 'r+'), maps: open('maps', 'r'), statm: open('statm', 'r') };
    } catch (error) {
      for (const fd of opened) closeSync(fd);
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') this.#refusal = `may not be looked at (${code})`;
      else this.#gone = true;
      return;
    }
    this.#readMappings();
  }

  /** Once a call. */
  #readMappings(): void {
    const { call } = this.#memories;
    if (this.#readIn === call || this.#files === undefined) return;
    this.#sizes = this.#readSizes();
    this.#mappings = readMaps(this.#files.maps, this.#memories.untouchable);
    this.#readIn = call;
    this.#trustedIn = call;
  }

  /** As `#readMappings`, unless no sizes have changed. */
  #trustMappings(): void {
    const { call } = this.#memories;
    if (this.#trustedIn === call) return;
    if (this.#readSizes() === this.#sizes) this.#trustedIn = call;
    else this.#readMappings();
  }

  /** Total and data size; what is resident changes all the time and says nothing. */
  #readSizes(): string {
    const length = this.#withFile((_mem, fd) => readSync(fd, statm, 0, statm.length, 0)) ?? 0;
    const [size, , , , , data] = statm.toString('latin1', 0, length).split(' ');
    return `${size} ${data}`;
  }

  #withFile<T>(use: (mem: number, statm: number) => T): T | undefined {
    try {
      return this.#files && use(this.#files.mem, this.#files.statm);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
      throw error;
    }
  }

  #checkCopy(address: bigint, length: number, need: Need): number {
    const start = this.#userAddress(address, length);
    const end = start + length;
    this.#trustMappings();
    if (this.#firstRefused(start, end, (mapping) => wouldBeNoticed(mapping, need)) !== undefined) {
      this.#readMappings();
      this.#assertAllows(start, end, need);
    }
    return start;
  }

  /** `access_ok`. */
  #userAddress(address: bigint, length: number): number {
    if (address < 0n || address + BigInt(length) > USER_END) {
      throw this.#fault(address, 'is no address of a user');
    }
    return Number(address);
  }

  #assertAllows(start: number, end: number, need: Need): void {
    const refused = this.#firstRefused(start, end, (mapping) => allows(mapping, need));
    if (refused === undefined) return;
    const mapping = this.#mappings[indexOfMapping(this.#mappings, refused)];
    const isThere = mapping !== undefined && mapping.start <= refused;
    throw this.#fault(
      BigInt(refused),
      isThere ? `is not ${need === 'any' ? 'accessible' : need}` : 'is not mapped',
    );
  }

  /** The first byte of `start … end - 1` where nothing is mapped, or not as it should. */
  #firstRefused(start: number, end: number, isFine: (mapping: Mapping) => boolean): number | undefined {
    for (let at = start, index = indexOfMapping(this.#mappings, start); at < end; index++) {
      const mapping = this.#mappings[index];
      if (mapping === undefined || mapping.start > at || !isFine(mapping)) return at;
      at = mapping.end;
    }
    return undefined;
  }

  #pinOne(mapping: Mapping, start: number, end: number, writable: boolean, runs: FrameRuns): void {
    if (mapping.unpinnable) throw this.#fault(BigInt(start), 'has no pages that could be pinned');
    const count = (end - start) / PAGE_SIZE;
    if (mapping.shared === undefined) {
      this.#blocks.pin(start / PAGE_SIZE, count, runs);
      return;
    }
    const shared = this.#memories.shared(mapping.shared);
    try {
      shared.open(`/proc/${this.#pid}/map_files/${mapping.start.toString(16)}-${mapping.end.toString(16)}`);
      const first = (mapping.offset + start - mapping.start) / PAGE_SIZE;
      this.#assertPinnable(shared, start, first + count, writable);
      shared.pin(first, count, runs);
    } finally {
      this.#memories.dropIfIdle(shared);
    }
  }

  #assertPinnable(shared: SharedMemory, start: number, endPage: number, writable: boolean): void {
    if (endPage > shared.pages) throw this.#fault(BigInt(start), 'is mapped past the end of its file');
    if (writable && !shared.isMemoryFile) {
      throw this.#fault(BigInt(start), 'is shared with a file on a disk and cannot be pinned for writing');
    }
  }

  /** What a device does to private pages: protections do not matter any more. */
  #moveOwn(start: number, bytes: Uint8Array, write: boolean): void {
    const move = (at: number, part: Uint8Array): boolean =>
      this.#withFile((mem) => (write ? writeAt(mem, at, part) : readAt(mem, at, part))) === 'all';
    if (move(start, bytes)) return;
    for (let done = 0; done < bytes.length; ) {
      const at = start + done;
      const part = bytes.subarray(done, done + PAGE_SIZE - (at % PAGE_SIZE));
      if (!move(at, part)) this.#moveLost(at, part, write);
      done += part.length;
    }
  }

  #moveLost(at: number, bytes: Uint8Array, write: boolean): void {
    if (this.#lost === undefined) {
      this.#memories.report(
        `${this.name} at 0x${at.toString(16)} is gone while a device uses it: its bytes are lost`,
      );
      this.#lost = new SparseBytes();
    }
    if (write) this.#lost.write(at, bytes);
    else this.#lost.read(at, bytes);
  }

  #assertMoved(moved: Moved | undefined, address: bigint): void {
    if (moved === 'all') return;
    if (moved !== 'short') this.close();
    throw this.#fault(address, 'cannot be reached');
  }

  #fault(address: bigint, problem: string): KernelError {
    if (this.#files !== undefined)
      return new KernelError('EFAULT', this.name, `0x${address.toString(16)} ${problem}`);
    const remedy = this.#gone ? undefined : 'run ringfence as root, or the program as your own user';
    return new KernelError('EFAULT', this.name, this.#refusal, remedy);
  }
}

/** Copying reads whatever is accessible at all, as the processor does; pinning for reading wants VM_READ. */
function allows(mapping: Mapping, need: Need): boolean {
  if (need === 'writable') return mapping.writable;
  if (need === 'readable') return mapping.readable;
  return mapping.readable || mapping.writable || mapping.executable;
}

/** Whether sizes, or the copy itself, would tell if `need` were not met any more. It is met as far as was read. */
function wouldBeNoticed(mapping: Mapping, need: Need): boolean {
  return mapping.writable && (mapping.shared === undefined || need === 'writable');
}
