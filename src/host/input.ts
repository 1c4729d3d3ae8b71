/** Getting at the bytes of a source, within bounds that are stated when they are met. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { InputError } from '../kernel/errors.ts';

/** Largest file or stream taken, compressed or not, and largest size anything may unpack to. */
export const INPUT_LIMIT = 512 * 1024 * 1024;

/** Reads standard input to its end. @throws InputError when there is none, or too much. */
export function readStandardInput(): Uint8Array {
  try {
    return readStream(0, 'standard input');
  } catch (error) {
    throw error instanceof InputError ? error : new InputError('standard input', systemProblem(error));
  }
}

/**
 * A pipe is read as a stream is (`--host <(…)`), and as `cat` does this waits for somebody to write to it.
 *
 * @throws InputError when the file is missing, unreadable, too long or no file.
 */
export function readInputFile(path: string): Uint8Array {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY);
    const stat = fstatSync(fd);
    if (stat.isCharacterDevice() || stat.isBlockDevice()) throw new InputError(path, 'a device, not a file');
    if (stat.size > INPUT_LIMIT) throw new InputError(path, `longer than ${sizeWords(INPUT_LIMIT)}`);
    return readStream(fd, path);
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(path, systemProblem(error));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** As `readSync`. */
type ReadSome = (fd: number, into: Buffer, at: number, length: number, from: null) => number;

const CHUNK = 1024 * 1024;

/**
 * Reads to the end, in pieces: what is longer than `limit` is given up when the limit is met, with no more held
 * than was read.
 *
 * @throws InputError when it is too long or empty; what `readSync` throws
 */
export function readStream(
  fd: number,
  place: string,
  limit: number = INPUT_LIMIT,
  readSome: ReadSome = readWaiting,
): Uint8Array {
  const pieces: Buffer[] = [];
  let piece = Buffer.allocUnsafe(64 * 1024);
  let filled = 0;
  let total = 0;
  for (;;) {
    const count = readSome(fd, piece, filled, piece.length - filled, null);
    if (count === 0) break;
    filled += count;
    total += count;
    if (total > limit) throw new InputError(place, `longer than ${sizeWords(limit)}`);
    if (filled === piece.length) {
      pieces.push(piece);
      piece = Buffer.allocUnsafe(CHUNK);
      filled = 0;
    }
  }
  if (total === 0) throw new InputError(place, 'empty');
  return Buffer.concat([...pieces, piece.subarray(0, filled)]);
}

function sizeWords(bytes: number): string {
  return bytes < CHUNK ? `${bytes} bytes` : `${Math.round(bytes / CHUNK)} MiB`;
}

/** A pipe may be non-blocking when its other end made it so (a terminal shared with another program). */
const readWaiting: ReadSome = (fd, into, at, length, from) => {
  for (;;) {
    try {
      return readSync(fd, into, at, length, from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
};

function systemProblem(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'no such file or directory';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return `cannot be read (${code ?? String(error)})`;
}

const FOREIGN: [name: string, command: string, magic: number[]][] = [
  ['xz', 'xz -dc', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', 'zstd -dc', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', 'bzip2 -dc', [0x42, 0x5a, 0x68]],
  ['zip', 'unzip', [0x50, 0x4b, 0x03, 0x04]],
];

/**
 * Undoes gzip (as often as it was done, at most twice).
 *
 * @throws InputError for broken gzip, for what would unpack to more than `limit`, and for other compressions
 *   with the command that undoes them
 */
export function decompress(bytes: Uint8Array, place: string, limit: number = INPUT_LIMIT): Uint8Array {
  let plain = bytes;
  for (let i = 0; i < 2 && startsWith(plain, [0x1f, 0x8b]); i++) plain = gunzip(plain, place, limit);
  for (const [name, command, magic] of FOREIGN) {
    if (!startsWith(plain, magic)) continue;
    const how =
      name === 'zip' ? 'unpack it and name the directory' : `try: ${command} FILE | ringfence --host -`;
    throw new InputError(place, `compressed with ${name}, which is not read here; ${how}`);
  }
  return plain;
}

function gunzip(bytes: Uint8Array, place: string, limit: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new InputError(place, `unpacks to more than ${sizeWords(limit)}`);
    }
    throw new InputError(place, code === 'Z_BUF_ERROR' ? 'gzip data is cut off' : 'gzip data is broken');
  }
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, at) => bytes[at] === byte);
}
