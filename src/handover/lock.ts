/**
 * One hand-over at a time on each tree. The lock is a file that names its process; it appears with its content at
 * once (written aside, then linked), and one whose process has died is taken over.
 *
 * Two runs may find the same dead lock. Whoever removes it must hold the lock on removing *that* one, which is named
 * after it; so it is removed once, and a new lock in its place is never taken for the old.
 *
 * Numbers of processes mean something within a PID namespace only: a holder in another one is taken to be alive.
 */

import { createHash, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { KernelError } from '../kernel/errors.ts';
import { guarded, makeDirectory } from './journal-disk.ts';
import { list } from './tree.ts';

interface Holder {
  pid: number;
  /** When the process started, in the kernel's ticks: a number used again is another process. */
  start: string;
  boot: string;
  /** PID namespace, as /proc/self/ns/pid has it; empty: not known. */
  ns: string;
}

/** Dead runs that died while removing the lock of a dead run, and so on: no such chain is real. */
const DEEPEST = 8;

/**
 * @param tree real path of the tree
 * @throws KernelError EBUSY while another run holds it, or may hold it; what the file system answers as ENOSPC, EACCES
 *   or EIO
 */
export function lockTree(directory: string, tree: string): Disposable {
  const name = createHash('sha256').update(tree).digest('hex').slice(0, 16);
  makeDirectory(directory);
  const path = join(directory, `lock-${name}`);
  const lock = acquire(path, tree, 0);
  sweep(path);
  return lock;
}

function acquire(path: string, tree: string, depth: number): Disposable {
  for (let attempt = 0; attempt < 100; attempt++) {
    const own = link(path);
    if (own !== undefined) return { [Symbol.dispose]: () => removeWhere(path, own) };
    const found = read(path);
    if (found === undefined) continue;
    const holder = parse(found);
    if (holder !== undefined) refuseWhereHeld(holder, path, tree);
    if (depth >= DEEPEST) break;
    const digest = createHash('sha256').update(found).digest('hex').slice(0, 8);
    using _ = acquire(`${path}.${digest}`, tree, depth + 1);
    removeWhere(path, found);
  }
  throw new KernelError('EBUSY', tree, `its lock cannot be had: ${path}`, 'remove it if no ringfence runs');
}

function refuseWhereHeld(holder: Holder, path: string, tree: string): void {
  const { pid, ns } = holder;
  if (dead(holder)) return;
  if (ns === namespace()) {
    throw new KernelError('EBUSY', tree, `another ringfence (process ${pid}) is at work on it`);
  }
  throw new KernelError(
    'EBUSY',
    tree,
    `another ringfence (process ${pid} of another PID namespace, such as a container's) may be at work on it`,
    `if no ringfence runs there, remove ${path}`,
  );
}

/**
 * Removes what runs left beside the lock that were killed while they took it. Only the holder of the lock does so;
 * guards of other locks than its own guard nothing any more, and a live run whose file goes tries again.
 */
function sweep(path: string): void {
  const prefix = `${basename(path)}.`;
  for (const name of list(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    const file = join(dirname(path), name);
    const holder = parse(read(file) ?? '');
    const writer = /\.(\d{1,7})\.[0-9a-f]{8}$/.exec(name)?.[1];
    const left =
      holder === undefined ? writer === undefined || startOf(Number(writer)) === undefined : dead(holder);
    if (left) remove(file);
  }
}

/** @returns the content of the lock, when it is ours now */
function link(path: string): string | undefined {
  const content = `${JSON.stringify({ ...self(), nonce: randomBytes(8).toString('hex') })}\n`;
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    return guarded(path, 'the lock', () => {
      writeFileSync(aside, content, { flag: 'wx', mode: 0o600 });
      linkSync(aside, path);
      return content;
    });
  } catch (error) {
    // ENOENT: the holder of the lock took the file for one that a killed run left.
    const { code } = error as KernelError;
    if (code === 'EEXIST' || code === 'ENOENT') return undefined;
    throw error;
  } finally {
    remove(aside);
  }
}

function self(): Holder {
  return { pid: process.pid, start: startOf(process.pid) ?? '', boot: bootId(), ns: namespace() };
}

/** Known to have ended. */
function dead({ pid, start, boot, ns }: Holder): boolean {
  return boot !== bootId() || (ns === namespace() && startOf(pid) !== start);
}

/** State and field 22 of /proc/PID/stat, counted behind the name, which may hold anything; `undefined`: dead. */
function startOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields !== undefined) return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  return read('/proc/self/stat') === undefined && answers(pid) ? '' : undefined;
}

/** Without /proc, numbers are all there is. */
function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, start, boot, ns = '' } = JSON.parse(text) as Partial<Holder>;
    const whole =
      Number.isInteger(pid) &&
      pid! > 0 &&
      typeof start === 'string' &&
      typeof boot === 'string' &&
      typeof ns === 'string';
    return whole ? { pid: pid!, start, boot, ns } : undefined;
  } catch {
    return undefined;
  }
}

function removeWhere(path: string, content: string): void {
  if (read(path) === content) remove(path);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, which is what was wanted.
  }
}
