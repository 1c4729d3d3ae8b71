/** Reading and writing a BAR or the ROM (`vfio_pci_bar_rw`). */

import { KernelError } from '../../../kernel/errors.ts';
import type { PciResource } from './hardware.ts';

/**
 * @param label the device, for messages
 * @param memoryEnabled whether the device answers on memory at all
 * @param offset bytes into the region; what goes past its end is cut off
 * @returns bytes moved
 * @throws KernelError EINVAL the region has no address, or `offset` is past its end; EIO memory is switched off
 */
export function accessRegion(
  label: string,
  resource: PciResource,
  memoryEnabled: boolean,
  offset: number,
  bytes: Uint8Array,
  write: boolean,
): number {
  if (resource.start === 0n || BigInt(offset) >= resource.size) {
    throw new KernelError('EINVAL', label, `the region has ${resource.size} bytes, and offset is ${offset}`);
  }
  if (resource.kind === 'memory' && !memoryEnabled) {
    throw new KernelError('EIO', label, 'memory is switched off', 'set it in the command register, in D0');
  }
  const room = resource.size - BigInt(offset);
  const part = room < BigInt(bytes.length) ? bytes.subarray(0, Number(room)) : bytes;
  const { behind } = resource;
  if (write) behind?.write(offset, part);
  else if (behind === undefined) part.fill(0xff);
  else behind.read(offset, part);
  return part.length;
}
