import { InputError } from '../kernel/errors.ts';
import { type FileTree, TEXT_LIMIT, type TreeEntry } from './file-tree.ts';
import { readTar } from './tar.ts';

/** More files than any machine's sysfs has devices' worth of attributes; bounds what an archive can make us hold. */
const MOST_NODES = 2_000_000;
const DEEPEST = 64;
/** As many links in a row as the kernel follows. */
const MOST_LINKS = 40;

interface Node {
  children?: Map<string, Node>;
  data?: Uint8Array;
  target?: string;
}

/** A tar archive held in memory. Links are followed inside it and nowhere else: its top is their root. */
export class ArchiveTree implements FileTree {
  private readonly top: Node = { children: new Map() };
  private nodes = 0;

  /** @throws InputError when the archive is broken or holds too many files. */
  constructor(bytes: Uint8Array, place: string) {
    for (const entry of readTar(bytes, place)) {
      const path = cleanPath(entry.path);
      if (path === undefined) continue;
      const node = this.make(path, place);
      if (node === undefined) continue;
      if (entry.kind === 'directory') node.children ??= new Map();
      else if (entry.kind === 'link') node.target = entry.target;
      else if (entry.kind === 'file') node.data = entry.data;
      else {
        const data = this.walk(entry.target, true)?.data;
        if (data !== undefined) node.data = data;
      }
    }
  }

  list(dir: string): string[] | undefined {
    const children = this.walk(dir, true)?.children;
    return children && [...children.keys()];
  }

  entries(dir: string): TreeEntry[] | undefined {
    const children = this.walk(dir, true)?.children;
    return children && [...children].map(([name, node]) => ({ name, kind: kindOf(node) }));
  }

  read(path: string, limit: number): Uint8Array | undefined {
    return this.walk(path, false)?.data?.subarray(0, limit);
  }

  readAsNeeded(path: string, limit: number): Uint8Array | undefined {
    return this.read(path, limit);
  }

  readText(path: string): string | undefined {
    const bytes = this.read(path, TEXT_LIMIT);
    return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }

  link(path: string): string | undefined {
    return this.walk(path, false)?.target;
  }

  size(path: string): number | undefined {
    return this.walk(path, false)?.data?.length;
  }

  exists(path: string): boolean {
    return this.walk(path, true) !== undefined;
  }

  private make(path: string[], place: string): Node | undefined {
    let node = this.top;
    for (const name of path) {
      node.children ??= new Map();
      let next = node.children.get(name);
      if (next === undefined) {
        if (++this.nodes > MOST_NODES) {
          throw new InputError(place, `more than ${MOST_NODES} files in the archive`);
        }
        next = {};
        node.children.set(name, next);
      }
      node = next;
    }
    return node;
  }

  private walk(path: string, followLast: boolean): Node | undefined {
    let rest = path.split('/').reverse();
    const trail: Node[] = [this.top];
    let links = 0;
    while (rest.length > 0) {
      const name = rest.pop()!;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (trail.length === 1) return undefined;
        trail.pop();
        continue;
      }
      const node = trail.at(-1)!.children?.get(name);
      if (node === undefined) return undefined;
      if (node.target !== undefined && (followLast || rest.length > 0)) {
        if (++links > MOST_LINKS || node.target.length > 4096) return undefined;
        if (node.target.startsWith('/')) trail.length = 1;
        rest = rest.concat(node.target.split('/').reverse());
        continue;
      }
      trail.push(node);
    }
    return trail.at(-1);
  }
}

function kindOf({ children, target }: Node): TreeEntry['kind'] {
  if (target !== undefined) return 'link';
  return children === undefined ? 'file' : 'directory';
}

/** Names of an entry; `undefined` for one that would lie outside the archive or absurdly deep. */
function cleanPath(path: string): string[] | undefined {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  return names.length === 0 || names.length > DEEPEST || names.includes('..') ? undefined : names;
}
