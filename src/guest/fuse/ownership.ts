/** What `chown` and `chmod` did: `chown me /dev/vfio/12` is how groups are handed to users. */

import type { TreeDirectory, TreeEntry } from './tree.ts';

export interface Ownership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export class Ownerships {
  readonly #changed = new WeakMap<object, Map<string, Ownership>>();

  of(directory: object, name: string, entry: TreeEntry): Ownership {
    const changed = this.#changed.get(ownerOf(directory, entry))?.get(name);
    return changed ?? { mode: defaultMode(entry), uid: 0, gid: 0 };
  }

  change(directory: object, name: string, entry: TreeEntry, change: Partial<Ownership>): void {
    const owner = ownerOf(directory, entry);
    const names = this.#changed.get(owner) ?? new Map<string, Ownership>();
    names.set(name, { ...this.of(directory, name, entry), ...change });
    this.#changed.set(owner, names);
  }
}

/** It lasts as long as the file, where that tells, else as long as its directory. */
function ownerOf(directory: object, entry: TreeEntry): object {
  if (entry.kind === 'directory') return entry.identity;
  return (entry.kind === 'file' ? entry.identity : undefined) ?? directory;
}

function defaultMode(entry: TreeEntry): number {
  switch (entry.kind) {
    case 'directory':
      return (entry as TreeDirectory).mode ?? 0o755;
    case 'file':
      return entry.mode;
    case 'link':
      return 0o777;
  }
}
