/** What iommufd needs to know of the process that opened it. */

import { FileTable, type OpenFiles } from './open-files.ts';
import type { UserMemory } from './user-memory.ts';

/** The capabilities iommufd and VFIO ask for. */
export type ProcessCapability = 'CAP_IPC_LOCK' | 'CAP_SYS_RESOURCE' | 'CAP_SYS_RAWIO' | 'CAP_SYS_ADMIN';

/** `struct user_struct`: whose processes share one count of locked memory. */
export interface User {
  readonly name: string;
  /** `locked_vm`, in pages. */
  lockedPages: number;
}

/** A process, and its memory descriptor (`struct mm_struct`). */
export interface Process {
  readonly name: string;
  readonly memory: UserMemory;
  readonly user: User;
  readonly files: OpenFiles;
  /** `RLIMIT_MEMLOCK` in bytes; `ULONG_MAX` for no limit. */
  memlockLimit: bigint;
  /** `mm->locked_vm` and `mm->pinned_vm`, in pages. */
  lockedPages: number;
  pinnedPages: number;
  readonly capabilities: ReadonlySet<ProcessCapability>;
}

export interface ProcessInit {
  memory: UserMemory;
  name?: string;
  /** A user of its own unless told. */
  user?: User;
  /** In bytes, the kernel's default of 8 MiB unless told. */
  memlockLimit?: bigint;
  /** All of them unless told, as root has. */
  capabilities?: Iterable<ProcessCapability>;
  files?: OpenFiles;
}

const DEFAULT_MEMLOCK = 8n << 20n;
const ROOT: readonly ProcessCapability[] = [
  'CAP_IPC_LOCK',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_ADMIN',
];

let made = 0;

/** A user with nothing locked. */
export function makeUser(name = 'root'): User {
  return { name, lockedPages: 0 };
}

/** A process with nothing locked or pinned. */
export function makeProcess(init: ProcessInit): Process {
  return {
    name: init.name ?? `process ${++made}`,
    memory: init.memory,
    user: init.user ?? makeUser(),
    files: init.files ?? new FileTable(),
    memlockLimit: init.memlockLimit ?? DEFAULT_MEMLOCK,
    lockedPages: 0,
    pinnedPages: 0,
    capabilities: new Set(init.capabilities ?? ROOT),
  };
}
