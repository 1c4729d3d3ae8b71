import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbiIndex } from './index.ts';
import { parseAbiFile } from './parse.ts';

function indexOf(...whats: string[]): AbiIndex {
  const text = whats.map((what) => `What: ${what}\nDescription: of ${what.split('\n')[0]}\n`).join('\n');
  return new AbiIndex({ root: 'here', files: [parseAbiFile('testing/file', text)] });
}

const found = (index: AbiIndex, path: string, aliases: string[] = []): string[] =>
  index.find(path, aliases).map(({ what, loose }) => what.text + (loose ? ' (loose)' : ''));

describe('a path is found', () => {
  test.each([
    ['/sys/kernel/iommu_groups/<grp_id>/type', '/sys/kernel/iommu_groups/7/type'],
    ['/sys/bus/pci/devices/.../reset_method', '/sys/bus/pci/devices/0000:01:00.0/reset_method'],
    ['/sys/devices/.../power/control', '/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/power/control'],
    ['/sys/devices/*/of_node', '/sys/devices/platform/a/b/of_node'],
    ['.../XXXXXXX.ipa/version', '/sys/devices/platform/soc/1e40000.ipa/version'],
    ['$(readlink -f /sys/bus/dax/devices/daxX.Y)/../dax_region/size', '/sys/devices/x/dax_region/size'],
    ['/sys/bus/iio/devices/triggerX/name = "bmg160-any-motion-devX"', '/sys/bus/iio/devices/trigger0/name'],
    ['/sys/class/power_supply/<name>/online,', '/sys/class/power_supply/AC/online'],
    ['/sys/kernel/iommu_groups/', '/sys/kernel/iommu_groups'],
    ['/sys/o2cb symlink', '/sys/o2cb'],
    ['/config/usb-gadget/gadget', '/sys/kernel/config/usb-gadget/gadget'],
    ['/sys/kernel/config/tsm/report/$name/inblob', '/config/tsm/report/r0/inblob'],
  ])('%s, %s', (what, path) => {
    expect(
      indexOf(what)
        .find(path)
        .map(({ loose }) => loose),
    ).toEqual([false]);
    expect(indexOf(what).has(path)).toBe(true);
  });

  test('by a line that continues a What, and the match tells that line', () => {
    const index = indexOf('/sys/power/state\n\t\t/sys/power/disk');
    expect(index.find('/sys/power/disk').map(({ what }) => what)).toEqual([
      { text: '/sys/power/disk', line: 2 },
    ]);
  });

  test('by the most literal What first', () => {
    const index = indexOf('/sys/.../raw', '/sys/b/<d>/raw', '/sys/b/dX/raw', '/sys/b/d0/raw');
    expect(found(index, '/sys/b/d0/raw')).toEqual([
      '/sys/b/d0/raw',
      '/sys/b/dX/raw',
      '/sys/b/<d>/raw',
      '/sys/.../raw',
    ]);
  });

  test('by any of its names', () => {
    const index = indexOf('/sys/bus/pci/devices/<d>/enable');
    expect(found(index, '/sys/devices/pci0/d/enable')).toEqual([]);
    expect(found(index, '/sys/devices/pci0/d/enable', ['/sys/bus/pci/devices/d/enable'])).toHaveLength(1);
  });

  test('by a What that leaves out a part, where none fits', () => {
    const index = indexOf('/sys/kernel/iommu_groups/reserved_regions');
    expect(found(index, '/sys/kernel/iommu_groups/7/reserved_regions')).toEqual([
      '/sys/kernel/iommu_groups/reserved_regions (loose)',
    ]);
    expect(index.has('/sys/kernel/iommu_groups/7/reserved_regions')).toBe(false);
  });
});

test.each(['vDSO', 'The kernel syscall interface', 'nvdimm', '', '/', '//', '. .'])(
  '%j names no path',
  (what) => {
    expect(found(indexOf(what), '/sys/x')).toEqual([]);
  },
);

const word = fc.stringMatching(/^[a-z_]{1,6}$/);
const piece = fc.oneof(
  word.map((text) => [text, text] as const),
  fc.tuple(word, word).map(([name, value]) => [`<${name}>`, value] as const),
  fc.tuple(word, word, fc.boolean()).map(([a, b, first]) => [`{${a},${b}}`, first ? a : b] as const),
  fc.tuple(word, word, fc.boolean()).map(([a, b, first]) => [`[${a}|${b}]`, first ? a : b] as const),
  fc.nat(999).map((value) => ['[0-9]+', String(value)] as const),
  fc
    .tuple(fc.constantFrom('X', 'Y', 'Z'), fc.nat(99))
    .map(([letter, value]) => [letter, String(value)] as const),
  fc.tuple(word, fc.nat(9)).map(([text, value]) => [`${text}*`, `${text}${value}`] as const),
);
const part = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => joined(pieces, '-')),
  },
  {
    weight: 1,
    arbitrary: fc
      .array(word, { minLength: 1, maxLength: 3 })
      .map((names) => ['...', names.join('/')] as const),
  },
);

function joined(pieces: readonly (readonly [string, string])[], by: string): readonly [string, string] {
  return [pieces.map(([what]) => what).join(by), pieces.map(([, path]) => path).join(by)];
}

test('a path made from a What by filling its place-holders is found again', () => {
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.option(word), (parts, value) => {
      const [what, path] = joined(parts, '/');
      const index = indexOf(`/sys/${what}${value === null ? '' : ` = ${value}`}`);
      expect(index.has(`/sys/${path}`), `/sys/${what} for /sys/${path}`).toBe(true);
    }),
  );
});

test('any text is a What, and any path a question', () => {
  const text = fc.string({ unit: fc.constantFrom(...'/<>{}[]()|,.*$=# Xab0'.split('')), maxLength: 80 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), text, (whats, path) => {
      const index = indexOf(...whats);
      expect(index.find(path).every(({ entry }) => whats.length > 0 && entry.level === 'testing')).toBe(true);
    }),
  );
});

test('a What of `...` only, and a path of thousands of parts, are answered at once', () => {
  const index = indexOf(`/sys/${'.../a/'.repeat(100)}end`, `/sys${'/<x>'.repeat(60)}`);
  expect(index.has(`/sys${'/a'.repeat(62)}`)).toBe(false);
  expect(index.has(`/sys${'/a'.repeat(60)}`)).toBe(true);
  expect(found(index, '/a'.repeat(100_000))).toEqual([]);
});
