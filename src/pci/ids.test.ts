import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PciIds } from './ids.ts';

const TEXT = `#
# a list
0014  Loongson Technology LLC
	7a00  Hyper Transport Bridge Controller
# between
	7a02  APB Controller

10de  NVIDIA Corporation
	0020  NV4 [Riva TNT]
		1043 0200  V3400 TNT
		10de 0020  Riva TNT
	0028  NV5
8086  Intel Corporation
	0020  not NVIDIA's
C 01  Mass storage controller
	06  SATA controller
		01  AHCI 1.0
	08  Non-Volatile memory controller
		02  NVM Express
C 0c  Serial bus controller
`;

describe.each([
  ['text', TEXT],
  ['text with DOS line ends', TEXT.replaceAll('\n', '\r\n')],
  ['bytes', new TextEncoder().encode(TEXT)],
])('pci.ids as %s', (_form, source) => {
  const ids = new PciIds(source);

  test('vendors and devices', () => {
    expect(ids.vendorName(0x10de)).toBe('NVIDIA Corporation');
    expect(ids.deviceName(0x10de, 0x0028)).toBe('NV5');
    expect(ids.deviceName(0x0014, 0x7a02)).toBe('APB Controller');
    expect(ids.vendorName(0x10df)).toBeUndefined();
    expect(ids.deviceName(0x10de, 0x0021)).toBeUndefined();
  });

  test('a device is looked for under its own vendor', () => {
    expect(ids.deviceName(0x8086, 0x0020)).toBe("not NVIDIA's");
    expect(ids.deviceName(0x8086, 0x0028)).toBeUndefined();
    expect(ids.deviceName(0x0014, 0x0020)).toBeUndefined();
  });

  test('subsystems', () => {
    expect(ids.subsystemName(0x10de, 0x0020, 0x1043, 0x0200)).toBe('V3400 TNT');
    expect(ids.subsystemName(0x10de, 0x0020, 0x10de, 0x0020)).toBe('Riva TNT');
    expect(ids.subsystemName(0x10de, 0x0028, 0x1043, 0x0200)).toBeUndefined();
  });

  test('classes: sub-class, base class where that has no name', () => {
    expect(ids.className(0x010802)).toBe('Non-Volatile memory controller');
    expect(ids.className(0x017f00)).toBe('Mass storage controller');
    expect(ids.className(0x0c0330)).toBe('Serial bus controller');
    expect(ids.className(0x030000)).toBeUndefined();
  });
});

test('nothing has a name in an empty list', () => {
  expect(new PciIds('').vendorName(0x8086)).toBeUndefined();
});

test('any bytes give a name or nothing', () => {
  const piece = fc.constantFrom('\n', '\t', '10de', '0020', '  ', 'x', '#', 'C 03', '00');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((p) => p.join('')),
      ),
      (text) => {
        const ids = new PciIds(text);
        for (const name of [ids.vendorName(0x10de), ids.deviceName(0x10de, 0x20), ids.className(0x030000)]) {
          if (name !== undefined) expect(text).toContain(name);
        }
      },
    ),
  );
});

const INSTALLED = '/usr/share/misc/pci.ids';

test.skipIf(!existsSync(INSTALLED))('every vendor of the installed list (needs pci.ids)', () => {
  const text = readFileSync(INSTALLED, 'utf8');
  const ids = new PciIds(text);
  const headings = [...text.matchAll(/^([0-9a-f]{4}) {2}(.*)$/gm)];
  expect(headings.length).toBeGreaterThan(1000);
  for (const [, id = '', name = ''] of headings.slice(0, 200)) {
    expect(ids.vendorName(Number.parseInt(id, 16))).toBe(name.trim());
  }
});
