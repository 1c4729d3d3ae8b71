import { describe, expect, test } from 'vitest';
import { makeEntry, makeTar, paxRecord, type TarItem } from '../../test/support/tar.ts';
import { InputError } from '../kernel/errors.ts';
import { ArchiveTree } from './archive-tree.ts';
import { looksLikeTar } from './tar.ts';

const tree = (items: TarItem[]) => new ArchiveTree(makeTar(items), 'test.tar');
const end = Buffer.alloc(1024);

describe('archive tree', () => {
  test('names may begin with ./ or /, and directories need no entry of their own', () => {
    const files = tree([
      { path: './sys/a', data: 'one' },
      { path: '/sys/b', data: 'two' },
      { path: 'sys/c/d', data: '' },
    ]);
    expect(files.list('sys')!.sort()).toEqual(['a', 'b', 'c']);
    expect(files.readText('sys/a')).toBe('one');
    expect(files.readText('sys/b')).toBe('two');
    expect(files.readText('sys/c/d')).toBe('');
    expect(files.readText('sys/c')).toBeUndefined();
    expect(files.list('sys/a')).toBeUndefined();
  });

  test('the last entry of a name counts, as tar extracts it', () => {
    expect(
      tree([
        { path: 'a', data: 'old' },
        { path: 'a', data: 'new' },
      ]).readText('a'),
    ).toBe('new');
  });

  test('links are followed inside the archive, absolute ones from its top', () => {
    const files = tree([
      { path: 'sys/devices/x/vendor', data: '0x1' },
      { path: 'sys/bus/x', link: '../devices/x' },
      { path: 'sys/abs', link: '/sys/devices/x' },
      { path: 'hard', hardLink: 'sys/devices/x/vendor' },
    ]);
    expect(files.readText('sys/bus/x/vendor')).toBe('0x1');
    expect(files.readText('sys/abs/vendor')).toBe('0x1');
    expect(files.readText('hard')).toBe('0x1');
    expect(files.link('sys/bus/x')).toBe('../devices/x');
  });

  test('links out of the archive, in circles and to nothing lead nowhere', () => {
    const files = tree([
      { path: 'out', link: '../../../../etc/passwd' },
      { path: 'etc', link: '/etc' },
      { path: 'a', link: 'b' },
      { path: 'b', link: 'a' },
      { path: 'self', link: 'self/self/self' },
      { path: '../above', data: 'x' },
    ]);
    for (const path of ['out', 'etc/passwd', 'a', 'b/c', 'self', 'above', '../above']) {
      expect(files.readText(path)).toBeUndefined();
      expect(files.exists(path)).toBe(false);
    }
  });

  test('GNU long names, pax paths and the ustar prefix give long names', () => {
    const long = `sys/${'d'.repeat(90)}/${'f'.repeat(90)}`;
    const gnu = Buffer.concat([
      makeEntry({ path: '././@LongLink', type: 'L', data: `${long}\0` }),
      makeEntry({ path: long.slice(0, 99), data: 'gnu' }),
      end,
    ]);
    expect(new ArchiveTree(gnu, 'x').readText(long)).toBe('gnu');
    const pax = Buffer.concat([
      makeEntry({ path: 'pax', type: 'x', data: paxRecord('mtime', '1') + paxRecord('path', long) }),
      makeEntry({ path: 'short', data: 'pax' }),
      makeEntry({ path: 'link', type: 'x', data: paxRecord('linkpath', long) }),
      makeEntry({ path: 'alias', link: 'cut' }),
      end,
    ]);
    expect(new ArchiveTree(pax, 'x').readText(long)).toBe('pax');
    expect(new ArchiveTree(pax, 'x').link('alias')).toBe(long);
  });

  test("an archive that ends inside an entry names the entry's offset", () => {
    const whole = makeTar([
      { path: 'a', data: 'x'.repeat(600) },
      { path: 'b', data: 'y' },
    ]);
    expect(() => new ArchiveTree(whole.subarray(0, 900), 'm.tar')).toThrow(
      new InputError('m.tar', 'the tar archive is cut off inside the entry at offset 0'),
    );
    expect(() => new ArchiveTree(whole.subarray(0, 1600), 'm.tar')).toThrow(/offset 1536/);
    // Without the zero blocks at the end nothing is missing.
    expect(new ArchiveTree(whole.subarray(0, 1536 + 1024), 'm.tar').readText('b')).toBe('y');
  });

  test('a broken header or size is an InputError, not a guess', () => {
    const broken = makeTar([{ path: 'a', data: 'x' }, { path: 'b' }]);
    broken[1024 + 5] = 0x41;
    expect(() => new ArchiveTree(broken, 'm.tar')).toThrow('broken tar header at offset 1024');
    expect(looksLikeTar(broken)).toBe(true);
    expect(looksLikeTar(Buffer.alloc(512))).toBe(false);
  });

  test('absurdly deep or long names are passed over', () => {
    const deep = 'd/'.repeat(500);
    const pax = Buffer.concat([
      makeEntry({ path: 'x', type: 'x', data: paxRecord('path', `${deep}f`) }),
      makeEntry({ path: 'short', data: 'deep' }),
      makeEntry({ path: 'kept', data: 'kept' }),
      end,
    ]);
    const files = new ArchiveTree(pax, 'x');
    expect(files.list('')).toEqual(['kept']);
  });
});
