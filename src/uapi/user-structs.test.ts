/** Structs in a program's memory that are larger than is known. */

import { expect, test } from 'vitest';
import type { UserMemory } from '../iommufd/user-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import { copyStructFromUser } from './user-structs.ts';

const PAGE = 4096n;

/** Zeroes up to `end`, but for what stands at `notZero`. Counts reads. */
class Memory implements UserMemory {
  readonly name = 'memory';
  reads = 0;
  readonly #end: bigint;
  readonly #notZero: bigint;

  constructor(end: bigint, notZero = -1n) {
    this.#end = end;
    this.#notZero = notZero;
  }

  read(address: bigint, into: Uint8Array): void {
    this.reads++;
    if (address + BigInt(into.length) > this.#end) throw new KernelError('EFAULT', this.name, 'is not there');
    into.fill(0);
    const at = this.#notZero - address;
    if (at >= 0n && at < into.length) into[Number(at)] = 1;
  }

  write(): never {
    throw new TypeError('nobody writes');
  }

  pin(): never {
    throw new TypeError('nobody pins');
  }
}

test('a program that says it has 64 MiB of a struct does not make others wait for thousands of reads', () => {
  const memory = new Memory(1n << 40n);
  expect(copyStructFromUser(memory, 0n, 24, 64 << 20)).toEqual(new Uint8Array(24));
  expect(memory.reads).toBeLessThan(70);
});

test('what is not zero is found before memory that is not there', () => {
  const refused = (memory: Memory) => () => copyStructFromUser(memory, 0n, 24, 1 << 20);
  expect(refused(new Memory(64n * PAGE, 3n * PAGE))).toThrow('the rest is not zero');
  expect(refused(new Memory(64n * PAGE))).toThrow('is not there');
});
