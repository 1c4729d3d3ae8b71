import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuListOf, cpuMask, parseCpuList } from './cpu-list.ts';
import { DynamicIds, parseDeviceId } from './dynamic-ids.ts';
import { parseUevent } from './events.ts';
import { parseBoolean, parseUnsigned } from './numbers.ts';
import { code } from './testing.ts';
import { textFile } from './text-file.ts';

test('numbers are taken as kstrtoul takes them', () => {
  expect(parseUnsigned('10\n', 'x')).toBe(10n);
  expect(parseUnsigned('0x1F', 'x')).toBe(31n);
  expect(parseUnsigned('017', 'x')).toBe(15n);
  expect(parseUnsigned('+0', 'x')).toBe(0n);
  for (const text of ['', '\n', '-1', '1 ', ' 1', '0x', '08', '1\n\n', 'one']) {
    expect(
      code(() => parseUnsigned(text, 'x')),
      JSON.stringify(text),
    ).toBe('EINVAL');
  }
  expect(code(() => parseUnsigned('18446744073709551616', 'x'))).toBe('ERANGE');
});

test('yes and no are taken as kstrtobool takes them', () => {
  for (const text of ['1', 'y\n', 'Yes', 'on', 'true']) expect(parseBoolean(text, 'x')).toBe(true);
  for (const text of ['0', 'n', 'No', 'off', 'false\n']) expect(parseBoolean(text, 'x')).toBe(false);
  for (const text of ['', 'o', '2', ' 1']) expect(code(() => parseBoolean(text, 'x'))).toBe('EINVAL');
});

test('processors as lists and masks', () => {
  expect(parseCpuList('0-3,8\n')).toEqual([0, 1, 2, 3, 8]);
  expect(parseCpuList('all')).toBeUndefined();
  expect([1, 4, 33].map(cpuListOf)).toEqual(['0', '0-3', '0-32']);
  expect([[0], [0, 1, 2, 3], [8], [0, 32], [63]].map(cpuMask)).toEqual([
    '1',
    'f',
    '100',
    '1,00000001',
    '80000000,00000000',
  ]);
});

test('ids as they are written to new_id', () => {
  expect(parseDeviceId('8086 10d3\n', 'x')).toMatchObject({ vendor: 0x8086, device: 0x10d3, classMask: 0 });
  expect(parseDeviceId('0x8086 10d3 ffffffff 1 020000 ff0000 7', 'x')).toEqual({
    vendor: 0x8086,
    device: 0x10d3,
    subsystemVendor: undefined,
    subsystemDevice: 1,
    class: 0x020000,
    classMask: 0xff0000,
  });
  for (const text of ['', '8086', 'vendor device', '8086 xyz']) {
    expect(code(() => parseDeviceId(text, 'x'))).toBe('EINVAL');
  }
  const ids = new DynamicIds();
  ids.add(parseDeviceId('1 2', 'x'));
  ids.add(parseDeviceId('1 2', 'x'));
  expect(code(() => ids.remove(parseDeviceId('1 3', 'x'), 'x'))).toBe('ENODEV');
  ids.remove(parseDeviceId('1 2', 'x'), 'x');
  ids.remove(parseDeviceId('1 2', 'x'), 'x');
  expect(code(() => ids.remove(parseDeviceId('1 2', 'x'), 'x'))).toBe('ENODEV');
});

test('any text written to new_id is an id or EINVAL', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(['ok', 'EINVAL']).toContain(code(() => parseDeviceId(text, 'x')));
    }),
  );
});

test('events as they are written to uevent', () => {
  expect(parseUevent('add\n', '/d')).toEqual({ action: 'add', path: '/d' });
  const id = 'fe4d7c9d-b8c6-4a70-9ef1-3d8a58d18eed';
  expect(parseUevent(`change ${id} A=1 B=abc`, '/d').action).toBe('change');
  for (const text of ['', 'added', 'add x', `add ${id} A=`])
    expect(code(() => parseUevent(text, '/d'))).toBe('EINVAL');
});

test('an attribute is made when reading begins, and written whole, wherever in the file', () => {
  let made = 0;
  const stored: string[] = [];
  const file = textFile({
    name: 'x',
    mode: 0o644,
    show: () => `text ${++made}\n`,
    store: (text) => stored.push(text),
  });
  const open = file.open({ admin: true });
  expect(Buffer.from(open.read(0, 4)).toString()).toBe('text');
  expect(Buffer.from(open.read(4, 100)).toString()).toBe(' 1\n');
  expect(open.read(7, 100)).toHaveLength(0);
  expect(Buffer.from(open.read(0, 100)).toString()).toBe('text 2\n');
  expect(open.write(3, Buffer.from('one\0two'))).toBe(7);
  expect(open.write(0, Buffer.alloc(5000, 'a'))).toBe(4096);
  expect(open.write(0, Buffer.alloc(0))).toBe(0);
  expect(stored).toEqual(['one', 'a'.repeat(4096)]);
  const closed = textFile({ name: 'x', mode: 0 }).open({ admin: true });
  expect(code(() => closed.read(0, 1))).toBe('EIO');
  expect(code(() => closed.write(0, Buffer.from('1')))).toBe('EIO');
});
