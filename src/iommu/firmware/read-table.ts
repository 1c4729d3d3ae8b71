/** One firmware table of a recording, where it is there and makes sense. */

import { InputError } from '../../kernel/errors.ts';
import { bytesOfHex } from './acpi-table.ts';

/**
 * @param acpi tables by signature, hex
 * @param notes takes what is wrong with the table, a line each; nothing is thrown for a bad one
 */
export function readTable<T extends { notes: readonly string[] }>(
  acpi: Readonly<Record<string, string>>,
  signature: string,
  parse: (bytes: Uint8Array) => T,
  notes: string[] = [],
): T | undefined {
  const hex = acpi[signature];
  if (hex === undefined) return undefined;
  try {
    const table = parse(bytesOfHex(signature, hex));
    notes.push(...table.notes.map((note) => `${signature}: ${note}`));
    return table;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    notes.push(error.message);
    return undefined;
  }
}
