/**
 * Who calls: from the thread's number in a request to its process, and from a descriptor it names to the file behind.
 *
 * A number is a thread's only as long as it lives. For a process's first thread its memory tells when it is gone; of
 * every other thread a file of /proc is kept open, which answers until that thread, and no other of the same number,
 * has ended.
 */

import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';
import { makeUser, type User } from '../iommufd/process.ts';
import type { Caller, KernelFile } from '../uapi/open-file.ts';
import { GuestProcess } from './guest-process.ts';
import type { Memories } from './memory/memories.ts';
import type { ProcessMemory } from './memory/process-memory.ts';
import { readDescriptorInode, readStatus } from './proc-files.ts';

/** Threads kept in mind; of a program that has more, the one that has not called longest is looked up again. */
const MOST_THREADS = 512;

interface Thread {
  readonly pid: number;
  /** `/proc/TID/comm`; none for the first thread of a process. */
  readonly alive: number | undefined;
}

export interface CallersInit {
  memories: Memories;
  /** What is open through the inode of that number. */
  openWithNumber(ino: bigint): readonly KernelFile[];
}

export class Callers {
  readonly #memories: Memories;
  readonly #openWithNumber: CallersInit['openWithNumber'];
  readonly #threads = new Map<number, Thread>();
  readonly #processes = new WeakMap<ProcessMemory, GuestProcess>();
  readonly #users = new Map<number, User>();
  readonly #byte = Buffer.alloc(1);

  constructor({ memories, openWithNumber }: CallersInit) {
    this.#memories = memories;
    this.#openWithNumber = openWithNumber;
  }

  /**
   * @param noDescriptors why none can be put into the process, where that is so
   */
  of(tid: number, noDescriptors?: string): Caller {
    const process = this.#processOf(this.#pidOf(tid));
    return {
      process,
      memory: process.memory,
      fileOf: (descriptor) => this.#fileOf(tid, descriptor),
      ...(noDescriptors !== undefined && { noDescriptors }),
    };
  }

  /** Gives up everything that is kept open. */
  close(): void {
    for (const tid of [...this.#threads.keys()]) this.#forget(tid);
  }

  #pidOf(tid: number): number {
    if (this.#memories.has(tid)) return tid;
    const known = this.#threads.get(tid);
    if (known !== undefined) {
      this.#threads.delete(tid);
      this.#threads.set(tid, known);
      if (this.#isAlive(known)) return known.pid;
      this.#forget(tid);
    }
    const pid = readStatus(tid)?.pid ?? tid;
    if (pid === tid) return tid;
    const thread = { pid, alive: openOrNothing(`/proc/${tid}/comm`) };
    // Asked again: the number may have gone to another thread between the two.
    if (thread.alive === undefined || readStatus(tid)?.pid !== pid) {
      closeIfOpen(thread.alive);
      return pid;
    }
    this.#threads.set(tid, thread);
    const [oldest] = this.#threads.keys();
    if (this.#threads.size > MOST_THREADS) this.#forget(oldest!);
    return pid;
  }

  #isAlive({ alive }: Thread): boolean {
    try {
      return alive !== undefined && readSync(alive, this.#byte, 0, 1, 0) > 0;
    } catch {
      return false;
    }
  }

  #forget(tid: number): void {
    closeIfOpen(this.#threads.get(tid)?.alive);
    this.#threads.delete(tid);
  }

  #processOf(pid: number): GuestProcess {
    const memory = this.#memories.of(pid);
    let process = this.#processes.get(memory);
    if (process === undefined) {
      const uid = readStatus(pid)?.uid ?? 0;
      const user = this.#users.get(uid) ?? makeUser(`uid ${uid}`);
      this.#users.set(uid, user);
      process = new GuestProcess({ pid, memory, user, call: () => this.#memories.call });
      this.#processes.set(memory, process);
    }
    return process;
  }

  #fileOf(tid: number, descriptor: number): KernelFile | undefined {
    if (!Number.isInteger(descriptor) || descriptor < 0) return undefined;
    const ino = readDescriptorInode(tid, descriptor);
    if (ino === undefined) return undefined;
    // Two files of one inode: one was opened again through /proc/PID/fd, and which is meant cannot be told.
    const [file, ...others] = this.#openWithNumber(ino);
    if (file !== undefined) return others.length === 0 ? file : undefined;
    return this.#memories.fileOf(tid, descriptor) ?? namedFile(`/proc/${tid}/fd/${descriptor}`);
  }
}

/** Something that is none of ours: a call that is told it wants to know at most what it is. */
function namedFile(path: string): KernelFile | undefined {
  try {
    return { name: readlinkSync(path), close: () => {} };
  } catch {
    return undefined;
  }
}

function openOrNothing(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

function closeIfOpen(fd: number | undefined): void {
  if (fd !== undefined) closeSync(fd);
}
