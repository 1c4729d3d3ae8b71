/** The rules every ioctl of /dev/iommu begins and ends with (`iommufd_fops_ioctl`, `iommufd_ucmd_respond`). */

import type { Context } from '../iommufd/context.ts';
import type { OpenFile as KernelFile } from '../iommufd/open-files.ts';
import type { UserMemory } from '../iommufd/user-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Answer, IommufdCall } from './iommufd-call.ts';
import { IOMMUFD_CALLS } from './iommufd-table.ts';
import type { Caller } from './open-file.ts';
import { TEST_CALL } from './selftest-table.ts';
import { copyStructFromUser, readBytes, readU32 } from './user-structs.ts';
import { vfioIoctl } from './vfio-container-table.ts';

const FIRST_NR = 0x80;
const NR_MASK = 0xff;

const ROWS = tableOf(IOMMUFD_CALLS);
const ROWS_WITH_SELFTEST = tableOf([...IOMMUFD_CALLS, TEST_CALL]);

/** By number from the first one on; some have none. */
function tableOf(calls: readonly IommufdCall[]): readonly (IommufdCall | undefined)[] {
  const rows: (IommufdCall | undefined)[] = [];
  for (const call of calls) rows[(call.command & NR_MASK) - FIRST_NR] = call;
  return rows;
}

/** What a call is to be followed by. */
export interface Dispatched {
  readonly value: number;
  /** Of the number of the descriptor that was asked for. */
  readonly descriptorAddress?: bigint;
  /** Takes the call back, should there be no descriptor. */
  undo?(file: KernelFile | undefined): void;
}

/**
 * `iommufd_fops_ioctl`. Runs inside `CallFiles.during`.
 *
 * @param installed the file the call wants a descriptor for, once it was made
 * @throws KernelError EFAULT the size or the struct cannot be read, or the reply not be written; ENOTTY a number
 *   without a call; EINVAL the struct is shorter than the call needs; E2BIG it is longer than known, and not zero
 *   there; else what the call refuses
 */
export function dispatch(
  context: Context,
  caller: Caller,
  command: number,
  arg: bigint,
  installed: () => KernelFile | undefined,
): Dispatched {
  const rows = context.iommufd.selftest === undefined ? ROWS : ROWS_WITH_SELFTEST;
  const index = (command & NR_MASK) - FIRST_NR;
  if (index < 0 || index >= rows.length) return { value: vfioIoctl(context, caller.memory, command, arg) };
  const { memory } = caller;
  const row = rows[index];
  if (row?.command !== command) {
    readU32(memory, arg);
    throw new KernelError('ENOTTY', context.label, `has no ioctl 0x${(command >>> 0).toString(16)}`);
  }
  // One look at a real process's memory in place of two; where that is too much, the size decides what is read.
  const whole = tryRead(memory, arg, row.size);
  const given = whole === undefined ? readU32(memory, arg) : firstU32(whole);
  if (given < row.minSize) {
    const problem = `${row.name} with a struct of ${given} bytes`;
    throw new KernelError('EINVAL', context.label, problem, `it needs ${row.minSize}`);
  }
  const bytes =
    whole === undefined || given > row.size
      ? copyStructFromUser(memory, arg, row.size, given)
      : whole.fill(0, given);
  const answer = row.serve(context, bytes);
  respond(caller, arg, bytes.subarray(0, Math.min(given, row.size)), answer, installed);
  if (answer.error !== undefined) throw answer.error;
  return {
    value: 0,
    ...(answer.descriptorAt !== undefined && { descriptorAddress: arg + BigInt(answer.descriptorAt) }),
    ...(answer.undo !== undefined && { undo: (file) => answer.undo?.(file) }),
  };
}

/** None where not all of it can be read. */
function tryRead(memory: UserMemory, address: bigint, length: number): Uint8Array | undefined {
  try {
    return readBytes(memory, address, length);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function firstU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** `iommufd_ucmd_respond`. */
function respond(
  { memory }: Caller,
  arg: bigint,
  bytes: Uint8Array,
  answer: Answer,
  installed: () => KernelFile | undefined,
): void {
  const { reply } = answer;
  if (reply === undefined) return;
  try {
    memory.write(arg + BigInt(reply.from), bytes.subarray(reply.from, reply.to));
  } catch (error) {
    answer.undo?.(installed());
    throw error;
  }
}
