/**
 * What every ACPI table has in front, and a view of its bytes that cannot be read past its end.
 *
 * Tables come from firmware, by way of a snapshot anybody may have written: lengths lie, files are cut off.
 * Reading past the end is an `InputError` that names table and offset; whoever walks a list of records catches
 * what it can and keeps the records before it.
 */

import { InputError } from '../../kernel/errors.ts';

/** Length of the header all tables share: signature to creator revision. */
export const ACPI_HEADER_LENGTH = 36;

/** No table that describes translation comes near this; more is not a table. */
const MAX_TABLE_LENGTH = 1 << 20;

export class TableBytes {
  readonly name: string;
  readonly length: number;
  readonly #view: DataView;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.length = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    this.#need(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    this.#need(at, 2);
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    this.#need(at, 4);
    return this.#view.getUint32(at, true);
  }

  u64(at: number): bigint {
    this.#need(at, 8);
    return this.#view.getBigUint64(at, true);
  }

  /** `length` bytes as ASCII up to the first zero. */
  text(at: number, length: number): string {
    this.#need(at, length);
    let text = '';
    for (let i = at; i < at + length; i++) {
      const code = this.#view.getUint8(i);
      if (code === 0) break;
      text += String.fromCharCode(code);
    }
    return text;
  }

  #need(at: number, count: number): void {
    if (at + count > this.length) {
      throw new InputError(
        place(this.name, at),
        `${count} bytes wanted, the table ends at ${hexOffset(this.length)}`,
      );
    }
  }
}

export interface AcpiTable {
  signature: string;
  /** Length the header states; records past it do not belong to the table. */
  statedLength: number;
  revision: number;
  checksumGood: boolean;
  /** The part of the table that is there: never longer than stated, shorter where the file was cut off. */
  bytes: TableBytes;
  notes: string[];
}

/** Where something stands, for messages: `DMAR+0x30`. */
export function place(table: string, at: number): string {
  return `${table}+${hexOffset(at)}`;
}

function hexOffset(at: number): string {
  return `0x${at.toString(16)}`;
}

/**
 * Bytes of a table as a snapshot holds them.
 *
 * @throws InputError for anything but pairs of hexadecimal digits
 */
export function bytesOfHex(signature: string, hex: string): Uint8Array {
  if (hex.length % 2 !== 0) throw new InputError(signature, 'odd number of hexadecimal digits');
  if (hex.length / 2 > MAX_TABLE_LENGTH) throw new InputError(signature, 'longer than any ACPI table can be');
  const bad = /[^0-9a-fA-F]/.exec(hex);
  if (bad)
    throw new InputError(
      place(signature, bad.index >> 1),
      `not a hexadecimal digit: ${JSON.stringify(bad[0])}`,
    );
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/**
 * Header of a table, and its bytes with what does not belong to it cut off.
 *
 * A wrong checksum is a note here: the ACPI core warns and goes on; a driver that refuses says so itself.
 *
 * @throws InputError when the bytes do not hold a header, or that of another table
 */
export function readAcpiTable(signature: string, bytes: Uint8Array): AcpiTable {
  const whole = new TableBytes(signature, bytes);
  if (whole.length < ACPI_HEADER_LENGTH) {
    throw new InputError(place(signature, whole.length), `ends within the ${ACPI_HEADER_LENGTH}-byte header`);
  }
  const found = whole.text(0, 4);
  if (found !== signature) throw new InputError(place(signature, 0), `signature is ${JSON.stringify(found)}`);
  const statedLength = whole.u32(4);
  if (statedLength < ACPI_HEADER_LENGTH) {
    throw new InputError(place(signature, 4), `stated length ${statedLength} is shorter than the header`);
  }
  const notes: string[] = [];
  if (whole.length > statedLength)
    notes.push(`${whole.length - statedLength} bytes after the end of the table ignored`);
  if (whole.length < statedLength) {
    notes.push(`cut off: ${whole.length} of ${statedLength} bytes are there`);
  }
  const own = bytes.subarray(0, Math.min(whole.length, statedLength));
  const checksumGood =
    whole.length >= statedLength && own.reduce((sum, byte) => (sum + byte) & 0xff, 0) === 0;
  if (!checksumGood && whole.length >= statedLength) notes.push('wrong checksum');
  return {
    signature,
    statedLength,
    revision: whole.u8(8),
    checksumGood,
    bytes: new TableBytes(signature, own),
    notes,
  };
}
