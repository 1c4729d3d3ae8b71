/**
 * One hand-over at a time on each tree. The lock is a file that names its process; it appears with its content at
 * once (written aside, then linked), and one whose process has died is taken over.
 *
 * Two runs may find the same dead lock. Whoever removes it must hold the lock on removing *that* one, which is named
 * after it; so it is removed once, and a new lock in its place is never taken for the old.
 */

import { createHash, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../kernel/errors.ts';

interface Holder {
  pid: number;
  /** When the process started, in the kernel's ticks: a number used again is another process. */
  start: string;
  boot: string;
}

/** Dead runs that died while removing the lock of a dead run, and so on: no such chain is real. */
const DEEPEST = 8;

/**
 * @param tree real path of the tree
 * @throws KernelError EBUSY while another run holds it; what the file system answers as EIO
 */
export function lockTree(directory: string, tree: string): Disposable {
  const name = createHash('sha256').update(tree).digest('hex').slice(0, 16);
  return acquire(join(directory, `lock-${name}`), tree, 0);
}

function acquire(path: string, tree: string, depth: number): Disposable {
  for (let attempt = 0; attempt < 100; attempt++) {
    const own = link(path);
    if (own !== undefined) return { [Symbol.dispose]: () => removeWhere(path, own) };
    const found = read(path);
    if (found === undefined) continue;
    const holder = parse(found);
    if (holder !== undefined && alive(holder)) {
      throw new KernelError('EBUSY', tree, `another ringfence (process ${holder.pid}) is at work on it`);
    }
    if (depth >= DEEPEST) break;
    const digest = createHash('sha256').update(found).digest('hex').slice(0, 8);
    using _ = acquire(`${path}.${digest}`, tree, depth + 1);
    removeWhere(path, found);
  }
  throw new KernelError('EBUSY', tree, `its lock cannot be had: ${path}`, 'remove it if no ringfence runs');
}

/** @returns the content of the lock, when it is ours now */
function link(path: string): string | undefined {
  const content = `${JSON.stringify({ ...self(), nonce: randomBytes(8).toString('hex') })}\n`;
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(aside, content, { flag: 'wx', mode: 0o600 });
    linkSync(aside, path);
    return content;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    throw new KernelError(code === 'ENOSPC' ? 'ENOSPC' : 'EIO', path, `the lock cannot be made (${code})`);
  } finally {
    remove(aside);
  }
}

function self(): Holder {
  return { pid: process.pid, start: startOf(process.pid) ?? '', boot: bootId() };
}

function alive({ pid, start, boot }: Holder): boolean {
  return boot === bootId() && startOf(pid) === start;
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

function parse(text: string): Holder | undefined {
  try {
    const { pid, start, boot } = JSON.parse(text) as Partial<Holder>;
    const whole = Number.isInteger(pid) && pid! > 0 && typeof start === 'string' && typeof boot === 'string';
    return whole ? { pid: pid!, start, boot } : undefined;
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
