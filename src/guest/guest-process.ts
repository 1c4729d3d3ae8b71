/** A process of the outside as iommufd knows processes. What may change under way is asked again in every call. */

import type { Process, ProcessCapability, User } from '../iommufd/process.ts';
import type { UserMemory } from '../iommufd/user-memory.ts';
import { CallFiles } from '../uapi/call-files.ts';
import { readMemlockLimit, readStatus } from './proc-files.ts';

const NO_CAPABILITIES: ReadonlySet<ProcessCapability> = new Set();

export class GuestProcess implements Process {
  readonly name: string;
  readonly pid: number;
  readonly memory: UserMemory;
  readonly user: User;
  readonly files = new CallFiles();
  lockedPages = 0;
  pinnedPages = 0;
  readonly #call: () => number;
  #limit: { call: number; bytes: bigint } | undefined;
  #held: { call: number; names: ReadonlySet<ProcessCapability> } | undefined;

  /** @param call which call is under way: within one, nothing is read twice */
  constructor(init: { pid: number; memory: UserMemory; user: User; call: () => number }) {
    this.name = `process ${init.pid}`;
    this.pid = init.pid;
    this.memory = init.memory;
    this.user = init.user;
    this.#call = init.call;
  }

  /** As it was last, when the process has ended. */
  get memlockLimit(): bigint {
    const call = this.#call();
    if (this.#limit?.call !== call) {
      this.#limit = { call, bytes: readMemlockLimit(this.pid) ?? this.#limit?.bytes ?? 0n };
    }
    return this.#limit.bytes;
  }

  get capabilities(): ReadonlySet<ProcessCapability> {
    const call = this.#call();
    if (this.#held?.call !== call) {
      this.#held = {
        call,
        names: readStatus(this.pid)?.capabilities ?? this.#held?.names ?? NO_CAPABILITIES,
      };
    }
    return this.#held.names;
  }
}
