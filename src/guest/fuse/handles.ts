/** Everything that is open: by the number the kernel was given, and by the inode it was opened through. */

import type { Inode } from './inodes.ts';
import type { DirectoryLine } from './reply.ts';
import type { TreeHandle } from './tree.ts';

export interface OpenFile {
  readonly inode: Inode;
  readonly handle: TreeHandle;
  /** Ends what POLL asked to be told. */
  stopWaking?: (() => void) | undefined;
}

export interface OpenDirectory {
  /** What it held when reading it began. */
  lines: readonly DirectoryLine[];
}

export class Handles {
  readonly #files = new Map<bigint, OpenFile>();
  readonly #directories = new Map<bigint, OpenDirectory>();
  readonly #byInode = new Map<Inode, Set<OpenFile>>();
  #next = 1n;

  get size(): number {
    return this.#files.size + this.#directories.size;
  }

  add(inode: Inode, handle: TreeHandle): bigint {
    const file: OpenFile = { inode, handle };
    this.#files.set(this.#next, file);
    const others = this.#byInode.get(inode);
    if (others === undefined) this.#byInode.set(inode, new Set([file]));
    else others.add(file);
    return this.#next++;
  }

  find(fh: bigint): OpenFile | undefined {
    return this.#files.get(fh);
  }

  /** Takes it out, and lets its owner know. */
  release(fh: bigint): void {
    const file = this.#files.get(fh);
    if (file === undefined) return;
    this.#files.delete(fh);
    const others = this.#byInode.get(file.inode);
    others?.delete(file);
    if (others?.size === 0) this.#byInode.delete(file.inode);
    file.stopWaking?.();
    file.handle.release?.();
  }

  of(inode: Inode): readonly TreeHandle[] {
    return [...(this.#byInode.get(inode) ?? [])].map(({ handle }) => handle);
  }

  addDirectory(): bigint {
    this.#directories.set(this.#next, { lines: [] });
    return this.#next++;
  }

  findDirectory(fh: bigint): OpenDirectory | undefined {
    return this.#directories.get(fh);
  }

  releaseDirectory(fh: bigint): void {
    this.#directories.delete(fh);
  }

  /** For the end: whatever is still open is closed. */
  releaseAll(): void {
    for (const fh of [...this.#files.keys()]) this.release(fh);
    this.#directories.clear();
  }
}
