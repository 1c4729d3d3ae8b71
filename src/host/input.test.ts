import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decompress, readInputFile } from './input.ts';
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
});
