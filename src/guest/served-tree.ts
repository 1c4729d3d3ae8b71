/** The tree that is mounted: the simulated /sys and /dev, with places for what stays real in them. */

import { KernelError } from '../kernel/errors.ts';
import type { Requester } from './fuse/request.ts';
import type { TreeDirectory, TreeEntry, TreeFile } from './fuse/tree.ts';
import { isShared, type KeptEntries, type KeptEntry } from './kept-real.ts';
import type { Credentials, ViewDirectory, ViewEntry, ViewFile } from './sysfs/entry.ts';

/** A directory with fixed entries. */
export function fixedDirectory(entries: Readonly<Record<string, TreeEntry>>): TreeDirectory {
  return {
    kind: 'directory',
    identity: entries,
    lasting: true,
    names: () => Object.keys(entries),
    entry: (name) => (Object.hasOwn(entries, name) ? entries[name] : undefined),
  };
}

export interface SysfsTreeInit {
  view: ViewDirectory;
  kept: KeptEntries;
  credentials(requester: Requester): Credentials;
  /** Told of every write: the file and what it took, or was refused with. */
  wrote(requester: Requester, path: string, bytes: Uint8Array, outcome: number | KernelError): void;
}

/** Serves the view, and in the directories that are shared, places for the real entries. */
export class SysfsTree {
  readonly root: TreeDirectory;
  readonly #init: SysfsTreeInit;

  constructor(init: SysfsTreeInit) {
    this.#init = init;
    this.root = this.#shared('/', () => init.view);
  }

  /**
   * A place that is bound over must stay what it is, so places come first.
   *
   * @param view looked up when it is asked for: the model may make it, or take it away, at any time
   */
  #shared(path: string, view: () => ViewDirectory | undefined): TreeDirectory {
    const prefix = path === '/' ? '' : path;
    const places = placesFor(this.#init.kept[path] ?? [], (name) => {
      const below = `${prefix}/${name}`;
      return isShared(below) ? this.#shared(below, () => directoryIn(view(), name)) : undefined;
    });
    // Shared, but the real /sys has none: the same directory at every look.
    const own = new Map<string, TreeDirectory>();
    return {
      kind: 'directory',
      identity: places,
      lasting: true,
      names: () => new Set([...places.keys(), ...(view()?.names() ?? [])]),
      entry: (name) => {
        const place = places.get(name);
        if (place !== undefined) return place;
        const entry = view()?.entry(name);
        if (entry === undefined) return undefined;
        const below = `${prefix}/${name}`;
        if (entry.kind !== 'directory' || !isShared(below)) return this.#entry(entry, below);
        const known = own.get(name) ?? this.#shared(below, () => directoryIn(view(), name));
        own.set(name, known);
        return known;
      },
    };
  }

  #entry(entry: ViewEntry, path: string): TreeEntry {
    switch (entry.kind) {
      case 'directory':
        return this.#directory(entry);
      case 'file':
        return this.#file(entry, path);
      case 'link':
        return entry;
    }
  }

  #directory(view: ViewDirectory): TreeDirectory {
    return {
      kind: 'directory',
      identity: view.identity,
      names: () => view.names(),
      entry: (name) => {
        const entry = view.entry(name);
        return entry && this.#entry(entry, `${view.path}/${name}`);
      },
    };
  }

  #file(view: ViewFile, path: string): TreeFile {
    return {
      kind: 'file',
      mode: view.mode,
      size: view.size,
      open: (requester, flags) => {
        assertOpens(view, path, flags);
        const open = view.open(this.#init.credentials(requester));
        return {
          read: (_, size, position) => open.read(Number(position), size),
          write: (writer, bytes, position) => this.#write(open, writer, path, bytes, Number(position)),
        };
      },
    };
  }

  #write(
    open: ReturnType<ViewFile['open']>,
    requester: Requester,
    path: string,
    bytes: Uint8Array,
    position: number,
  ): number {
    try {
      const taken = open.write(position, bytes);
      this.#init.wrote(requester, path, bytes, taken);
      return taken;
    } catch (error) {
      if (error instanceof KernelError) this.#init.wrote(requester, path, bytes, error);
      throw error;
    }
  }
}

/** The nodes of the model where it has one, else places for the real ones. */
export function deviceTree(
  kept: KeptEntries,
  names: () => Iterable<string>,
  entry: (name: string) => TreeEntry | undefined,
): TreeDirectory {
  const places = placesFor(kept['/'] ?? [], () => undefined);
  return {
    kind: 'directory',
    identity: places,
    lasting: true,
    names: () => new Set([...places.keys(), ...names()]),
    entry: (name) => places.get(name) ?? entry(name),
  };
}

function placesFor(
  entries: readonly KeptEntry[],
  made: (name: string) => TreeDirectory | undefined,
): Map<string, TreeEntry> {
  const places = new Map<string, TreeEntry>();
  for (const entry of entries) {
    if (entry.kind === 'link') places.set(entry.name, { kind: 'link', target: entry.target });
    else if (entry.kind === 'directory') places.set(entry.name, made(entry.name) ?? emptyDirectory());
    else places.set(entry.name, { kind: 'file', mode: 0, size: 0, lasting: true, open: refuse });
  }
  return places;
}

function emptyDirectory(): TreeDirectory {
  return { kind: 'directory', identity: {}, lasting: true, names: () => [], entry: () => undefined };
}

function refuse(): never {
  throw new KernelError('ENODEV', 'this place', 'holds nothing: the real file could not be bound there');
}

function directoryIn(view: ViewDirectory | undefined, name: string): ViewDirectory | undefined {
  const entry = view?.entry(name);
  return entry?.kind === 'directory' ? entry : undefined;
}

const O_ACCMODE = 3;
const O_WRONLY = 1;

/** `kernfs_fop_open`: not even root opens a file for what nobody may do with it. */
function assertOpens({ mode }: ViewFile, path: string, flags: number): void {
  const access = flags & O_ACCMODE;
  const reads = access !== O_WRONLY;
  const writes = access !== 0;
  if ((reads && (mode & 0o444) === 0) || (writes && (mode & 0o222) === 0)) {
    throw new KernelError(
      'EACCES',
      `/sys${path}`,
      `is not ${reads && (mode & 0o444) === 0 ? 'readable' : 'writable'}`,
    );
  }
}
