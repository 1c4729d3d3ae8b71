/** Structs in a program's memory. */

import type { UserMemory } from '../iommufd/user-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Struct } from './struct.ts';

const CHUNK = 4096;
const MOST_AT_ONCE = 1 << 20;
const ZEROES = new Uint8Array(MOST_AT_ONCE);

/** `get_user` of 32 bits. @throws KernelError EFAULT */
export function readU32(memory: UserMemory, address: bigint): number {
  const bytes = readBytes(memory, address, 4);
  return new DataView(bytes.buffer).getUint32(0, true);
}

/** `put_user` of 32 bits. @throws KernelError EFAULT */
export function writeU32(memory: UserMemory, address: bigint, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  memory.write(address, bytes);
}

/** `copy_from_user`. @throws KernelError EFAULT */
export function readBytes(memory: UserMemory, address: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  memory.read(address, bytes);
  return bytes;
}

/**
 * `copy_struct_from_user`: what the program does not know is zero, and what the kernel does not know has to be.
 *
 * @param size of the struct
 * @param given bytes the program has of it
 * @throws KernelError E2BIG something beyond `size` is not zero; EFAULT
 */
export function copyStructFromUser(
  memory: UserMemory,
  address: bigint,
  size: number,
  given: number,
): Uint8Array {
  if (!isZero(memory, address + BigInt(size), given - size)) {
    throw new KernelError(
      'E2BIG',
      `struct of ${given} bytes`,
      `only ${size} are known, and the rest is not zero`,
    );
  }
  const bytes = new Uint8Array(size);
  memory.read(address, bytes.subarray(0, Math.min(size, given)));
  return bytes;
}

/**
 * `check_zeroed_user`. A program may say it has 4 GiB, and others wait meanwhile: so in large pieces, as far as these
 * can be read.
 *
 * @throws KernelError EFAULT
 */
function isZero(memory: UserMemory, address: bigint, length: number): boolean {
  for (let at = 0, most = MOST_AT_ONCE; at < length; ) {
    const size = Math.min(most, length - at);
    try {
      if (Buffer.compare(readBytes(memory, address + BigInt(at), size), ZEROES.subarray(0, size)) !== 0)
        return false;
      at += size;
    } catch (error) {
      if (size <= CHUNK) throw error;
      most = CHUNK;
    }
  }
  return true;
}

/**
 * As much of a struct as a call always takes, the rest zero.
 *
 * @param length bytes to read
 * @throws KernelError EFAULT
 */
export function readStruct<R>(memory: UserMemory, struct: Struct<R>, address: bigint, length: number): R {
  const bytes = new Uint8Array(struct.size);
  memory.read(address, bytes.subarray(0, length));
  return struct.decode(bytes);
}

/**
 * The first `length` bytes of a struct, which has no gaps.
 *
 * @throws KernelError EFAULT
 */
export function writeStruct<R>(
  memory: UserMemory,
  struct: Struct<R>,
  address: bigint,
  request: R,
  length: number,
): void {
  const bytes = new Uint8Array(struct.size);
  struct.encode(request, bytes);
  memory.write(address, bytes.subarray(0, length));
}

/**
 * `strndup_user`.
 *
 * @param room bytes at most, the terminating zero included
 * @throws KernelError EFAULT; EINVAL it is longer
 */
export function readString(memory: UserMemory, address: bigint, room: number): string {
  const text: Uint8Array[] = [];
  for (let at = 0; at < room; ) {
    const here = address + BigInt(at);
    // Up to the end of the page only: the next one need not be there.
    const length = Math.min(room - at, CHUNK - Number(here % BigInt(CHUNK)));
    const bytes = readBytes(memory, here, length);
    const end = bytes.indexOf(0);
    text.push(end < 0 ? bytes : bytes.subarray(0, end));
    if (end >= 0) return Buffer.concat(text).toString('utf8');
    at += length;
  }
  throw new KernelError('EINVAL', 'string', `has no end within ${room} bytes`);
}
