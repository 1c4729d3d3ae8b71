import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelError } from './errors.ts';
import { Kobject } from './kobject.ts';
import { Sysfs } from './sysfs.ts';

/** The corner of a real machine: one device, its group, the links between them. */
function example() {
  const sysfs = new Sysfs();
  const device = sysfs.makePath('/devices/pci0000:00/0000:00:02.0');
  const group = sysfs.makePath('/kernel/iommu_groups/7');
  const members = sysfs.makePath('/kernel/iommu_groups/7/devices');
  const devices = sysfs.makePath('/bus/pci/devices');
  device.createLink('iommu_group', group);
  device.createLink('subsystem', sysfs.makePath('/bus/pci'));
  members.createLink('0000:00:02.0', device);
  devices.createLink('0000:00:02.0', device);
  let type = 'DMA';
  group.createFile({
    name: 'type',
    mode: 0o644,
    show: () => `${type}\n`,
    store: (_, text) => {
      type = text.trim();
    },
  });
  group.createFile({ name: 'dumb', mode: 0o644 });
  return { sysfs, device, group };
}

describe('Sysfs', () => {
  test('reads and writes attributes, through links too', () => {
    const { sysfs } = example();
    const path = '/bus/pci/devices/0000:00:02.0/iommu_group/type';
    expect(sysfs.read(path)).toBe('DMA\n');
    sysfs.write(path, 'identity\n');
    expect(sysfs.read('/kernel/iommu_groups/7/type')).toBe('identity\n');
    expect(sysfs.realpath(path)).toBe('/kernel/iommu_groups/7/type');
  });

  test('groups-core.md 6: an attribute without show or store is EIO', () => {
    const { sysfs } = example();
    expect(() => sysfs.read('/kernel/iommu_groups/7/dumb')).toThrow('[EIO]');
    expect(() => sysfs.write('/kernel/iommu_groups/7/dumb', '')).toThrow('[EIO]');
  });

  test('link text is relative and as Linux prints it', () => {
    const { sysfs, device } = example();
    expect(sysfs.readlink('/kernel/iommu_groups/7/devices/0000:00:02.0')).toBe(
      '../../../../devices/pci0000:00/0000:00:02.0',
    );
    expect(sysfs.readlink('/bus/pci/devices/0000:00:02.0')).toBe('../../../devices/pci0000:00/0000:00:02.0');
    expect(sysfs.readlink('/devices/pci0000:00/0000:00:02.0/iommu_group')).toBe(
      '../../../kernel/iommu_groups/7',
    );
    device.createLink('sibling', sysfs.makePath('/devices/pci0000:00/0000:00:03.0'));
    expect(sysfs.readlink('/devices/pci0000:00/0000:00:02.0/sibling')).toBe('../0000:00:03.0');
  });

  test('a link to a directory above, or to its own, names that directory', () => {
    const { sysfs, device } = example();
    device.createLink('up', sysfs.makePath('/devices/pci0000:00'));
    device.createLink('self', device);
    expect(sysfs.readlink('/devices/pci0000:00/0000:00:02.0/up')).toBe('../../pci0000:00');
    expect(sysfs.readlink('/devices/pci0000:00/0000:00:02.0/self')).toBe('../0000:00:02.0');
  });

  test('`..` leaves the directory a link led to, not the one the link is in', () => {
    const { sysfs } = example();
    expect(sysfs.realpath('/bus/pci/devices/0000:00:02.0/..')).toBe('/devices/pci0000:00');
    expect(sysfs.realpath('/../../bus/./pci/')).toBe('/bus/pci');
    expect(sysfs.readdir('/bus/pci/devices/0000:00:02.0/iommu_group')).toEqual(['devices', 'dumb', 'type']);
  });

  test('each kind of wrong path has its own errno', () => {
    const { sysfs } = example();
    const file = '/kernel/iommu_groups/7/type';
    expect(() => sysfs.read('/kernel/iommu_groups/8/type')).toThrow('[ENOENT]');
    expect(() => sysfs.read('/kernel')).toThrow('[EISDIR]');
    expect(() => sysfs.readdir(file)).toThrow('[ENOTDIR]');
    expect(() => sysfs.readlink(file)).toThrow('[EINVAL]');
    expect(() => sysfs.readlink('/nowhere')).toThrow('[ENOENT]');
    expect(sysfs.exists(`${file}/type`)).toBe(false);
    expect(sysfs.exists(`${file}/`)).toBe(false);
    expect(() => sysfs.makePath(`${file}/x`)).toThrow('[EEXIST]');
  });

  test('40 links on the way are followed, the 41st is ELOOP', () => {
    const sysfs = new Sysfs();
    const directory = sysfs.makePath('/a');
    directory.createLink('self', directory);
    expect(sysfs.exists(`/a${'/self'.repeat(40)}`)).toBe(true);
    expect(() => sysfs.lookup(`/a${'/self'.repeat(41)}`)).toThrow('[ELOOP]');
    expect(sysfs.readlink(`/a${'/self'.repeat(41)}`)).toBe('../a');
  });

  test('lookupLink answers the link itself, unless a slash follows', () => {
    const { sysfs, device, group } = example();
    const path = '/devices/pci0000:00/0000:00:02.0/iommu_group';
    expect(sysfs.lookupLink(path)).toEqual({
      kind: 'link',
      directory: device,
      name: 'iommu_group',
      target: group,
    });
    expect(sysfs.lookupLink(`${path}/`)).toEqual({ kind: 'directory', kobj: group });
    expect(sysfs.lookup(path)).toEqual({ kind: 'directory', kobj: group });
  });

  test('a link dangles when its target goes, and leads to what takes the place', () => {
    const { sysfs, group } = example();
    const link = '/devices/pci0000:00/0000:00:02.0/iommu_group';
    group.del();
    expect(sysfs.exists(link)).toBe(false);
    expect(sysfs.readlink(link)).toBe('../../../kernel/iommu_groups/7');
    const next = sysfs.makePath('/kernel/iommu_groups/7');
    expect(sysfs.lookup(link)).toEqual({ kind: 'directory', kobj: next });
  });

  test('links follow a rename', () => {
    const { sysfs, group } = example();
    group.rename('12');
    expect(sysfs.readlink('/devices/pci0000:00/0000:00:02.0/iommu_group')).toBe(
      '../../../kernel/iommu_groups/12',
    );
    expect(sysfs.read('/devices/pci0000:00/0000:00:02.0/iommu_group/type')).toBe('DMA\n');
  });
});

describe('property: a tree under random creation, linking, renaming and removal', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const place = fc
    .array(name, { maxLength: 3 })
    .map((names) => names.map((part) => `/${part}`).join('') || '/');
  const step = fc.oneof(
    fc.record({ do: fc.constant('make' as const), at: place, name, to: place }),
    fc.record({ do: fc.constant('file' as const), at: place, name, to: place }),
    fc.record({ do: fc.constant('link' as const), at: place, name, to: place }),
    fc.record({ do: fc.constant('remove' as const), at: place, name, to: place }),
    fc.record({ do: fc.constant('rename' as const), at: place, name, to: place }),
  );

  /** Path to what is there; a link is the identity of its target, so that renames need no rewriting. */
  type ModelEntry = { kind: 'directory' } | { kind: 'file' } | { kind: 'link'; to: ModelEntry };
  const under = (directory: string, child: string) =>
    directory === '/' ? `/${child}` : `${directory}/${child}`;

  test('agrees with a plain map of paths', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const sysfs = new Sysfs();
        const model = new Map<string, ModelEntry>([['/', { kind: 'directory' }]]);
        const directoryAt = (path: string): Kobject | undefined => {
          const node = sysfs.lookupLink(path);
          return node?.kind === 'directory' ? node.kobj : undefined;
        };
        /** Links on the way are left out: the model knows only true paths. */
        const isTrue = (path: string) => model.get(path)?.kind === 'directory';

        for (const { do: action, at, name, to } of steps) {
          if (!isTrue(at)) continue;
          const directory = directoryAt(at);
          if (!directory) throw new Error(`${at} is missing`);
          const path = under(at, name);
          const taken = model.get(path);
          const attempt = (work: () => void) => {
            if (taken) expect(work).toThrow('[EEXIST]');
            else work();
          };
          if (action === 'make') {
            attempt(() => void new Kobject(name, directory));
            if (!taken) model.set(path, { kind: 'directory' });
          } else if (action === 'file') {
            attempt(() => directory.createFile({ name, mode: 0o444, show: () => path }));
            if (!taken) model.set(path, { kind: 'file' });
          } else if (action === 'link' && isTrue(to)) {
            attempt(() => directory.createLink(name, directoryAt(to)!));
            if (!taken) model.set(path, { kind: 'link', to: model.get(to)! });
          } else if (action === 'remove' && taken) {
            if (taken.kind === 'link') directory.removeLink(name);
            else if (taken.kind === 'file') directory.removeFile(name);
            else directoryAt(path)!.put();
            const childrenKeepIt =
              taken.kind === 'directory' &&
              [...model].some(([other, { kind }]) => {
                return kind === 'directory' && other.startsWith(`${path}/`);
              });
            if (childrenKeepIt) directoryAt(path)!.del();
            for (const other of [...model.keys()]) {
              if (other === path || other.startsWith(`${path}/`)) model.delete(other);
            }
          } else if (action === 'rename' && at !== '/') {
            const parent = at.slice(0, at.lastIndexOf('/')) || '/';
            const target = under(parent, name);
            if (model.has(target)) {
              expect(() => directory.rename(name)).toThrow('[EEXIST]');
            } else {
              directory.rename(name);
              for (const [other, entry] of [...model]) {
                if (other !== at && !other.startsWith(`${at}/`)) continue;
                model.delete(other);
                model.set(target + other.slice(at.length), entry);
              }
            }
          }
        }

        for (const [path, entry] of model) {
          const expectedKind = entry.kind;
          expect(sysfs.lookupLink(path)?.kind).toBe(expectedKind);
          if (entry.kind === 'directory') {
            const names = [...model.keys()]
              .filter((other) => other !== '/' && (other.slice(0, other.lastIndexOf('/')) || '/') === path)
              .map((other) => other.slice(other.lastIndexOf('/') + 1));
            expect(sysfs.readdir(path)).toEqual(names.sort());
          }
          if (entry.kind === 'link') {
            const target = [...model].find(([, candidate]) => candidate === entry.to);
            if (!target || target[0] === '/') continue;
            expect(sysfs.realpath(path)).toBe(target[0]);
            const parent = path.slice(0, path.lastIndexOf('/')) || '/';
            expect(sysfs.realpath(`${parent}/${sysfs.readlink(path)}`)).toBe(target[0]);
          }
        }
      }),
    );
  });

  test('any path text ends in a node, nothing, or a KernelError', () => {
    const { sysfs } = example();
    const part = fc.oneof(
      fc.constantFrom('..', '.', '', 'devices', 'bus', 'pci', '0000:00:02.0', 'type'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const path = parts.join('/');
        try {
          const node = sysfs.lookup(path);
          if (node) expect(sysfs.exists(sysfs.realpath(path))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(KernelError);
        }
      }),
    );
  });
});
