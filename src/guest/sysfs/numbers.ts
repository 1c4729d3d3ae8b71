/** Numbers as the kernel takes them from what is written to an attribute. */

import { KernelError } from '../../kernel/errors.ts';

const UNSIGNED = /^\+?(?:0x([0-9a-f]+)|0([0-7]+)|(0|[1-9][0-9]*))\n?$/i;

/**
 * `kstrtoul` with base 0: decimal, `0x…` or `0…`, one newline at the end does not matter.
 *
 * @param last largest value the type holds
 * @throws KernelError EINVAL no such number; ERANGE larger than the type
 */
export function parseUnsigned(text: string, name: string, last = 2n ** 64n - 1n): bigint {
  const found = UNSIGNED.exec(text);
  if (found === null) throw new KernelError('EINVAL', name, `${JSON.stringify(text)} is no number`);
  const [, hex, octal, decimal] = found;
  const value = BigInt(hex !== undefined ? `0x${hex}` : octal !== undefined ? `0o${octal}` : decimal!);
  if (value > last) throw new KernelError('ERANGE', name, `${value} is larger than ${last}`);
  return value;
}

/**
 * `kstrtobool`: the first letters decide.
 *
 * @throws KernelError EINVAL
 */
export function parseBoolean(text: string, name: string): boolean {
  if (/^(?:[yt1]|on)/i.test(text)) return true;
  if (/^(?:[nf0]|of)/i.test(text)) return false;
  throw new KernelError('EINVAL', name, `${JSON.stringify(text)} is neither yes nor no`);
}

export function hex(value: number | bigint, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
