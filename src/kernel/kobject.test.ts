import { describe, expect, test } from 'vitest';
import { type Attribute, createLinkUnique, Kobject, type Ktype } from './kobject.ts';

const size: Attribute = { name: 'size', mode: 0o444, show: (kobj) => `${kobj.name.length}\n` };

describe('Kobject', () => {
  test('is found under its name in its parent, with its path', () => {
    const root = new Kobject('root');
    const kernel = new Kobject('kernel', root);
    const groups = new Kobject('iommu_groups', kernel);
    expect(root.path).toBe('/');
    expect(groups.path).toBe('/kernel/iommu_groups');
    expect(kernel.entry('iommu_groups')).toBe(groups);
    expect([...root.children()]).toEqual([kernel]);
  });

  test.each(['', '.', '..', 'a/b', 'a\0b'])('name %j is EINVAL for directories, files and links', (name) => {
    const root = new Kobject('root');
    expect(() => new Kobject(name, root)).toThrow('[EINVAL]');
    expect(() => root.createFile({ ...size, name })).toThrow('[EINVAL]');
    expect(() => root.createLink(name, root)).toThrow('[EINVAL]');
    expect(root.count).toBe(1);
    expect([...root.names()]).toEqual([]);
  });

  test('a name is EEXIST whatever has it: directory, file, link or attribute of the kind', () => {
    const root = new Kobject('root', undefined, { attributes: [size] });
    new Kobject('directory', root);
    root.createFile({ name: 'file', mode: 0o444 });
    root.createLink('link', root);
    for (const name of ['directory', 'file', 'link', 'size']) {
      expect(() => new Kobject(name, root)).toThrow(`/: already has an entry ${name} [EEXIST]`);
      expect(() => root.createFile({ name, mode: 0o444 })).toThrow('[EEXIST]');
      expect(() => root.createLink(name, root)).toThrow('[EEXIST]');
    }
    expect([...root.names()]).toEqual(['size', 'directory', 'file', 'link']);
  });

  test('attributes of the kind can be absent from one object', () => {
    const ktype: Ktype = { attributes: [{ ...size, visible: (kobj) => kobj.name === 'with' }] };
    const root = new Kobject('root');
    const [withIt, without] = [new Kobject('with', root, ktype), new Kobject('without', root, ktype)];
    expect([withIt.entry('size')?.constructor, without.entry('size')]).toEqual([Object, undefined]);
    expect([...without.names()]).toEqual([]);
    expect(() => without.createFile(size)).not.toThrow();
  });

  test('removeFile and removeLink take only what they are for', () => {
    const root = new Kobject('root');
    new Kobject('directory', root);
    root.createFile({ name: 'file', mode: 0o444 });
    root.createLink('link', root);
    for (const name of ['directory', 'link', 'none']) root.removeFile(name);
    for (const name of ['directory', 'file', 'none']) root.removeLink(name);
    expect([...root.names()]).toEqual(['directory', 'file', 'link']);
    root.removeFile('file');
    root.removeLink('link');
    expect([...root.names()]).toEqual(['directory']);
  });

  test('a child keeps its parent alive until it is deleted', () => {
    const released: string[] = [];
    const ktype: Ktype = { release: (kobj) => released.push(kobj.path) };
    const root = new Kobject('root');
    const group = new Kobject('0', root, ktype);
    const devices = new Kobject('devices', group, ktype);
    group.put();
    expect(group.count).toBe(1);
    expect(group.inSysfs).toBe(true);
    devices.put();
    expect(released).toEqual(['/0/devices', '/0']);
    expect([root.count, [...root.names()].length]).toEqual([1, 0]);
  });

  test('deleting a directory takes everything below out of the tree, and objects below still end cleanly', () => {
    const root = new Kobject('root');
    const a = new Kobject('a', root);
    const b = new Kobject('b', a);
    const c = new Kobject('c', b);
    a.del();
    a.del();
    expect([a, b, c].map(({ path, inSysfs }) => [path, inSysfs])).toEqual([
      ['/a', false],
      ['/a/b', false],
      ['/a/b/c', false],
    ]);
    expect([...root.names()]).toEqual([]);
    expect(() => new Kobject('d', b)).toThrow('[ENOENT]');
    expect(() => root.createLink('to-b', b)).toThrow('[ENOENT]');
    expect(() => a.rename('z')).toThrow('[ENOENT]');
    new Kobject('a', root);
    for (const kobj of [a, b, c]) kobj.put();
    expect([a.count, b.count, c.count, root.count]).toEqual([0, 0, 0, 2]);
    expect([...root.names()]).toEqual(['a']);
  });

  test('use after the last reference names the place it had', () => {
    const root = new Kobject('root');
    const gone = new Kobject('gone', root);
    gone.put();
    expect(() => gone.createFile(size)).toThrow('/gone: creating size after its last reference went [EBADF]');
    expect(() => new Kobject('child', gone)).toThrow('[EBADF]');
  });

  test('rename moves the directory, and refuses a name that is taken', () => {
    const root = new Kobject('root');
    const a = new Kobject('a', root);
    new Kobject('b', root);
    expect(() => a.rename('b')).toThrow('[EEXIST]');
    a.rename('c');
    expect([a.path, a.name, root.entry('a'), root.entry('c')]).toEqual(['/c', 'c', undefined, a]);
    expect(() => root.rename('x')).toThrow('[EINVAL]');
  });

  test('100,000 nested directories can be deleted', () => {
    const root = new Kobject('root');
    let kobj = new Kobject('0', root);
    const top = kobj;
    for (let depth = 1; depth < 100_000; depth++) kobj = new Kobject('d', kobj);
    top.del();
    expect(kobj.inSysfs).toBe(false);
  });
});

describe('createLinkUnique', () => {
  test('groups-core.md 6: colliding names get .0, .1 … on the original name, the first one free', () => {
    const root = new Kobject('root');
    const names = Array.from({ length: 4 }, () => createLinkUnique(root, 'serial0', root));
    expect(names).toEqual(['serial0', 'serial0.0', 'serial0.1', 'serial0.2']);
    root.removeLink('serial0.0');
    expect(createLinkUnique(root, 'serial0', root)).toBe('serial0.0');
    root.removeLink('serial0');
    expect(createLinkUnique(root, 'serial0', root)).toBe('serial0');
  });
});
