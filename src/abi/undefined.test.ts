import { describe, expect, test } from 'vitest';
import { AbiIndex } from './index.ts';
import { parseAbiFile } from './parse.ts';
import type { SysfsEntry, SysfsView } from './sysfs-names.ts';
import { findUndefined } from './undefined.ts';

/** A sysfs of paths; one with ` -> ` is a link. */
function sysfs(...paths: string[]): SysfsView {
  const directories = new Map<string, Map<string, SysfsEntry['kind']>>();
  const links = new Map<string, string>();
  for (const line of paths) {
    const [path = '', target] = line.split(' -> ');
    const names = path.split('/');
    names.forEach((name, at) => {
      const above = names.slice(0, at).join('/');
      const inside = directories.get(above) ?? new Map();
      const last = at === names.length - 1;
      inside.set(name, last ? (target === undefined ? 'file' : 'link') : 'directory');
      directories.set(above, inside);
    });
    if (target !== undefined) links.set(path, target);
  }
  return {
    entries: (path) => {
      const inside = directories.get(path);
      return inside && [...inside].map(([name, kind]) => ({ name, kind }));
    },
    link: (path) => links.get(path),
  };
}

function indexOf(...whats: string[]): AbiIndex {
  const text = whats.map((what) => `What: ${what}\nDescription: x\n`).join('');
  return new AbiIndex({ root: 'here', files: [parseAbiFile('testing/file', text)] });
}

const DEVICE = 'devices/pci0/0000:01:00.0';

describe('a file is documented', () => {
  test('under its own path, and nothing else is', () => {
    const view = sysfs('kernel/a', 'kernel/b');
    expect(findUndefined(view, indexOf('/sys/kernel/a')).undefined).toEqual(['/sys/kernel/b']);
  });

  test('through a link to a directory above it', () => {
    const view = sysfs(`${DEVICE}/enable`, `bus/pci/devices/0000:01:00.0 -> ../../../${DEVICE}`);
    expect(findUndefined(view, indexOf('/sys/bus/pci/devices/<d>/enable')).undefined).toEqual([]);
    expect(findUndefined(view, indexOf('/sys/bus/usb/devices/<d>/enable')).undefined).toHaveLength(1);
  });

  test('through a link behind a link, and through a link to it', () => {
    const view = sysfs(
      `${DEVICE}/enable`,
      `${DEVICE}/net/eth0/mtu`,
      `${DEVICE}/net/eth0/device -> ../..`,
      `class/net/eth0 -> ../../${DEVICE}/net/eth0`,
      `class/net/eth0-mtu -> ../../${DEVICE}/net/eth0/mtu`,
    );
    expect(
      findUndefined(view, indexOf('/sys/class/net/<i>/device/enable', '/sys/class/net/<i>-mtu')).undefined,
    ).toEqual([]);
  });

  test('by `...` over directories, not over what links lead to', () => {
    const view = sysfs('devices/a/b/x', 'devices/a/driver -> ../../bus/c', 'bus/c/x');
    expect(findUndefined(view, indexOf('/sys/devices/.../x')).undefined).toEqual(['/sys/bus/c/x']);
  });
});

test('links in circles, out of sysfs and to nowhere come to an end', () => {
  const view = sysfs(
    'a/b/file',
    'a/b/up -> ..',
    'a/self -> .',
    'a/out -> ../../../etc',
    'a/gone -> nowhere',
    'a/root -> /etc',
  );
  expect(findUndefined(view, indexOf('/sys/<x>/<x>/<x>/<x>/<x>/nothing')).undefined).toEqual([
    '/sys/a/b/file',
  ]);
});

test('what the kernel’s tool leaves out is left out', () => {
  const view = sysfs(
    'fs/cgroup/x',
    'fs/pstore/x',
    'fs/bpf/x',
    'fs/fuse/x',
    'firmware/acpi/x',
    'kernel/debug/x',
    'kernel/tracing/x',
    'module/m/sections/x',
    'module/m/notes/x',
    'module/m/parameters/x',
    'module/m/seen',
  );
  expect(findUndefined(view, indexOf()).undefined).toEqual(['/sys/module/m/seen']);
});

test('documented files that are not there are told where their directory is', () => {
  const view = sysfs('kernel/there', 'kernel/mm/x', 'mm -> kernel/mm');
  const index = indexOf(
    '/sys/kernel/there',
    '/sys/kernel/missing',
    '/sys/mm/missing',
    '/sys/nowhere/missing',
    '/sys/kernel/<x>',
    '/sys/kernel/mm',
  );
  expect(findUndefined(view, index).gone.map(({ path }) => path)).toEqual([
    '/sys/kernel/missing',
    '/sys/mm/missing',
  ]);
});

test('a sysfs larger than the limit is said to be', () => {
  const view = sysfs(...Array.from({ length: 100 }, (_, at) => `kernel/f${at}`));
  const told: number[] = [];
  const found = findUndefined(view, indexOf(), { limit: 10, progress: (count) => told.push(count) });
  expect(found).toMatchObject({ complete: false, gone: [], files: 9 });
});

test('directories without end are left at a depth', () => {
  const endless: SysfsView = { entries: () => [{ name: 'd', kind: 'directory' }], link: () => undefined };
  expect(findUndefined(endless, indexOf()).complete).toBe(false);
});
