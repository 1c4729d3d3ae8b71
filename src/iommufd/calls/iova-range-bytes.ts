/** `struct iommu_iova_range` in a process's memory: start and last, 64 bits each, little endian. */

import type { IovaRange } from '../iova-range.ts';
import type { UserMemory } from '../user-memory.ts';

const RANGE_BYTES = 16;

/** Entry `index` of the array at `address`. @throws KernelError EFAULT */
export function readRange(memory: UserMemory, address: bigint, index: number): IovaRange {
  const bytes = new Uint8Array(RANGE_BYTES);
  memory.read(entryAddress(address, index), bytes);
  const view = new DataView(bytes.buffer);
  return { start: view.getBigUint64(0, true), last: view.getBigUint64(8, true) };
}

/** @throws KernelError EFAULT */
export function writeRange(memory: UserMemory, address: bigint, index: number, range: IovaRange): void {
  const bytes = new Uint8Array(RANGE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, range.start, true);
  view.setBigUint64(8, range.last, true);
  memory.write(entryAddress(address, index), bytes);
}

/** Pointers wrap around. */
function entryAddress(address: bigint, index: number): bigint {
  return BigInt.asUintN(64, address + BigInt(index * RANGE_BYTES));
}
