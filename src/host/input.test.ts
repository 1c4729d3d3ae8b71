import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decompress, readInputFile, readStream } from './input.ts';
import { readBytes } from './readers.ts';

describe('compression', () => {
  test('gzip, also twice and in several members', () => {
    const members = Buffer.concat([gzipSync('one '), gzipSync('two')]);
    expect(Buffer.from(decompress(members, 'f')).toString()).toBe('one two');
    expect(Buffer.from(decompress(gzipSync(gzipSync('x')), 'f')).toString()).toBe('x');
  });

  test('what unpacks to more than the limit is refused before it is held', () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    expect(() => decompress(bomb, 'bomb.gz', 8 * 1024 * 1024)).toThrow('bomb.gz: unpacks to more than 8 MiB');
    expect(() => decompress(gzipSync(bomb), 'bomb.gz', 8 * 1024 * 1024)).toThrow('more than 8 MiB');
  });

  test('cut off and broken gzip', () => {
    const whole = gzipSync('x'.repeat(1000));
    expect(() => decompress(whole.subarray(0, whole.length - 9), 'f.gz')).toThrow(
      'f.gz: gzip data is cut off',
    );
    expect(() => decompress(Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), 'f.gz')).toThrow(
      'f.gz: gzip data is',
    );
  });

  test.each([
    ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], 'xz -dc FILE'],
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd], 'zstd -dc FILE'],
    ['bzip2', [0x42, 0x5a, 0x68], 'bzip2 -dc FILE'],
    ['zip', [0x50, 0x4b, 0x03, 0x04], 'unpack it'],
  ])('%s is named, with what to do', (name, magic, remedy) => {
    expect(() => decompress(Buffer.from(magic), 'f')).toThrow(`f: compressed with ${name}`);
    expect(() => decompress(Buffer.from(magic), 'f')).toThrow(remedy);
  });
});

test('bytes of no known form are named as such', async () => {
  await expect(readBytes(Buffer.from('hello world\n'), 'f')).rejects.toThrow(
    'f: not recognised; known forms are',
  );
  await expect(readBytes(Buffer.alloc(4096), 'f')).rejects.toThrow('f: not recognised');
});

describe('files', () => {
  let scratch: string;
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'ringfence-input-'));
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test('an empty file, a directory and a missing file', () => {
    writeFileSync(join(scratch, 'empty'), '');
    expect(() => readInputFile(join(scratch, 'empty'))).toThrow('empty: empty');
    expect(() => readInputFile(scratch)).toThrow('cannot be read (EISDIR)');
    expect(() => readInputFile(join(scratch, 'none'))).toThrow('no such file or directory');
  });

  test('a file over the limit is refused by its size', () => {
    const file = join(scratch, 'huge');
    writeFileSync(file, '');
    truncateSync(file, 512 * 1024 * 1024 + 1);
    expect(() => readInputFile(file)).toThrow('huge: longer than 512 MiB');
  });

  test('a pipe is read to its end, as of process substitution', () => {
    const pipe = join(scratch, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const writer = spawn('sh', ['-c', `{ printf one; sleep 0.1; printf two; } > '${pipe}'`]);
    expect(Buffer.from(readInputFile(pipe)).toString()).toBe('onetwo');
    writer.kill();
  });
});

describe('streams', () => {
  /** Gives `length` bytes, at most `most` at a time, and counts how many were taken. */
  function source(length: number, most = Number.POSITIVE_INFINITY) {
    const state = { taken: 0, largest: 0 };
    const read = (_: number, into: Buffer, at: number, room: number): number => {
      const count = Math.min(room, most, length - state.taken);
      for (let i = 0; i < count; i++) into[at + i] = (state.taken + i) % 251;
      state.taken += count;
      state.largest = Math.max(state.largest, into.length);
      return count;
    };
    return { state, read };
  }

  test.each([1, 1000, 65_536, 65_537, 3_000_000])('%i bytes come as they are', (length) => {
    const bytes = readStream(0, 'f', 1 << 26, source(length, 40_000).read);
    expect(bytes.length).toBe(length);
    for (const at of [0, length >> 1, length - 1]) expect(bytes[at]).toBe(at % 251);
  });

  test('an endless one is given up at the limit, with little more taken than that', () => {
    const { state, read } = source(Number.POSITIVE_INFINITY);
    expect(() => readStream(0, 'f', 4 << 20, read)).toThrow('f: longer than 4 MiB');
    expect(state.taken).toBeLessThanOrEqual(6 << 20);
    expect(state.largest).toBeLessThanOrEqual(1 << 20);
  });

  test('exactly the limit is taken; nothing is refused', () => {
    expect(readStream(0, 'f', 1000, source(1000).read).length).toBe(1000);
    expect(() => readStream(0, 'f', 999, source(1000).read)).toThrow('f: longer than 999 bytes');
    expect(() => readStream(0, 'f', 10, source(0).read)).toThrow('f: empty');
  });
});
