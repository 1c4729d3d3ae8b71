import { expect, test } from 'vitest';
import type { HostTree } from './host-tree.ts';
import { readHost } from './read-host.ts';
import { sysfsAliases } from './sysfs-aliases.ts';

const SRIOV = new URL('../../test/fixtures/machines/sriov-igb.tar.gz', import.meta.url).pathname;

async function treeOf(file: string): Promise<HostTree> {
  let kept: HostTree | undefined;
  await readHost(file, { detail: 'names', keepTree: (tree) => (kept = tree) });
  return kept!;
}

test('a device has the name of its place and of its bus', async () => {
  const tree = await treeOf(SRIOV);
  const real = '/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/reset_method';
  const byBus = '/sys/bus/pci/devices/0000:01:00.0/reset_method';
  expect(sysfsAliases(tree, byBus)).toContain(real);
  expect(sysfsAliases(tree, real)).toContain(byBus);
});

test('what is not there, or not in sysfs, has no other name', async () => {
  const tree = await treeOf(SRIOV);
  for (const path of ['/proc/x', '/sys/bus/pci/../x', '/sys/nothing/at/all', '/sys']) {
    expect(sysfsAliases(tree, path)).toEqual([]);
  }
});

test('entries tell files, directories and links, in a folder and in an archive alike', async () => {
  const tree = await treeOf(SRIOV);
  expect(tree.files.entries('sys/bus/pci/devices')?.every(({ kind }) => kind === 'link')).toBe(true);
  expect(tree.files.entries('sys/nothing')).toBeUndefined();
  const found = tree.files.entries('sys/devices/pci0000:00/0000:00:02.0') ?? [];
  expect(found).toContainEqual({ name: 'vendor', kind: 'file' });
  expect(found).toContainEqual({ name: '0000:01:00.0', kind: 'directory' });
});
