/**
 * The few things the sysfs reader asks of a tree of files, whether it lies on disk or in an archive.
 *
 * Paths are relative, with `/` between names and none in front; `''` is the top. Nothing here throws for what a
 * tree may hold: what is missing, unreadable or no regular file is `undefined`, and `exists` tells the two apart.
 */
export interface FileTree {
  /** Names in a directory, `undefined` when it cannot be listed. Not sorted. */
  list(dir: string): string[] | undefined;
  /** The same with the kind of each, for who walks on. What is no file, directory or link is left out. */
  entries(dir: string): TreeEntry[] | undefined;
  /** Content of a regular file, at most `limit` bytes of it. */
  read(path: string, limit: number): Uint8Array | undefined;
  /**
   * Content of a file that is slow to read, as far as it is needed: the live tree reads on while `needed`, given
   * what it has and the size of the file, asks for more. A tree where reading costs nothing answers up to `limit` bytes.
   */
  readAsNeeded(path: string, limit: number, needed: Needed): Uint8Array | undefined;
  /** Content of a small text file, cut at `TEXT_LIMIT`. */
  readText(path: string): string | undefined;
  /** Where a symbolic link points, as it stands there. */
  link(path: string): string | undefined;
  /** Size the tree gives for a file, which for sysfs may be more than can be read. */
  size(path: string): number | undefined;
  exists(path: string): boolean;
}

export interface TreeEntry {
  name: string;
  kind: 'file' | 'directory' | 'link';
}

/** @returns how many bytes are needed, or no more than `soFar` has */
export type Needed = (soFar: Uint8Array, size: number) => number;

/** Attributes are a page at most; the kernel command line and lists are somewhat longer. */
export const TEXT_LIMIT = 1 << 20;

/** Where the link `target`, found at `path`, leads; `undefined` when above the top. Absolute ones start at the top. */
export function resolveLink(path: string, target: string): string | undefined {
  const parts = target.startsWith('/') ? [] : path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Last name of a path or link target. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
