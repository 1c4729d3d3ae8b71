/** What `/proc/PID` tells of a process that calls. */

import { readFileSync } from 'node:fs';
import { ULONG_MAX } from '../iommufd/limits.ts';
import type { ProcessCapability } from '../iommufd/process.ts';

/** Numbers of capability.h. */
const CAPABILITY_BITS: Readonly<Record<ProcessCapability, bigint>> = {
  CAP_IPC_LOCK: 14n,
  CAP_SYS_RAWIO: 17n,
  CAP_SYS_ADMIN: 21n,
  CAP_SYS_RESOURCE: 24n,
};

const EVERYTHING = 2n ** 64n - 1n;

export interface ProcessStatus {
  /** Of the process the thread is of (`Tgid`). */
  readonly pid: number;
  readonly parent: number;
  /** Real user id. */
  readonly uid: number;
  /** The capabilities in effect, of those anybody asks for. */
  readonly capabilities: ReadonlySet<ProcessCapability>;
}

/** @returns nothing where there is no such thread any more */
export function readStatus(tid: number): ProcessStatus | undefined {
  const text = read(`/proc/${tid}/status`);
  if (text === undefined) return undefined;
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(text)?.[1] ?? '0';
  const effective = BigInt(`0x${field('CapEff')}`);
  const bounding = BigInt(`0x${field('CapBnd')}`);
  // In a container nobody has some of them. Root of the container is root of the simulated machine all the same.
  const held = effective === bounding && effective !== 0n ? EVERYTHING : effective;
  const names = Object.entries(CAPABILITY_BITS) as [ProcessCapability, bigint][];
  return {
    pid: Number(field('Tgid')),
    parent: Number(field('PPid')),
    uid: Number(field('Uid')),
    capabilities: new Set(names.filter(([, bit]) => ((held >> bit) & 1n) === 1n).map(([name]) => name)),
  };
}

/** RLIMIT_MEMLOCK in bytes, the soft one; nothing where there is no such process any more. */
export function readMemlockLimit(pid: number): bigint | undefined {
  const text = read(`/proc/${pid}/limits`);
  const word = text && /^Max locked memory\s+(\S+)/m.exec(text)?.[1];
  if (!word) return undefined;
  return word === 'unlimited' ? ULONG_MAX : BigInt(word);
}

/** Inode number of what a thread has open as `descriptor`; nothing if nothing is. The file's server is not asked. */
export function readDescriptorInode(tid: number, descriptor: number): bigint | undefined {
  const word = /^ino:\s*(\d+)/m.exec(read(`/proc/${tid}/fdinfo/${descriptor}`) ?? '')?.[1];
  return word === undefined ? undefined : BigInt(word);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
