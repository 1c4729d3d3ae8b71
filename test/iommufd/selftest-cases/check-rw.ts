/** Reads and writes of every length around a page boundary, and of a whole buffer (the kernel's `check_access_rw`). */

import { expect } from 'vitest';
import { AccessRwFlag } from '../../../src/iommufd/selftest/numbers.ts';
import { BUFFER_SIZE, PAGE, type Program } from './program.ts';

const LONGEST = 64;
const AROUND = 50n;

/**
 * @param iova where the program's buffer is mapped
 * @param flags of `AccessRwFlag`, for reads and writes alike
 */
export function checkRw(program: Program, access: number, iova: bigint, flags: number): void {
  const { buffer, scratch, test } = program;
  let seed = 1;
  const randomBytes = (length: number) =>
    Uint8Array.from({ length }, () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return seed >>> 24;
    });

  /** Told apart here, as expect takes longer than everything else in this. */
  const expectSame = (found: Uint8Array, wanted: Uint8Array) => {
    if (Buffer.compare(found, wanted) !== 0) expect(found).toEqual(wanted);
  };

  program.write(buffer, randomBytes(Number(BUFFER_SIZE)));
  for (let at = PAGE - AROUND; at < PAGE + AROUND; at++) {
    for (let length = 1; length < LONGEST; length++) {
      test.accessRw(access, iova + at, BigInt(length), scratch, flags);
      expectSame(program.read(scratch, length), program.read(buffer + at, length));

      const bytes = randomBytes(length);
      program.write(scratch, bytes);
      test.accessRw(access, iova + at, BigInt(length), scratch, flags | AccessRwFlag.Write);
      expectSame(program.read(buffer + at, length), bytes);
    }
  }
  test.accessRw(access, iova, BUFFER_SIZE, scratch, flags);
  expect(program.read(scratch, Number(BUFFER_SIZE))).toEqual(program.read(buffer, Number(BUFFER_SIZE)));
}
