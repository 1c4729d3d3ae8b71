/** Driver-specific data of a call, as the driver gets at it: in the memory of the process that called. */

import type { UserData, UserDataArray } from '../iommu/user-data.ts';
import type { UserMemory } from './user-memory.ts';

/** `struct iommu_user_data` of a type, a pointer and a length. */
export function userDataAt(memory: UserMemory, type: number, address: bigint, length: number): UserData {
  return { type, length, copy: (offset, into) => memory.read(address + BigInt(offset), into) };
}

/** `struct iommu_user_data_array`. */
export function userDataArrayAt(
  memory: UserMemory,
  init: { type: number; address: bigint; entryLength: number; entries: number },
): UserDataArray {
  const { type, address, entryLength, entries } = init;
  return {
    type,
    entryLength,
    entries,
    processed: 0,
    entry: (index) => userDataAt(memory, type, address + BigInt(entryLength) * BigInt(index), entryLength),
  };
}
