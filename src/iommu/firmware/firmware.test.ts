import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../kernel/errors.ts';
import { bytesOfHex, readAcpiTable } from './acpi-table.ts';
import { type Dmar, parseDmar, unitsInKernelOrder } from './dmar.ts';
import { lastDeviceId, parseIvrs, unitsOfIvrs } from './ivrs.ts';
import {
  dmarTable,
  drhd,
  ivhd,
  ivhdEntry,
  ivmd,
  ivrsTable,
  recorded,
  rmrr,
  scope,
  table,
} from './testing.ts';
import { parseViot, viotIommuOf } from './viot.ts';

const dmar = (...records: number[][]): Dmar => parseDmar(dmarTable(...records));

describe('DMAR', () => {
  test('machine root-ports: one INCLUDE_ALL-less unit with scopes for every root bus device', () => {
    const read = parseDmar(bytesOfHex('DMAR', recorded.rootPorts));
    expect(read.notes).toEqual([]);
    expect(read.refused).toBeUndefined();
    expect(read.addressWidth).toBe(39);
    expect(read.units).toHaveLength(1);
    expect(read.units[0]).toMatchObject({ includeAll: false, segment: 0, address: 0xfed90000n });
    const pci = read.units[0]?.scopes
      .filter((s) => s.kind !== 'ioapic')
      .map((s) => [s.kind, s.bus, s.path[0]]);
    expect(pci).toContainEqual(['bridge', 0, { device: 2, function: 0 }]);
    expect(pci).toContainEqual(['endpoint', 0, { device: 0x1f, function: 3 }]);
    expect(read.units[0]?.scopes.filter((s) => s.kind === 'ioapic')).toHaveLength(1);
  });

  test('grouping.md 9: scoped units are looked up in reverse table order, INCLUDE_ALL at the tail in table order', () => {
    const read = dmar(drhd(1n << 12n, 1), drhd(2n << 12n, 0), drhd(3n << 12n, 0), drhd(4n << 12n, 1, [], 1));
    expect(unitsInKernelOrder(read).map((u) => u.address >> 12n)).toEqual([3n, 2n, 1n, 4n]);
  });

  test('a scope through bridges keeps its whole path', () => {
    const read = dmar(drhd(1n << 12n, 0, scope(2, 0, [0x1c, 0], [0, 3])));
    expect(read.units[0]?.scopes).toEqual([
      {
        kind: 'bridge',
        enumeration: 0,
        bus: 0,
        path: [
          { device: 0x1c, function: 0 },
          { device: 0, function: 3 },
        ],
      },
    ]);
  });

  test('reserved memory is read with an inclusive end', () => {
    const read = dmar(drhd(1n << 12n, 1), rmrr(0x7b800000n, 0x7fffffffn, scope(1, 0, [2, 0])));
    expect(read.reserved).toMatchObject([{ start: 0x7b800000n, last: 0x7fffffffn, scopes: [{ bus: 0 }] }]);
  });

  test('a unit listed twice is one unit; a unit at address 0 makes the kernel refuse the table', () => {
    expect(dmar(drhd(1n << 12n, 1), drhd(1n << 12n, 1)).units).toHaveLength(1);
    expect(dmar(drhd(0n, 1)).refused).toMatch(/address 0/);
  });

  test('a record past the end of the table: refused by the kernel; a file cut off: only noted', () => {
    const bytes = bytesOfHex('DMAR', recorded.rootPorts);
    const cut = parseDmar(bytes.subarray(0, 70));
    expect(cut.notes.join()).toMatch(/cut off/);
    const lying = dmarTable([...drhd(1n << 12n, 1), 0, 0, 200, 0, 0, 0]);
    expect(parseDmar(lying).refused).toMatch(/passes the end/);
    expect(parseDmar(lying).units).toHaveLength(1);
  });
});

describe('IVRS', () => {
  test('machine amd: entries of every kind that occurs there', () => {
    const read = parseIvrs(bytesOfHex('IVRS', recorded.amd));
    expect(read.notes).toEqual([]);
    expect(read.refused).toBeUndefined();
    const [unit] = unitsOfIvrs(read);
    expect(unit).toMatchObject({ type: 0x10, deviceId: 0x08, segment: 0, address: 0xfed80000n });
    expect(unit?.entries).toContainEqual({ kind: 'select', id: 0x18, flags: 0 });
    expect(unit?.entries).toContainEqual({ kind: 'alias-range-start', id: 0x700, as: 0x700, flags: 0 });
    expect(unit?.entries.at(-1)).toEqual({ kind: 'special', id: 0xa0, flags: 0, what: 'ioapic', handle: 0 });
    expect(lastDeviceId([unit!], 0)).toBe(0x7ff);
  });

  test('the last block of the first IOMMU decides the type; ids of range starts do not count', () => {
    const select = [...ivhdEntry.select(0x10), 3, 0xff, 0xff, 0];
    const hid = [
      ...[0xf0, 0x98, 0, 0x10, ...new TextEncoder().encode('AMDI0040'), ...Array(8).fill(0)],
      ...[2, 3, 0x4d, 0x30, 0x31],
    ];
    const read = parseIvrs(
      ivrsTable(ivhd(ivhdEntry.all), ivhd(select, { type: 0x11 }), ivhd([...select, ...hid], { type: 0x40 })),
    );
    const units = unitsOfIvrs(read);
    expect(units.map((u) => u.type)).toEqual([0x40]);
    expect(lastDeviceId(units, 0)).toBe(0x10);
    expect(units[0]?.entries.at(-1)).toEqual({
      kind: 'acpi-hid',
      id: 0x98,
      flags: 0x10,
      hid: 'AMDI0040',
      uid: 'M01',
    });
    expect(read.notes).toEqual([]);
  });

  test('memory definitions: device, all and range, with their flags', () => {
    const block = (type: number, flags: number) => ivmd(type, flags, 0x100, 0x1ff, 0x1000n, 0x2000n);
    const read = parseIvrs(ivrsTable(block(0x20, 1), block(0x21, 7), block(0x22, 8)));
    expect(read.memory.map((m) => [m.scope, m.deviceId, m.lastDeviceId])).toEqual([
      ['all', 0, 0xffff],
      ['device', 0x100, 0x100],
      ['range', 0x100, 0x1ff],
    ]);
    expect(read.memory.map((m) => [m.unity, m.read, m.write, m.exclusion])).toEqual([
      [true, false, false, false],
      [true, true, true, false],
      [false, false, false, true],
    ]);
  });

  test('a wrong checksum: the driver refuses the table', () => {
    const bytes = bytesOfHex('IVRS', recorded.amd);
    bytes[9] = (bytes[9]! + 1) & 0xff;
    expect(parseIvrs(bytes).refused).toBe('wrong checksum');
  });
});

describe('VIOT', () => {
  test('machine virtio-iommu-bound: one IOMMU at 00:01.0 for buses 0 to 7', () => {
    const read = parseViot(bytesOfHex('VIOT', recorded.virtio));
    expect(read.notes).toEqual([]);
    expect(read.iommus).toEqual([{ at: 0x30, kind: 'pci', segment: 0, requesterId: 8 }]);
    expect(viotIommuOf(read, 0, 0x7ff)).toBe(read.iommus[0]);
    expect(viotIommuOf(read, 0, 0x800)).toBeUndefined();
    expect(viotIommuOf(read, 1, 0x100)).toBeUndefined();
  });

  test('a range that names no IOMMU is left out', () => {
    const bytes = bytesOfHex('VIOT', recorded.virtio);
    bytes[0x50] = 0x31;
    expect(parseViot(bytes)).toMatchObject({
      ranges: [],
      notes: ['wrong checksum', '1 endpoint nodes name no IOMMU'],
    });
  });
});

describe('hostile bytes', () => {
  const parsers = { DMAR: parseDmar, IVRS: parseIvrs, VIOT: parseViot };
  const samples = { DMAR: recorded.rootPorts, IVRS: recorded.amd, VIOT: recorded.virtio };
  const survives = (parse: (bytes: Uint8Array) => object, bytes: Uint8Array) => {
    try {
      parse(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
    }
  };
  for (const name of ['DMAR', 'IVRS', 'VIOT'] as const) {
    test(`${name}: random bytes behind a good header end in a table or an InputError`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (body) =>
          survives(parsers[name], table(name, [...body])),
        ),
      );
      fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => survives(parsers[name], bytes)));
    });

    test(`${name}: mutations of a real table end in a table or an InputError`, () => {
      const real = bytesOfHex(name, samples[name]);
      const mutation = fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 6 });
      fc.assert(
        fc.property(mutation, fc.nat(real.length), (changes, length) => {
          const bytes = real.slice();
          for (const [at, value] of changes) bytes[at] = value;
          survives(parsers[name], bytes.subarray(0, length));
        }),
      );
    });
  }

  test('hex that is not hex names table and offset', () => {
    expect(() => bytesOfHex('DMAR', '44zz')).toThrow(/^DMAR\+0x1: /);
    expect(() => bytesOfHex('DMAR', '444')).toThrow(InputError);
    expect(() => readAcpiTable('IVRS', bytesOfHex('IVRS', recorded.rootPorts))).toThrow(
      /^IVRS\+0x0: signature/,
    );
  });
});
