import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { type FileTree, type Needed, TEXT_LIMIT, type TreeEntry } from './file-tree.ts';

/** A tree on disk that anybody may have made: it may hold pipes, devices and links to endless files. */
export class DirectoryTree implements FileTree {
  protected readonly prefix: string;

  constructor(root: string) {
    this.prefix = root.endsWith('/') ? root : `${root}/`;
  }

  list(dir: string): string[] | undefined {
    try {
      return readdirSync(this.prefix + dir);
    } catch {
      return undefined;
    }
  }

  entries(dir: string): TreeEntry[] | undefined {
    try {
      return readdirSync(this.prefix + dir, { withFileTypes: true }).flatMap((item): TreeEntry[] => {
        if (item.isFile()) return [{ name: item.name, kind: 'file' }];
        if (item.isDirectory()) return [{ name: item.name, kind: 'directory' }];
        return item.isSymbolicLink() ? [{ name: item.name, kind: 'link' }] : [];
      });
    } catch {
      return undefined;
    }
  }

  read(path: string, limit: number): Uint8Array | undefined {
    let fd: number;
    try {
      // No attribute is a link, so none is followed; O_NONBLOCK keeps a pipe from holding us.
      fd = openSync(this.prefix + path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    } catch {
      return undefined;
    }
    try {
      const stat = fstatSync(fd);
      return stat.isFile() ? readUpTo(fd, limit, stat.size) : undefined;
    } catch {
      return undefined;
    } finally {
      closeSync(fd);
    }
  }

  readAsNeeded(path: string, limit: number, _needed: Needed): Uint8Array | undefined {
    return this.read(path, limit);
  }

  readText(path: string): string | undefined {
    const bytes = this.read(path, TEXT_LIMIT);
    return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }

  link(path: string): string | undefined {
    try {
      return readlinkSync(this.prefix + path);
    } catch {
      return undefined;
    }
  }

  size(path: string): number | undefined {
    return lstatSync(this.prefix + path, { throwIfNoEntry: false })?.size;
  }

  exists(path: string): boolean {
    return existsSync(this.prefix + path);
  }
}

/** /sys and /proc of this machine: the kernel made them, so one call per file is enough. */
export class LiveTree extends DirectoryTree {
  constructor() {
    super('/');
  }

  override read(path: string, limit: number): Uint8Array | undefined {
    try {
      const bytes = readFileSync(this.prefix + path);
      return bytes.length > limit ? bytes.subarray(0, limit) : bytes;
    } catch {
      return undefined;
    }
  }

  override readAsNeeded(path: string, limit: number, needed: Needed): Uint8Array | undefined {
    let fd: number | undefined;
    try {
      fd = openSync(this.prefix + path, constants.O_RDONLY);
      const end = Math.min(limit, fstatSync(fd).size);
      let bytes = Buffer.alloc(0);
      for (
        let want = needed(bytes, end);
        want > bytes.length && bytes.length < end;
        want = needed(bytes, end)
      ) {
        const more = Buffer.allocUnsafe(Math.min(want, end) - bytes.length);
        const count = readSync(fd, more, 0, more.length, bytes.length);
        if (count === 0) break;
        bytes = Buffer.concat([bytes, more.subarray(0, count)]);
      }
      return bytes;
    } catch {
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  override readText(path: string): string | undefined {
    try {
      return readFileSync(this.prefix + path, 'utf8');
    } catch {
      return undefined;
    }
  }
}

/** Attributes and configuration space fit; larger buffers are made only for what does not. */
const scratch = Buffer.allocUnsafe(8192);

/**
 * Files of /proc report size 0 and those of /sys a page, so only the end of the file ends reading.
 *
 * @param size where it is reached, the rest need not be asked for
 */
function readUpTo(fd: number, limit: number, size: number): Uint8Array {
  let buffer = scratch;
  let total = 0;
  while (total < limit && (size === 0 || total < size)) {
    if (total === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
    const count = readSync(fd, buffer, total, Math.min(buffer.length, limit) - total, null);
    if (count === 0) break;
    total += count;
  }
  return buffer === scratch ? Buffer.from(buffer.subarray(0, total)) : buffer.subarray(0, total);
}
