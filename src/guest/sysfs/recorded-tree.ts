/** What the tree behind --host shows, as files of the simulated /sys: the model's silence is filled with it. */

import { resolveLink } from '../../host/file-tree.ts';
import { type HostTree, under } from '../../host/host-tree.ts';
import { KernelError } from '../../kernel/errors.ts';
import { link, type ViewDirectory, type ViewEntry, type ViewFile } from './entry.ts';
import { PAGE } from './text-file.ts';

/** What is longer is no attribute, and of a live machine not to be read just like that. */
const LONGEST = 64 * 1024;

export class RecordedTree {
  readonly #tree: HostTree | undefined;
  readonly #identities = new Map<string, object>();
  /** Whether a directory is one, with no link on the way: a copy on disk can hold links to anywhere. */
  readonly #directories = new Map<string, boolean>();

  /** @param tree nothing where the host is no sysfs tree: then nothing is recorded */
  constructor(tree: HostTree | undefined) {
    this.#tree = tree;
  }

  /** Names in a directory, given from the root of sysfs; none where there is no such directory. */
  names(directory: string): string[] {
    const at = clean(directory);
    return this.#inside(at) ? (this.#tree?.files.list(this.#place(at)) ?? []) : [];
  }

  /** An attribute's text, if it is there and can be read. */
  text(path: string): string | undefined {
    const bytes = this.bytes(path);
    return bytes && Buffer.from(bytes).toString();
  }

  bytes(path: string): Uint8Array | undefined {
    const at = clean(path);
    if (!this.#inside(above(at))) return undefined;
    const bytes = this.#tree?.files.read(this.#place(at), LONGEST);
    return bytes === undefined || bytes.length === LONGEST ? undefined : bytes;
  }

  /**
   * A file, link or directory as it was recorded. Links that lead out of the tree are not there.
   *
   * @param path where it lies in the recording
   * @param shown where it is shown, for messages
   */
  entry(path: string, shown: string): ViewEntry | undefined {
    const { files } = this.#tree ?? {};
    if (files === undefined || !this.#inside(above(clean(path)))) return undefined;
    if (!isName(path.slice(path.lastIndexOf('/') + 1))) return undefined;
    const at = this.#place(clean(path));
    const target = files.link(at);
    if (target !== undefined) return this.#leadsOut(at, target) ? undefined : link(target);
    if (files.list(at) !== undefined) return this.#directory(path, shown);
    return files.exists(at) ? this.#file(path, shown) : undefined;
  }

  /** @param path without a slash in front; empty: the root of sysfs */
  #place(path: string): string {
    const { sys } = this.#tree!;
    return path === '' ? sys : under(sys, path);
  }

  #inside(directory: string): boolean {
    if (directory === '') return true;
    if (!isName(directory.slice(directory.lastIndexOf('/') + 1))) return false;
    let inside = this.#directories.get(directory);
    if (inside === undefined) {
      inside = this.#inside(above(directory)) && this.#tree?.files.link(this.#place(directory)) === undefined;
      this.#directories.set(directory, inside);
    }
    return inside;
  }

  #leadsOut(at: string, target: string): boolean {
    if (target.startsWith('/')) return true;
    const resolved = resolveLink(at, target);
    const { sys } = this.#tree!;
    return resolved === undefined || !(sys === '' || resolved === sys || resolved.startsWith(`${sys}/`));
  }

  #directory(path: string, shown: string): ViewDirectory {
    let identity = this.#identities.get(shown);
    if (identity === undefined) {
      identity = { recorded: path };
      this.#identities.set(shown, identity);
    }
    return {
      kind: 'directory',
      path: shown,
      identity,
      names: () => this.names(path).filter((name) => this.entry(`${path}/${name}`, '') !== undefined),
      entry: (name) => (isName(name) ? this.entry(`${path}/${name}`, `${shown}/${name}`) : undefined),
    };
  }

  #file(path: string, shown: string): ViewFile {
    return {
      kind: 'file',
      mode: 0o444,
      size: PAGE,
      open: () => {
        let bytes: Uint8Array | undefined;
        return {
          read: (offset, length) => {
            bytes ??= this.bytes(path);
            if (bytes === undefined) throw new KernelError('EIO', shown, 'was not recorded');
            return bytes.subarray(offset, offset + length);
          },
          write: () => {
            throw new KernelError('EPERM', shown, 'shows what was recorded and plays no part in the model');
          },
        };
      },
    };
  }
}

function clean(path: string): string {
  return path.replace(/^\/+/, '');
}

function above(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/');
}
