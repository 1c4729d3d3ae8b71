import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { bindLines, keptBeside, keptOfDev, keptOfSys } from './kept-real.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ringfence-kept-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function tree(name: string, files: readonly string[]): string {
  const root = join(scratch, name);
  for (const file of files) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    if (!file.endsWith('/')) writeFileSync(join(root, file), '');
    else mkdirSync(join(root, file), { recursive: true });
  }
  return root;
}

const names = (entries: readonly { name: string }[] = []) => entries.map(({ name }) => name).sort();

describe('what stays real', () => {
  const sys = tree('sys', [
    'bus/pci/devices/',
    'bus/usb/',
    'class/net/',
    'class/vfio/',
    'devices/pci0000:00/x',
    'devices/system/',
    'kernel/iommu_groups/7/',
    'kernel/mm/',
    'kernel/notes',
    'fs/',
  ]);

  test('everything of /sys but what the model answers for', () => {
    const kept = keptOfSys(sys);
    expect(names(kept['/'])).toEqual(['bus', 'class', 'devices', 'fs', 'kernel']);
    expect(names(kept['/bus'])).toEqual(['usb']);
    expect(names(kept['/class'])).toEqual(['net']);
    expect(names(kept['/devices'])).toEqual(['system']);
    expect(names(kept['/kernel'])).toEqual(['mm', 'notes']);
  });

  test('nor what the model shows of the same name, but for directories of both', () => {
    const kept = keptBeside(keptOfSys(sys), (path) => path === '/bus/usb' || path === '/bus');
    expect(names(kept['/bus'])).toEqual([]);
    expect(names(kept['/'])).toContain('bus');
  });

  test('of /dev all nodes but ours; ptmx leads to the terminals beside it', () => {
    const dev = tree('dev', ['null', 'iommu', 'vfio/vfio', 'pts/0', 'ptmx']);
    symlinkSync('/proc/self/fd', join(dev, 'fd'));
    const kept = keptOfDev(dev)['/']!;
    expect(names(kept)).toEqual(['fd', 'null', 'ptmx', 'pts']);
    expect(kept.find(({ name }) => name === 'ptmx')).toEqual({
      name: 'ptmx',
      kind: 'link',
      target: 'pts/ptmx',
    });
    expect(kept.find(({ name }) => name === 'fd')).toMatchObject({ kind: 'link', target: '/proc/self/fd' });
  });

  test('directories are bound with what is mounted in them, links and shared directories not at all', () => {
    const lines = bindLines(
      {
        '/': [
          { name: 'bus', kind: 'directory' },
          { name: 'fs', kind: 'directory' },
          { name: 'a b\t#\\', kind: 'file' },
          { name: 'link', kind: 'link', target: 'x' },
        ],
        '/bus': [{ name: 'usb', kind: 'directory' }],
      },
      '/from',
      '/to',
    );
    expect(lines).toEqual([
      '/from/fs /to/fs none rbind 0 0',
      '/from/a\\040b\\011\\043\\134 /to/a\\040b\\011\\043\\134 none bind 0 0',
      '/from/bus/usb /to/bus/usb none rbind 0 0',
    ]);
  });
});
