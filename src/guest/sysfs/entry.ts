/** What the simulated /sys is made of, whoever makes it: directories, files and links, looked up by name. */

/** What of the caller decides over a read or write, beyond the mode of the file. */
export interface Credentials {
  /** CAP_SYS_ADMIN, asked when the file is opened. */
  readonly admin: boolean;
}

export type ViewEntry = ViewDirectory | ViewFile | ViewLink;

export interface ViewDirectory {
  readonly kind: 'directory';
  /** From the root of sysfs, `/bus/pci`. */
  readonly path: string;
  /** The same object as long as it is the same directory: a device that comes back is another one. */
  readonly identity: object;
  /** Each name once, in no particular order. */
  names(): Iterable<string>;
  entry(name: string): ViewEntry | undefined;
}

export interface ViewFile {
  readonly kind: 'file';
  /** Permission bits. */
  readonly mode: number;
  /** Bytes, as `stat` shows: a page for text, whatever its length. */
  readonly size: number;
  /** @throws KernelError what the file refuses when it is opened */
  open(credentials: Credentials): OpenEntry;
}

/** One open file. Errors are thrown as KernelError, as the kernel answers them. */
export interface OpenEntry {
  /** At most `length` bytes from `offset` on; none at the end. */
  read(offset: number, length: number): Uint8Array;
  /** How many bytes were taken. */
  write(offset: number, bytes: Uint8Array): number;
}

export interface ViewLink {
  readonly kind: 'link';
  /** As `readlink` answers, relative to the directory that holds it. */
  readonly target: string;
}

export function link(target: string): ViewLink {
  return { kind: 'link', target };
}

/** A directory whose content is given by functions of its names, made anew at each look. */
export function plainDirectory(
  path: string,
  identity: object,
  entries: () => ReadonlyMap<string, () => ViewEntry>,
): ViewDirectory {
  return {
    kind: 'directory',
    path,
    identity,
    names: () => entries().keys(),
    entry: (name) => entries().get(name)?.(),
  };
}
