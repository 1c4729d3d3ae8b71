/** Calls in words, one line each, as strace has them. */

import type { UserMemory } from '../iommufd/user-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import type { CallShape } from './call-shape.ts';
import { callShape } from './call-shapes.ts';
import type { Caller, FileKind, IoctlResult, OpenFile } from './open-file.ts';
import { testOpName } from './selftest-table.ts';
import { readBytes, readString, readU32 } from './user-structs.ts';

/**
 * How a call went: what it returned, which may be a descriptor that only whoever installs it knows the number of, or
 * what it was refused with.
 */
export type CallOutcome = { readonly result: number | 'new' } | { readonly error: KernelError };

/** What the third argument of an ioctl points to. */
export type Pointee = Uint8Array | string | undefined;

const STRING_ROOM = 256;
/** Of a struct that claims to be longer than it can be. */
const LONGEST = 4096;

/**
 * `ioctl(/dev/iommu, IOMMU_IOAS_ALLOC, {size=12, flags=0x0, out_ioas_id=0 => 1}) = 0`
 *
 * @param arg the third argument
 * @param before what it points to, as `pointee` found it; none if that cannot be read
 * @param after likewise, when the call was over
 */
export function describeCall(
  file: { readonly kind: FileKind; readonly label: string },
  command: number,
  arg: bigint,
  before: Pointee,
  after: Pointee,
  outcome: CallOutcome,
): string {
  const shape = callShape(file.kind, command);
  const name = shape?.name ?? `0x${(command >>> 0).toString(16)}`;
  const args = [file.label, name, ...argumentWords(shape, arg, before, after)];
  return `ioctl(${args.join(', ')}) = ${outcomeWords(outcome)}`;
}

/** Calls that are no ioctl: `read([iommufd-pgfault], 40) = 40`, `close(/dev/iommu) = 0`. */
export function describePlain(
  call: string,
  label: string,
  args: readonly (string | number | bigint)[],
  outcome: CallOutcome,
): string {
  return `${call}(${[label, ...args].join(', ')}) = ${outcomeWords(outcome)}`;
}

/**
 * Makes an ioctl and tells how it went, refused or not. A descriptor that is to be installed reads `new`.
 *
 * @throws KernelError what the call is refused with
 */
export function tracedIoctl(
  file: OpenFile,
  caller: Caller,
  command: number,
  arg: bigint,
  tell: (line: string) => void,
): IoctlResult {
  const before = pointee(file.kind, command, caller.memory, arg);
  const done = (outcome: CallOutcome) => {
    const after = pointee(file.kind, command, caller.memory, arg);
    tell(describeCall(file, command, arg, before, after, outcome));
  };
  try {
    const result = file.ioctl(caller, command, arg);
    if (typeof result === 'number') done({ result });
    else done({ result: result.at === 0n ? 'new' : result.value });
    return result;
  } catch (error) {
    if (error instanceof KernelError) done({ error });
    throw error;
  }
}

/** What the third argument points to, if it is a pointer and can be read; never throws. */
export function pointee(kind: FileKind, command: number, memory: UserMemory, arg: bigint): Pointee {
  const shape = callShape(kind, command);
  try {
    switch (shape?.argument) {
      case 'struct': {
        const size = Math.min(readU32(memory, arg), shape.size ?? LONGEST);
        return readBytes(memory, arg, Math.max(size, 4));
      }
      case 'descriptor':
        return readBytes(memory, arg, 4);
      case 'string':
        return readString(memory, arg, STRING_ROOM);
      default:
        return undefined;
    }
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function argumentWords(
  shape: CallShape | undefined,
  arg: bigint,
  before: Pointee,
  after: Pointee,
): readonly string[] {
  const address = `0x${arg.toString(16)}`;
  if (shape === undefined) return [address];
  switch (shape.argument) {
    case 'none':
      return [];
    case 'number':
      return [shape.words?.(Number(BigInt.asUintN(32, arg))) ?? String(arg)];
    case 'string':
      return [typeof before === 'string' ? JSON.stringify(before) : address];
    case 'descriptor':
      return [before instanceof Uint8Array ? `[${new DataView(before.buffer).getInt32(0, true)}]` : address];
    case 'struct':
      return [before instanceof Uint8Array ? structWords(shape, before, after) : address];
  }
}

function structWords(shape: CallShape, before: Uint8Array, after: Pointee): string {
  const struct = shape.structOf?.(before);
  const op = testOpName(before);
  const isTest = shape.name === 'IOMMU_TEST_CMD';
  const words = struct?.words(before, after instanceof Uint8Array ? after : before) ?? '{...}';
  return isTest && op !== undefined ? `${op}, ${words}` : words;
}

/** `0`, or `-1 ENOENT (IOAS 3: ...)`. */
function outcomeWords(outcome: CallOutcome): string {
  if ('result' in outcome) return String(outcome.result);
  const { code, message } = outcome.error;
  return `-1 ${code} (${message.replace(/ \[[A-Z0-9]+\]$/, '')})`;
}
