/** The numbers under which the kernel knows what it has looked up, for as long as it remembers them. */

import { randomInt } from 'node:crypto';
import { ROOT_NODE } from './protocol.ts';
import type { TreeDirectory, TreeEntry, TreeFile } from './tree.ts';

export class Inode {
  readonly id: bigint;
  readonly name: string;
  /** As it was when last looked up. */
  entry: TreeEntry;
  /** Times the kernel was given this number, less the times it forgot it. */
  lookups = 0n;
  /** Where it stands in the table of names. */
  readonly directory: object;
  /** Of a file with an inode per open: the thread that looked it up, until somebody opens it. */
  spareOf: number | undefined;

  constructor(id: bigint, directory: object, name: string, entry: TreeEntry) {
    this.id = id;
    this.directory = directory;
    this.name = name;
    this.entry = entry;
  }
}

export class Inodes {
  readonly #byId = new Map<bigint, Inode>();
  readonly #directories = new Map<object, Inode>();
  readonly #names = new Map<object, Map<string, Inode>>();
  /**
   * Open files are told apart by inode number, so those numbers begin where no other file system's do: somewhere
   * in 2^57.
   */
  readonly #openBase = BigInt(randomInt(2 ** 46, 2 ** 47)) << 10n;
  #next = ROOT_NODE + 1n;

  constructor(root: TreeDirectory) {
    const inode = new Inode(ROOT_NODE, root.identity, '', root);
    inode.lookups = 1n;
    this.#byId.set(ROOT_NODE, inode);
    this.#directories.set(root.identity, inode);
  }

  /** How many the kernel remembers. */
  get size(): number {
    return this.#byId.size;
  }

  find(id: bigint): Inode | undefined {
    return this.#byId.get(id);
  }

  /** What `stat` shows as inode number. */
  numberOf(inode: Inode): bigint {
    return isPerOpen(inode.entry) ? this.#openBase + inode.id : inode.id;
  }

  /** The inode, of a file with one per open, that `stat` shows this number of. */
  withNumber(ino: bigint): Inode | undefined {
    const inode = this.#byId.get(ino - this.#openBase);
    return inode !== undefined && isPerOpen(inode.entry) ? inode : undefined;
  }

  /** The inode of what a directory shows under a name; the kernel remembers it once more. */
  lookup(directory: TreeDirectory, name: string, entry: TreeEntry, thread: number): Inode {
    const known = this.#known(directory, name, entry, thread);
    const inode = known ?? this.#make(directory, name, entry);
    inode.entry = entry;
    inode.lookups++;
    if (isPerOpen(entry)) inode.spareOf = thread;
    return inode;
  }

  /** The kernel forgets it `count` times. Numbers it never had are none of its business, and let pass. */
  forget(id: bigint, count: bigint): void {
    const inode = this.#byId.get(id);
    if (inode === undefined || id === ROOT_NODE) return;
    inode.lookups -= count;
    if (inode.lookups > 0n) return;
    this.#byId.delete(id);
    if (inode.entry.kind === 'directory' && this.#directories.get(inode.entry.identity) === inode) {
      this.#directories.delete(inode.entry.identity);
    }
    const names = this.#names.get(inode.directory);
    if (names?.get(inode.name) !== inode) return;
    names.delete(inode.name);
    if (names.size === 0) this.#names.delete(inode.directory);
  }

  #known(directory: TreeDirectory, name: string, entry: TreeEntry, thread: number): Inode | undefined {
    if (entry.kind === 'directory') return this.#directories.get(entry.identity);
    const inode = this.#names.get(directory.identity)?.get(name);
    if (inode === undefined || inode.entry.kind !== entry.kind) return undefined;
    if (identityOf(inode.entry) !== identityOf(entry)) return undefined;
    // What one thread looks up it opens next; another thread gets its own, so no two ever open the same.
    return isPerOpen(entry) && inode.spareOf !== thread ? undefined : inode;
  }

  #make(directory: TreeDirectory, name: string, entry: TreeEntry): Inode {
    const inode = new Inode(this.#next++, directory.identity, name, entry);
    this.#byId.set(inode.id, inode);
    if (entry.kind === 'directory') this.#directories.set(entry.identity, inode);
    else {
      const names = this.#names.get(directory.identity);
      if (names === undefined) this.#names.set(directory.identity, new Map([[name, inode]]));
      else names.set(name, inode);
    }
    return inode;
  }
}

function isPerOpen(entry: TreeEntry): entry is TreeFile {
  return entry.kind === 'file' && entry.perOpen === true;
}

function identityOf(entry: TreeEntry): object | undefined {
  return entry.kind === 'file' ? entry.identity : undefined;
}
