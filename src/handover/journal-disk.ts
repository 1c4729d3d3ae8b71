/** The folder of journals, and writing to one so that it is on disk before anything else happens. */

import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ErrnoName, KernelError } from '../kernel/errors.ts';

/** What a journal asks of its file. Tests put one between that fails or dies. */
export interface JournalFile {
  append(text: string): void;
  /** Returns when what was appended would survive the power going. */
  sync(): void;
  close(): void;
}

export interface JournalDisk {
  /** Numbers of the journals there are, in order. */
  ids(): number[];
  read(id: number): string;
  /** @throws KernelError EEXIST when another run was faster */
  create(id: number): JournalFile;
  open(id: number): JournalFile;
}

const JOURNAL = 'the journal';

/** A journal of thousands of devices; more was not written by us. */
const LONGEST = 64 * 1024 * 1024;

export class DirectoryDisk implements JournalDisk {
  readonly #directory: string;

  /** The folder need not be there: looking into it makes nothing. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  ids(): number[] {
    return this.#names()
      .flatMap((name) => /^hand-over-([1-9]\d{0,8})\.jsonl$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  read(id: number): string {
    const path = this.#path(id);
    const bytes = guarded(path, JOURNAL, () => readFileSync(path));
    return bytes.subarray(0, LONGEST).toString('utf8');
  }

  create(id: number): JournalFile {
    makeDirectory(this.#directory);
    const path = this.#path(id);
    const file = guarded(path, JOURNAL, () => new File(openSync(path, 'ax+', 0o600), path));
    guarded(this.#directory, JOURNAL, () => syncDirectory(this.#directory));
    return file;
  }

  open(id: number): JournalFile {
    const path = this.#path(id);
    return guarded(path, JOURNAL, () => new File(openSync(path, 'a+'), path));
  }

  #names(): string[] {
    try {
      return guarded(this.#directory, JOURNAL, () => readdirSync(this.#directory));
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ENOENT') return [];
      throw error;
    }
  }

  #path(id: number): string {
    return join(this.#directory, `hand-over-${id}.jsonl`);
  }
}

class File implements JournalFile {
  readonly #fd: number;
  readonly #path: string;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** A line that was cut short, by a full disk or a killed run, is ended first: it spoils no other. */
  append(text: string): void {
    guarded(this.#path, JOURNAL, () => {
      const { size } = fstatSync(this.#fd);
      const last = Buffer.alloc(1);
      if (size > 0) readSync(this.#fd, last, 0, 1, size - 1);
      let bytes = Buffer.from(size > 0 && last[0] !== 0x0a ? `\n${text}` : text);
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#fd, bytes));
    });
  }

  sync(): void {
    guarded(this.#path, JOURNAL, () => fsyncSync(this.#fd));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the folder of journals and locks.
 * @throws KernelError naming it
 */
export function makeDirectory(path: string): void {
  guarded(path, 'the folder', () => mkdirSync(path, { recursive: true, mode: 0o700 }));
}

const PROBLEMS: Partial<Record<string, [code: ErrnoName, problem: string, remedy?: string]>> = {
  ENOSPC: ['ENOSPC', 'no space left on the disk', 'free some space there, then run it again'],
  EDQUOT: ['ENOSPC', 'no quota left on the disk', 'free some space there, then run it again'],
  EACCES: ['EACCES', 'permission denied'],
  EPERM: ['EACCES', 'permission denied'],
  EROFS: ['EACCES', 'the disk is read-only', 'make it writable, then run it again'],
  EEXIST: ['EEXIST', 'is there already'],
  ENOENT: ['ENOENT', 'no such file'],
};

/** Turns what the file system answers into an error that names `path`; `what` is kept there. */
export function guarded<T>(path: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof KernelError) throw error;
    const [errno, problem, remedy] = PROBLEMS[code] ?? (['EIO', `the write failed (${code})`] as const);
    throw new KernelError(errno, path, `${what} cannot be kept: ${problem}`, remedy);
  }
}
