/**
 * Addresses a fuzzer can guess: the lower half of the number is which mapping, counted from the lowest, the upper half
 * a byte in it (`iommufd_test_syz_conv_iova`).
 */

import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import type { IovaSpace } from '../iova-space.ts';
import { AccessFlag } from './numbers.ts';

const LOWER_HALF = 0xffff_ffffn;

/** The address meant, 0n where there is no such mapping. */
export function convertIova(iovas: IovaSpace | undefined, guess: bigint): bigint {
  let left = guess & LOWER_HALF;
  for (const { start } of iovas?.areas ?? []) {
    if (left-- === 0n) return BigInt.asUintN(64, start + (guess >> 32n));
  }
  return 0n;
}

/**
 * `iommufd_test_syz_conv_iova_id`: the one call outside the selftest that takes such addresses, on machines that have
 * the selftest. The flag that says so is taken away; whether the address space exists is for the call to find out.
 */
export function convertCopySource(
  { iommufd, objects }: Context,
  request: { flags: number; srcIoasId: number; srcIova: bigint },
): void {
  if (iommufd.selftest === undefined || (request.flags & AccessFlag.Syzkaller) === 0) return;
  request.flags &= ~AccessFlag.Syzkaller;
  const ioas = objects.peek<Ioas>(request.srcIoasId, 'ioas');
  if (ioas !== undefined) request.srcIova = convertIova(ioas.iovas, request.srcIova);
}
