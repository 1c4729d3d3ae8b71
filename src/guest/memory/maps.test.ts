import fc from 'fast-check';
import { expect, test } from 'vitest';
import { indexOfMapping, type Mapping, parseMaps } from './maps.ts';

const RECORDED = `\
55d8c0a00000-55d8c0a21000 rw-p 00000000 00:00 0                          [heap]
7f2a10000000-7f2a10400000 rw-s 00200000 00:0f 52431                      /anon_hugepage (deleted)
7f2a1c000000-7f2a1c001000 r--s 00000000 fe:00 338846                     /usr/lib/gconv/gconv-modules.cache
7f2a1c001000-7f2a1c002000 ---p 00000000 00:2a 7                          /sys/devices/pci0000:00/config
7f2a1c002000-7f2a1c003000 rw-p 00000000 00:2a1 7                         /srv/other
7ffd4a5c1000-7ffd4a5c5000 r--p 00000000 00:00 0                          [vvar]
7ffd4a5c7000-7ffd4a5c9000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

const letters = ({ readable, writable, executable }: Mapping) =>
  `${readable ? 'r' : '-'}${writable ? 'w' : '-'}${executable ? 'x' : '-'}`;

test('recorded lines: places, permissions, what is shared, what has no pages', () => {
  const mappings = parseMaps(Buffer.from(RECORDED), '00:2a');
  expect(mappings.map(letters)).toEqual(['rw-', 'rw-', 'r--', '---', 'rw-', 'r--', 'r-x']);
  expect(mappings.map(({ shared }) => shared)).toEqual([
    undefined,
    '00:0f 52431',
    'fe:00 338846',
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(mappings[1]).toMatchObject({ start: 0x7f2a10000000, end: 0x7f2a10400000, offset: 0x200000 });
  expect(mappings.map(({ unpinnable }) => unpinnable).indexOf(true)).toBe(5);
});

test('what is mapped of the device that must not be touched is inaccessible, and only that', () => {
  const text = Buffer.from(RECORDED.replace('---p 00000000 00:2a', 'rwxs 00000000 00:2a'));
  expect(letters(parseMaps(text, undefined)[3]!)).toBe('rwx');
  expect(letters(parseMaps(text, '00:2a')[3]!)).toBe('---');
  expect(letters(parseMaps(text, '00:2a')[4]!)).toBe('rw-');
});

const page = fc.integer({ min: 1, max: 2 ** 35 - 2 });

test('any lines of that form come out as they went in, and addresses are found in them', () => {
  const line = fc.record({
    pages: fc.integer({ min: 1, max: 1 << 20 }),
    gap: fc.integer({ min: 0, max: 1 << 20 }),
    permissions: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
    offset: page,
    inode: fc.integer({ min: 0, max: 2 ** 40 }),
    name: fc.constantFrom('', '/a file', '[stack]', '/x (deleted)'),
  });
  fc.assert(
    fc.property(page, fc.array(line, { maxLength: 20 }), fc.nat(), (first, lines, seed) => {
      let at = first % (1 << 30);
      const text: string[] = [];
      const wanted: { start: number; end: number; offset: number; shared: string | undefined }[] = [];
      for (const { pages, gap, permissions, offset, inode, name } of lines) {
        const start = (at + gap) * 4096;
        const end = start + pages * 4096;
        at = end / 4096;
        const [r, w, x, s] = permissions;
        const word = `${r ? 'r' : '-'}${w ? 'w' : '-'}${x ? 'x' : '-'}${s ? 's' : 'p'}`;
        const numbers = `${start.toString(16)}-${end.toString(16)} ${word} ${(offset * 4096).toString(16)}`;
        text.push(`${`${numbers} 00:05 ${inode} `.padEnd(73)}${name}\n`);
        wanted.push({ start, end, offset: offset * 4096, shared: s ? `00:05 ${inode}` : undefined });
      }
      const found = parseMaps(Buffer.from(text.join('')), undefined);
      expect(found.map(({ start, end, offset, shared }) => ({ start, end, offset, shared }))).toEqual(wanted);
      const address = seed * 4096;
      const index = indexOfMapping(found, address);
      expect(index).toBe(wanted.filter(({ end }) => end <= address).length);
    }),
  );
});
