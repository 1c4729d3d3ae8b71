import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entryText } from './testing.ts';
import { readAbiTree } from './tree.ts';

describe('a tree on disk', () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'ringfence-abi-'));
    mkdirSync(join(root, 'testing/deeper'), { recursive: true });
    for (const name of ['sysfs-b', 'sysfs-a', '.hidden', 'x.orig', 'x.rej', 'x.org', 'x.bak', 'README'])
      writeFileSync(join(root, 'testing', name), entryText());
    writeFileSync(join(root, 'README'), 'About levels.\n');
    writeFileSync(join(root, 'testing/deeper/sysfs-c'), entryText());
    writeFileSync(join(root, 'testing/program'), Buffer.from([0x7f, 0x45, 0, 1, 2]));
    writeFileSync(join(root, 'testing/latin'), Buffer.from('What: /sys/\xe4\nDescription: x\n', 'latin1'));
    writeFileSync(join(root, 'testing/huge'), '');
    truncateSync(join(root, 'testing/huge'), 64 * 1024 * 1024);
    symlinkSync('..', join(root, 'testing/loop'));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('leaves out README, hidden files, .rej, .org, .orig and .bak, and follows no link', () => {
    expect(readAbiTree(root).files.map(({ file }) => file)).toEqual([
      'testing/deeper/sysfs-c',
      'testing/huge',
      'testing/latin',
      'testing/program',
      'testing/sysfs-a',
      'testing/sysfs-b',
    ]);
  });

  it('takes the directory a document lies in for its level', () => {
    expect(readAbiTree(root).files.map(({ level }) => level)).toContain('deeper');
  });

  it('keeps files it cannot read, and says why', () => {
    const unreadable = readAbiTree(root).files.filter(({ malformations }) => malformations.length > 0);
    expect(unreadable.map(({ file, malformations }) => [file, malformations[0]!.kind])).toEqual([
      ['testing/huge', 'unreadable'],
      ['testing/program', 'unreadable'],
    ]);
  });

  it('refuses a root that is no directory, by name', () => {
    expect(() => readAbiTree(join(root, 'nothing'))).toThrow(/nothing: cannot be read .*ENOENT/);
    expect(() => readAbiTree(join(root, 'README'))).toThrow(/ENOTDIR/);
  });
});
