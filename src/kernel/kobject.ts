/**
 * Kobjects: the named objects that sysfs shows as directories, with their attributes and links.
 *
 * A machine has many thousands of these, so what all objects of a kind share (attributes, release) lives in a
 * `Ktype`, and a directory's own table exists only once something is put in it.
 */

import { KernelError } from './errors.ts';
import { FILE_NAME } from './file-name.ts';
import { Referenced, type ReferenceTracker } from './reference.ts';
import { SmallMap } from './small-map.ts';

/** A sysfs file. Without `show` or `store`, reading or writing it is EIO. */
export interface Attribute {
  name: string;
  /** Permission bits, e.g. 0o444. Who may do what is the caller's matter, not checked here. */
  mode: number;
  /** Whether this object has the file at all (`is_visible` of an attribute group); without it, yes. */
  visible?(kobj: Kobject): boolean;
  show?(kobj: Kobject): string;
  store?(kobj: Kobject, text: string): void;
}

/** What every kobject of a kind has in common (`kobj_type`). */
export interface Ktype {
  readonly attributes?: readonly Attribute[];
  /** Called once the last reference went and the directory is gone. */
  release?(kobj: Kobject): void;
}

/** A symbolic link; its text follows the target when that is renamed. */
export class Link {
  readonly target: Kobject;

  constructor(target: Kobject) {
    this.target = target;
  }
}

/** What a directory holds under a name. */
export type Entry = Kobject | Link | Attribute;

export class Kobject extends Referenced {
  readonly ktype: Ktype | undefined;
  #name: string;
  #parent: Kobject | undefined;
  #entries: SmallMap<string, Entry> | undefined;
  #inSysfs = true;
  /** Where the directory was, once deletion has cut it off from its parent. */
  #deletedFrom: string | undefined;

  /**
   * `kobject_init_and_add`; without a parent, the root of a new tree. Holds a reference on its parent until it is
   * deleted. The maker holds the only reference.
   * @throws KernelError EINVAL for a name that cannot be a file name, EEXIST when the parent has such an entry,
   *   ENOENT when the parent's directory is gone
   */
  constructor(name: string, parent?: Kobject, ktype?: Ktype, tracker?: ReferenceTracker) {
    if (parent) parent.#assertFree(name);
    super(name, tracker);
    this.ktype = ktype;
    this.#name = name;
    if (parent) {
      this.#parent = parent.get();
      parent.#put(name, this);
    }
  }

  get name(): string {
    return this.#name;
  }

  /** None for the root, and once deleted. */
  get parent(): Kobject | undefined {
    return this.#parent;
  }

  /** Whether the directory is in the tree: not deleted, and no directory above it either. */
  get inSysfs(): boolean {
    return this.#inSysfs;
  }

  /** From the root of the tree, e.g. `/kernel/iommu_groups/0`; of a removed one, where it was. */
  get path(): string {
    let below = '';
    let kobj: Kobject = this;
    for (; kobj.#parent !== undefined; kobj = kobj.#parent) below = `/${kobj.#name}${below}`;
    return `${kobj.#deletedFrom ?? ''}${below}` || '/';
  }

  override describe(): string {
    return this.path;
  }

  /** The directories in this one, in the order they were made. */
  *children(): Generator<Kobject> {
    for (const entry of this.#entries?.values() ?? []) if (entry instanceof Kobject) yield entry;
  }

  /** Everything the directory shows: attributes of its kind first, then the rest in the order it was made. */
  *names(): Generator<string> {
    for (const attribute of this.ktype?.attributes ?? []) {
      if (attribute.visible?.(this) ?? true) yield attribute.name;
    }
    if (this.#entries) yield* this.#entries.keys();
  }

  /** The entry of that name, if the directory has one. */
  entry(name: string): Entry | undefined {
    const own = this.#entries?.get(name);
    if (own) return own;
    const shared = this.ktype?.attributes?.find((attribute) => attribute.name === name);
    return shared && (shared.visible?.(this) ?? true) ? shared : undefined;
  }

  /**
   * `sysfs_create_file`.
   * @throws KernelError EEXIST, EINVAL for the name, ENOENT when the directory is gone
   */
  createFile(attribute: Attribute): void {
    this.#assertFree(attribute.name);
    this.#put(attribute.name, attribute);
  }

  /** `sysfs_remove_file`: nothing happens if it is not there. */
  removeFile(name: string): void {
    const entry = this.#entries?.get(name);
    if (entry && !(entry instanceof Kobject) && !(entry instanceof Link)) this.#entries?.delete(name);
  }

  /**
   * `sysfs_create_link`. The link does not keep its target alive, and dangles once that is gone.
   * @throws KernelError EEXIST, EINVAL for the name, ENOENT when either directory is gone
   */
  createLink(name: string, target: Kobject): void {
    this.#assertFree(name);
    if (!target.inSysfs) {
      throw new KernelError('ENOENT', target.path, `cannot be linked to as ${name}, it has been deleted`);
    }
    this.#put(name, new Link(target));
  }

  /** `sysfs_remove_link`: nothing happens if it is not there. */
  removeLink(name: string): void {
    if (this.#entries?.get(name) instanceof Link) this.#entries.delete(name);
  }

  /**
   * `kobject_rename`. Links to it follow.
   * @throws KernelError EEXIST, EINVAL for the name or on the root, ENOENT when it is gone
   */
  rename(name: string): void {
    this.alive('renaming');
    if (!this.inSysfs) throw new KernelError('ENOENT', this.path, 'is renamed after it was deleted');
    if (!this.#parent) throw new KernelError('EINVAL', this.path, 'the root has no name to change');
    this.#parent.#assertFree(name);
    this.#parent.#entries?.delete(this.#name);
    this.#name = name;
    this.#parent.#put(name, this);
  }

  /**
   * `kobject_del`: the directory goes with everything in it, and the reference on the parent is dropped. A second
   * call does nothing. Directories below vanish too, but their objects live on until each is deleted or released.
   */
  del(): void {
    const parent = this.#parent;
    if (parent) this.#deletedFrom = this.path;
    this.#leaveSysfs();
    if (!parent) return;
    if (parent.#entries?.get(this.#name) === this) parent.#entries.delete(this.#name);
    this.#parent = undefined;
    parent.put();
  }

  /** `kobject_cleanup`: deletes what was not deleted, and only then lets go of the parent. */
  protected override release(): void {
    const parent = this.#parent?.get();
    this.del();
    this.ktype?.release?.(this);
    parent?.put();
  }

  /** Not recursive: how deep directories nest is not ours to bound. */
  #leaveSysfs(): void {
    if (!this.#inSysfs) return;
    const doomed: Kobject[] = [this];
    for (let kobj = doomed.pop(); kobj; kobj = doomed.pop()) {
      kobj.#inSysfs = false;
      for (const child of kobj.children()) doomed.push(child);
      kobj.#entries = undefined;
    }
  }

  #put(name: string, entry: Entry): void {
    this.#entries ??= new SmallMap();
    this.#entries.set(name, entry);
  }

  #assertFree(name: string): void {
    this.alive(`creating ${name}`);
    if (!this.inSysfs) {
      throw new KernelError('ENOENT', this.path, `has been deleted, ${name} cannot be created in it`);
    }
    assertFileName(name, this);
    if (this.entry(name)) throw new KernelError('EEXIST', this.path, `already has an entry ${name}`);
  }
}

/** A directory and a name in it as one path. */
export function joinPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** The kernel writes `!` for a slash when it names an object; here the caller is told to. */
function assertFileName(name: string, directory: Kobject): void {
  if (!FILE_NAME.test(name)) {
    throw new KernelError(
      'EINVAL',
      directory.path,
      `${JSON.stringify(name)} cannot name an entry`,
      "sysfs writes '!' where a name has a slash",
    );
  }
}

/**
 * Link to `target` under `name`, or the first of `name.0`, `name.1` … that is free, as `iommu_group_add_device`
 * names members.
 * @returns the name the link got
 * @throws KernelError EINVAL, ENOENT as `createLink`
 */
export function createLinkUnique(directory: Kobject, name: string, target: Kobject): string {
  let linkName = name;
  for (let suffix = 0; directory.entry(linkName); suffix++) linkName = `${name}.${suffix}`;
  directory.createLink(linkName, target);
  return linkName;
}
