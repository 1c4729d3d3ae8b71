/** The file system over one machine's kobjects: paths in, attributes, directories and links out. */

import { KernelError } from './errors.ts';
import { type Attribute, joinPath, Kobject, Link } from './kobject.ts';

/** Links followed on the way of one look-up before it is ELOOP (MAXSYMLINKS). */
const MAX_SYMLINKS = 40;

/** What a path leads to. `directory` of a file or link is the one it lies in. */
export type Node =
  | { kind: 'directory'; kobj: Kobject }
  | { kind: 'file'; directory: Kobject; attribute: Attribute }
  | { kind: 'link'; directory: Kobject; name: string; target: Kobject };

/** One machine's sysfs. Paths are absolute from its root; `.` and `..` walk as in any file system. */
export class Sysfs {
  readonly root: Kobject = new Kobject('sysfs');

  /**
   * The node a path leads to, links followed (`stat`).
   * @returns nothing when there is none
   * @throws KernelError ELOOP after 40 links
   */
  lookup(path: string): Node | undefined {
    return this.#walk(path, true);
  }

  /** As `lookup`, but a link at the end of the path is answered as itself (`lstat`). */
  lookupLink(path: string): Node | undefined {
    return this.#walk(path, false);
  }

  exists(path: string): boolean {
    return this.lookup(path) !== undefined;
  }

  /**
   * The text of an attribute.
   * @throws KernelError ENOENT, EISDIR, ELOOP, EIO without `show`, or what `show` throws
   */
  read(path: string): string {
    const { directory, attribute } = this.#file(path);
    if (!attribute.show) throw new KernelError('EIO', path, 'this attribute cannot be read');
    return attribute.show(directory);
  }

  /**
   * Write an attribute.
   * @throws KernelError ENOENT, EISDIR, ELOOP, EIO without `store`, or what `store` throws
   */
  write(path: string, text: string): void {
    const { directory, attribute } = this.#file(path);
    if (!attribute.store) throw new KernelError('EIO', path, 'this attribute cannot be written');
    attribute.store(directory, text);
  }

  /**
   * Names in a directory, sorted by code unit; the kernel's own order is that of a hash.
   * @throws KernelError ENOENT, ENOTDIR, ELOOP
   */
  readdir(path: string): string[] {
    const node = this.#required(path, this.lookup(path));
    if (node.kind !== 'directory') throw new KernelError('ENOTDIR', path, 'is not a directory');
    return Array.from(node.kobj.names()).sort();
  }

  /**
   * The text of a link: relative to the directory it lies in, e.g. `../../../kernel/iommu_groups/7`.
   * @throws KernelError ENOENT, ELOOP on the way there, EINVAL when it is not a link
   */
  readlink(path: string): string {
    const node = this.#required(path, this.lookupLink(path));
    if (node.kind !== 'link') throw new KernelError('EINVAL', path, 'is not a symbolic link');
    return relativePath(node.directory.path, node.target.path);
  }

  /**
   * The same place without links, `.` and `..`.
   * @throws KernelError ENOENT, ELOOP
   */
  realpath(path: string): string {
    const node = this.#required(path, this.lookup(path));
    if (node.kind === 'directory') return node.kobj.path;
    const name = node.kind === 'file' ? node.attribute.name : node.name;
    return joinPath(node.directory.path, name);
  }

  /**
   * A plain directory, made along with those above it where missing (`kobject_create_and_add`).
   * @throws KernelError EEXIST when something that is not a directory is in the way
   */
  makePath(path: string): Kobject {
    let directory = this.root;
    for (const name of segments(path)) {
      const entry = directory.entry(name);
      directory = entry instanceof Kobject ? entry : new Kobject(name, directory);
    }
    return directory;
  }

  #file(path: string): Extract<Node, { kind: 'file' }> {
    const node = this.#required(path, this.lookup(path));
    if (node.kind !== 'file') throw new KernelError('EISDIR', path, 'is a directory');
    return node;
  }

  #required(path: string, node: Node | undefined): Node {
    if (!node) throw new KernelError('ENOENT', path, 'no such file or directory');
    return node;
  }

  #walk(path: string, followLast: boolean): Node | undefined {
    // Last segment first, so that the path of a dangling link can be put in front of what is left.
    const left = segments(path).reverse();
    const mustBeDirectory = path.endsWith('/');
    let directory = this.root;
    let linksFollowed = 0;

    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (name === '.') continue;
      if (name === '..') {
        directory = directory.parent ?? directory;
        continue;
      }
      const entry = directory.entry(name);
      if (!entry) return undefined;
      if (entry instanceof Kobject) {
        directory = entry;
      } else if (entry instanceof Link) {
        const { target } = entry;
        if (left.length === 0 && !followLast && !mustBeDirectory)
          return { kind: 'link', directory, name, target };
        if (++linksFollowed > MAX_SYMLINKS) {
          throw new KernelError('ELOOP', path, `leads through more than ${MAX_SYMLINKS} symbolic links`);
        }
        if (target.inSysfs) {
          directory = target;
        } else {
          // The text is what the link holds, and something new may live at that place by now.
          left.push(...segments(target.path).reverse());
          directory = this.root;
        }
      } else {
        return left.length === 0 && !mustBeDirectory
          ? { kind: 'file', directory, attribute: entry }
          : undefined;
      }
    }
    return { kind: 'directory', kobj: directory };
  }
}

function segments(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

/** `kernfs_get_target_path`: up to the nearest directory above both, which is never the target itself, and down. */
export function relativePath(fromDirectory: string, target: string): string {
  const from = segments(fromDirectory);
  const to = segments(target);
  let shared = 0;
  while (shared < from.length && shared < to.length - 1 && from[shared] === to[shared]) shared++;
  return [...Array<string>(from.length - shared).fill('..'), ...to.slice(shared)].join('/');
}
