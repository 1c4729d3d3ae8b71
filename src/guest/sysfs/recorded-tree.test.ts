/** Trees that anybody may have made: nothing outside of them is ever shown. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeTar } from '../../../test/support/tar.ts';
import { ArchiveTree } from '../../host/archive-tree.ts';
import { DirectoryTree } from '../../host/directory-tree.ts';
import type { FileTree } from '../../host/file-tree.ts';
import { RecordedTree } from './recorded-tree.ts';
import { code } from './testing.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ringfence-recorded-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const FILES = {
  'sys/devices/a/vendor': '0x1\n',
  'sys/devices/a/net/eth0/address': '00:11\n',
  'sys/devices/a/long': 'x'.repeat(70_000),
  'secret/key': 'hidden\n',
};
const LINKS = {
  'sys/devices/a/inside': '../b',
  'sys/devices/a/absolute': '/etc/passwd',
  'sys/devices/a/out': '../../../secret/key',
  'sys/devices/a/dir-out': '../../../secret',
  'sys/devices/away': '../../secret',
  'sys/devices/etc': '/etc',
};

function onDisk(): FileTree {
  const root = mkdtempSync(join(scratch, 'tree-'));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const [path, target] of Object.entries(LINKS)) symlinkSync(target, join(root, path));
  return new DirectoryTree(root);
}

function archived(): FileTree {
  const items = [
    ...Object.entries(FILES).map(([path, data]) => ({ path, data })),
    ...Object.entries(LINKS).map(([path, link]) => ({ path, link })),
  ];
  return new ArchiveTree(makeTar(items), 'tree.tar');
}

const kinds: [string, () => FileTree][] = [
  ['a directory', onDisk],
  ['an archive', archived],
];

test.each(kinds)('%s: attributes, links and directories within are served', (_, make) => {
  const tree = new RecordedTree({ files: make(), sys: 'sys', proc: 'proc', live: false });
  expect(tree.text('/devices/a/vendor')).toBe('0x1\n');
  expect(tree.entry('devices/a/inside', '/x')).toEqual({ kind: 'link', target: '../b' });
  const net = tree.entry('/devices/a/net', '/devices/a/net');
  if (net?.kind !== 'directory') throw new Error('net is no directory');
  expect([...net.names()]).toEqual(['eth0']);
  expect(tree.entry('/devices/a/net', '/devices/a/net')).toMatchObject({ identity: net.identity });
  const interface_ = net.entry('eth0');
  const address = interface_?.kind === 'directory' ? interface_.entry('address') : undefined;
  if (address?.kind !== 'file') throw new Error('address is no file');
  const open = address.open({ admin: true });
  expect(Buffer.from(open.read(0, 3)).toString()).toBe('00:');
  expect(Buffer.from(open.read(3, 100)).toString()).toBe('11\n');
  expect(code(() => open.write(0, Buffer.from('x')))).toBe('EPERM');
});

test.each(kinds)('%s: nothing outside is, whatever links and names say', (_, make) => {
  const tree = new RecordedTree({ files: make(), sys: 'sys', proc: 'proc', live: false });
  for (const name of ['absolute', 'out', 'dir-out', '..', '.', '']) {
    expect(tree.entry(`/devices/a/${name}`, '/x')).toBeUndefined();
  }
  expect(tree.names('/devices/away')).toEqual([]);
  expect(tree.names('/devices/etc')).toEqual([]);
  expect(tree.names('/../secret')).toEqual([]);
  expect(tree.text('/devices/away/key')).toBeUndefined();
  expect(tree.text('/devices/a/../../../secret/key')).toBeUndefined();
  expect(tree.text('/../secret/key')).toBeUndefined();
  expect(tree.entry('/devices/away/key', '/x')).toBeUndefined();
});

test('what is no attribute by its length is not read', () => {
  const tree = new RecordedTree({ files: onDisk(), sys: 'sys', proc: 'proc', live: false });
  const entry = tree.entry('/devices/a/long', '/x');
  expect(code(() => entry?.kind === 'file' && entry.open({ admin: true }).read(0, 10))).toBe('EIO');
});

test('without a tree nothing is recorded', () => {
  const tree = new RecordedTree(undefined);
  expect(tree.names('/')).toEqual([]);
  expect(tree.text('/devices')).toBeUndefined();
  expect(tree.entry('/devices', '/x')).toBeUndefined();
});
