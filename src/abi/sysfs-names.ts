/** The names of a sysfs, gathered once: directories, their files, and where links lead. Nothing is read. */

/** A sysfs to look at: the running one, a folder, an archive. Paths are relative to its top, which is `''`. */
export interface SysfsView {
  /** What is in a directory; `undefined` where it cannot be listed. */
  entries(directory: string): SysfsEntry[] | undefined;
  /** Where a link leads, as it stands there. */
  link(path: string): string | undefined;
}

export interface SysfsEntry {
  name: string;
  kind: 'file' | 'directory' | 'link';
}

export interface SysfsDirectory {
  /** `''` for the top. */
  path: string;
  directories: { name: string; directory: SysfsDirectory }[];
  files: string[];
  /** Relative to the top; what leads out of it is not here. */
  links: { name: string; target: string }[];
}

export interface SysfsNames {
  top: SysfsDirectory;
  byPath: Map<string, SysfsDirectory>;
  /** Files, directories and links seen. */
  count: number;
  /** False: the limit was met, and there is more. */
  complete: boolean;
}

export interface WalkOptions {
  /** Most names that are kept. Default two million. */
  limit?: number;
  /** Told now and then how many names there are so far, and where it is. */
  progress?(count: number, path: string): void;
}

const MOST = 2_000_000;
const DEEPEST = 64;
const BETWEEN_PROGRESS = 4096;

export function gatherNames(view: SysfsView, { limit = MOST, progress }: WalkOptions = {}): SysfsNames {
  const top = newDirectory('');
  const names: SysfsNames = { top, byPath: new Map([['', top]]), count: 0, complete: true };
  const open: { directory: SysfsDirectory; depth: number }[] = [{ directory: top, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { directory, depth } = next;
    for (const { name, kind } of view.entries(directory.path) ?? []) {
      const path = directory.path === '' ? name : `${directory.path}/${name}`;
      if (leftOut(directory.path, name, path, kind)) continue;
      if (names.count >= limit) return { ...names, complete: false };
      if (++names.count % BETWEEN_PROGRESS === 0) progress?.(names.count, `/sys/${path}`);
      if (kind === 'file') directory.files.push(name);
      else if (kind === 'link') addLink(directory, name, linkTarget(path, view.link(path)));
      else if (depth < DEEPEST) {
        const below = newDirectory(path);
        directory.directories.push({ name, directory: below });
        names.byPath.set(path, below);
        open.push({ directory: below, depth: depth + 1 });
      } else names.complete = false;
    }
  }
  return names;
}

function newDirectory(path: string): SysfsDirectory {
  return { path, directories: [], files: [], links: [] };
}

function addLink(directory: SysfsDirectory, name: string, target: string | undefined): void {
  if (target !== undefined) directory.links.push({ name, target });
}

/** `undefined` for what leads out. A path from the root is below /sys, or out. */
function linkTarget(path: string, target: string | undefined): string | undefined {
  if (target === undefined) return undefined;
  const absolute = target.startsWith('/');
  if (absolute && !target.startsWith('/sys/')) return undefined;
  const parts = absolute ? [] : path.split('/').slice(0, -1);
  for (const part of (absolute ? target.slice('/sys/'.length) : target).split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/**
 * What `get_abi.pl undefined` leaves out: documented elsewhere (firmware, module parameters), too large (cgroups), or
 * no interface (sections and notes, debugfs, tracefs, what pstore, bpf and fuse hold).
 */
function leftOut(directory: string, name: string, path: string, kind: SysfsEntry['kind']): boolean {
  if (directory.startsWith('kernel') && /debug|tracing/.test(name)) return true;
  if (directory.startsWith('fs') && /pstore|bpf|fuse/.test(name)) return true;
  return isLeftOut(kind === 'directory' ? `/sys/${path}/` : `/sys/${path}`);
}

/** The same of a path, that of a directory with a slash behind it. */
export function isLeftOut(path: string): boolean {
  return /^\/sys\/(?:fs\/cgroup|firmware)\/|\/sections|notes\/|\/parameters\//.test(path);
}
