import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbiIndex } from './index.ts';
import { parseAbiFile } from './parse.ts';
import { findUses } from './uses.ts';

const index = new AbiIndex({
  root: 'here',
  files: [
    parseAbiFile(
      'testing/file',
      [
        '/sys/kernel/iommu_groups/<grp_id>/type',
        '/sys/kernel/iommu_groups/reserved_regions',
        '/sys/bus/pci/devices/.../reset',
        '/sys/devices/.../power/control',
        '/sys/class/net/<iface>/mtu',
        '/sys/bus/event_source/devices/<pmu>/events/<event>',
        '/proc/kallsyms',
      ]
        .map((what) => `What: ${what}\nDescription: x\n`)
        .join(''),
    ),
  ],
});

const uses = (text: string): [string, string][] =>
  findUses(text, index).map(({ path, kind }) => [path, kind]);

describe('a script', () => {
  test.each<[string, [string, string][]]>([
    ['cat /sys/kernel/iommu_groups/7/type', [['/sys/kernel/iommu_groups/7/type', 'documented']]],
    ['cat "/sys/bus/pci/devices/$dev/reset"', [['/sys/bus/pci/devices/$dev/reset', 'documented']]],
    ['cat /sys/bus/pci/devices/"$dev"/reset', [['/sys/bus/pci/devices/$dev/reset', 'documented']]],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable
    ['echo 1 > /sys/class/net/${if:-eth0}/mtu', [['/sys/class/net/${if:-eth0}/mtu', 'documented']]],
    ['cat /sys/class/net/$(ls /x)/mtu', [['/sys/class/net/$(ls /x)/mtu', 'documented']]],
    ['open(f"/sys/class/net/{name}/mtu")', [['/sys/class/net/{name}/mtu', 'documented']]],
    ['cat /sys/class/net/{eth0,eth1}/mtu', [['/sys/class/net/{eth0,eth1}/mtu', 'documented']]],
    ['cat /sys/class/net/*/mtu', [['/sys/class/net/*/mtu', 'documented']]],
    ['cat /sys/class/net/*/*', [['/sys/class/net/*/*', 'directory']]],
    ['ls /sys/class/net', [['/sys/class/net', 'directory']]],
    ['cat /sys/class/net/eth0/nothing', [['/sys/class/net/eth0/nothing', 'nowhere']]],
    ['cat /sys/module/vfio/parameters/x', [['/sys/module/vfio/parameters/x', 'elsewhere']]],
    [
      'cat /sys/kernel/iommu_groups/7/reserved_regions',
      [['/sys/kernel/iommu_groups/7/reserved_regions', 'documented']],
    ],
    ['cat /proc/kallsyms /proc/cpuinfo > /dev/null', [['/proc/kallsyms', 'documented']]],
    ['# cat /sys/class/net/eth0/nothing', []],
    ['cat /host/sys/class/net /systemd/x /sysroot', []],
    ['dd of=/sys/class/net/eth0/mtu.', [['/sys/class/net/eth0/mtu', 'documented']]],
  ])('%s', (text, expected) => expect(uses(text)).toEqual(expected));

  test('variables that hold the beginning of a path are followed', () => {
    const text =
      'SYS=/sys/class\nNET="$SYS/net"\ncat $NET/eth0/mtu\nfor g in /sys/kernel/iommu_groups/*; do cat $g/type; done';
    expect(uses(text)).toContainEqual(['/sys/class/net/eth0/mtu', 'documented']);
    expect(uses(text)).toContainEqual(['/sys/kernel/iommu_groups/*/type', 'documented']);
  });

  test('a device reached through its bus, class or group is the device', () => {
    expect(uses('cat /sys/kernel/iommu_groups/*/devices/*/reset')).toEqual([
      ['/sys/kernel/iommu_groups/*/devices/*/reset', 'documented'],
    ]);
    expect(uses('cat /sys/class/net/$i/device/power/control')[0]?.[1]).toBe('documented');
  });

  test('the lines of a path are told', () => {
    expect(findUses('\n/sys/class/net/a/mtu\n\n/sys/class/net/a/mtu', index)[0]?.lines).toEqual([2, 4]);
  });
});

test('strings of a program', () => {
  const text =
    '\0\x7fELF\0\0/sys/class/net/%s/mtu\0/sys/kernel/iommu_groups/%d\0x/sys/nothing/at/all\0/sys/devH\0';
  expect(uses(text)).toEqual([
    ['/sys/class/net/%s/mtu', 'documented'],
    ['/sys/kernel/iommu_groups/%d', 'directory'],
  ]);
});

test('a trace', () => {
  expect(uses('12 openat(AT_FDCWD, "/sys/class/net/eth0/mtu", O_RDONLY) = 3')).toEqual([
    ['/sys/class/net/eth0/mtu', 'documented'],
  ]);
});

test('any text ends in uses', () => {
  const piece = fc.constantFrom(
    '/sys/',
    '/class',
    'a=',
    '$a',
    '${',
    '}',
    '$(',
    ')',
    '{',
    '[',
    ']',
    '*',
    '%s',
    '\n',
    'for a in ',
    ' ',
    '"',
    '\0',
    '/',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => void findUses(pieces.join(''), index)),
  );
  for (const hostile of ['${', '$(', '{', '[', '"$', '/sys/', 'a=$a/', 'for a in $a'].map((text) =>
    text.repeat(20_000),
  )) {
    expect(() => findUses(hostile, index)).not.toThrow();
  }
});
