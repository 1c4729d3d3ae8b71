/** One firmware table of a recording, where it is there and makes sense. */

import { InputError } from '../../kernel/errors.ts';
import { bytesOfHex } from './acpi-table.ts';

/** A table that was read, or why not. */
interface Read {
  hex: string;
  table: unknown;
  notes: readonly string[];
}

/** One machine's tables are asked for many times while it boots. */
const READ = new WeakMap<Readonly<Record<string, string>>, Map<string, Read>>();

/**
 * Tables are parsed once for each `acpi` object, and shared: they are there to be read.
 *
 * @param acpi tables by signature, hex
 * @param parse the one parser of tables with this signature
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
  const tables = READ.get(acpi) ?? new Map<string, Read>();
  READ.set(acpi, tables);
  let read = tables.get(signature);
  if (read?.hex !== hex) {
    read = parseTable(signature, hex, parse);
    tables.set(signature, read);
  }
  notes.push(...read.notes);
  return read.table as T | undefined;
}

function parseTable<T extends { notes: readonly string[] }>(
  signature: string,
  hex: string,
  parse: (bytes: Uint8Array) => T,
): Read {
  try {
    const table = parse(bytesOfHex(signature, hex));
    return { hex, table, notes: table.notes.map((note) => `${signature}: ${note}`) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { hex, table: undefined, notes: [error.message] };
  }
}
