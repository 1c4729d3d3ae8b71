import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { devsAreDmaAliases, forEachDmaAlias } from './alias.ts';
import { ALIAS_QUIRKS } from './alias-quirks.ts';
import { addDmaAlias } from './alias-rules.ts';
import { DevfnSet } from './devfn-set.ts';
import type { PciDevice } from './device.ts';
import { pciBridge, pciFunction } from './testing.ts';
import { PciTopology } from './topology.ts';

type Init = NonNullable<Parameters<typeof pciFunction>[1]>;

/** `address rid how` of every callback. */
function walk(topology: PciTopology, address: string): string[] {
  const calls: string[] = [];
  forEachDmaAlias(topology.find(address)!, (device, rid, how) => {
    calls.push(`${device.address.slice(-7)} ${rid.toString(16).padStart(4, '0')} ${how}`);
    return undefined;
  });
  return calls;
}

/** 00:01.0 (root port) - 01:00.0 (`bridge`) - 02:01.0 (`below`). */
function machine(bridge: Init, below: Init = {}, port: Init = { type: 4 }): PciTopology {
  return PciTopology.build([
    pciBridge('0000:00:01.0', 1, 2, port),
    pciBridge('0000:01:00.0', 2, 2, bridge),
    pciFunction('0000:02:01.0', below),
  ]);
}

describe('grouping.md 3: the walk', () => {
  const own = '02:01.0 0208 self';

  test.each([
    ['switch ports: nothing', { type: 5 }, [own]],
    ['PCIe-to-PCI bridge: subordinate bus, 00.0', { type: 7 }, [own, '01:00.0 0200 bridge-subordinate']],
    ['reverse bridge: its own', { type: 8 }, [own, '01:00.0 0100 bridge-own']],
    ['any other PCIe type: nothing', { type: 0 }, [own]],
    ['conventional bridge: its own', {}, [own, '01:00.0 0100 bridge-own']],
    ['unknown: as conventional', { pcie: undefined }, [own, '01:00.0 0100 bridge-own']],
    [
      'a conventional bridge known for hiding that it is not',
      { vendor: 0x1b21, device: 0x1080 },
      [own, '01:00.0 0200 bridge-subordinate'],
    ],
    ['a translation root', { type: 7, vendor: 0x14e4, device: 0x9000 }, [own]],
  ] as [string, Init, string[]][])('%s', (_what, bridge, calls) => {
    expect(walk(machine(bridge), '02:01.0')).toEqual(calls);
  });

  test('the bridge quirk holds only below a PCIe device that is no PCIe-to-PCI bridge', () => {
    const asm1083: Init = { vendor: 0x1b21, device: 0x1080 };
    expect(walk(machine(asm1083, {}, { type: 7 }), '02:01.0')[1]).toBe('01:00.0 0100 bridge-own');
    expect(walk(machine(asm1083, {}, {}), '02:01.0')[1]).toBe('01:00.0 0100 bridge-own');
    const onRoot = PciTopology.build([pciBridge('0000:00:02.0', 1, 1, asm1083), pciFunction('0000:01:00.0')]);
    expect(walk(onRoot, '01:00.0')[1]).toBe('00:02.0 0010 bridge-own');
  });

  test('a translation root hides bridges above it as well', () => {
    const topology = machine({ type: 7, vendor: 0x14e4, device: 0x9084 }, {}, {});
    expect(walk(topology, '02:01.0')).toEqual(['02:01.0 0208 self']);
  });

  test('aliases of its own come right after it, ascending, before any bridge', () => {
    const topology = machine({ type: 7 }, { vendor: 0x8086, device: 0x2260 });
    expect(walk(topology, '02:01.0')).toEqual([
      own,
      '02:01.0 0280 alias-mask',
      '02:01.0 0288 alias-mask',
      '02:01.0 0293 alias-mask',
      '01:00.0 0200 bridge-subordinate',
    ]);
  });

  test('behind a VMD: the VMD function, and what is above that', () => {
    const path = 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0';
    const topology = PciTopology.build([pciFunction('0000:00:0e.0'), pciFunction('10000:e0:06.0', { path })]);
    expect(walk(topology, '10000:e0:06.0')).toEqual(['00:0e.0 0070 real-dma-device']);
  });

  test('virtual buses are passed over', () => {
    const sriov = { enabled: true, numVfs: 1, totalVfs: 1, offset: 0x100, stride: 1 };
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 1, 2, { type: 7 }),
      pciFunction('0000:01:00.0', { sriov }),
      pciFunction('0000:02:00.0'),
    ]);
    expect(walk(topology, '02:00.0')).toEqual(['02:00.0 0200 self', '00:01.0 0100 bridge-subordinate']);
  });

  test('an answer ends it', () => {
    const topology = machine({ type: 7 });
    let calls = 0;
    const answer = forEachDmaAlias(topology.find('02:01.0')!, (device) => {
      calls++;
      return device.address;
    });
    expect([answer, calls]).toEqual(['0000:02:01.0', 1]);
  });

  test('what was assumed is said', () => {
    const notes: (string | undefined)[] = [];
    forEachDmaAlias(machine({ pcie: undefined }).find('02:01.0')!, (_device, _rid, _how, note) => {
      notes.push(note.assumed);
      return undefined;
    });
    expect(notes[0]).toBeUndefined();
    expect(notes[1]).toContain('0000:01:00.0: type unknown');
  });
});

describe('grouping.md 6: alias quirks', () => {
  function masks(init: Init, address = '0000:00:02.3'): number[] {
    return [...(PciTopology.build([pciFunction(address, init)]).devices[0]!.dmaAliasMask ?? [])];
  }

  test('function 0, function 1, unless it is that one', () => {
    expect(masks({ vendor: 0x1180, device: 0xe832 })).toEqual([0x10]);
    expect(masks({ vendor: 0x1180, device: 0xe832 }, '0000:00:02.0')).toEqual([]);
    expect(masks({ vendor: 0x1b4b, device: 0x9235 })).toEqual([0x11]);
    expect(masks({ vendor: 0x1b4b, device: 0x9235 }, '0000:00:02.1')).toEqual([]);
  });

  test('a fixed devfn, with the right subsystem only', () => {
    const ids = { vendor: 0x9005, device: 0x0285, subsystemVendor: 0x9005 };
    expect(masks({ ...ids, subsystemDevice: 0x02bc })).toEqual([0x08]);
    expect(masks({ ...ids, subsystemDevice: 0x02bd })).toEqual([]);
  });

  test('VCA: functions 0 to 4 of all 32 slots; PLX: everything', () => {
    const vca = masks({ vendor: 0x8086, device: 0x2954 });
    expect(vca).toHaveLength(160);
    expect(vca.every((devfn) => (devfn & 7) < 5)).toBe(true);
    expect(masks({ vendor: 0x10b5, device: 0x87b0 })).toHaveLength(256);
  });

  test('Switchtec: aliases nobody can read from here', () => {
    const topology = PciTopology.build([
      pciFunction('0000:00:01.0', { vendor: 0x11f8, device: 0x8531, class: 0x068000 }),
      pciFunction('0000:00:02.0', { vendor: 0x11f8, device: 0x8531, class: 0x058000 }),
    ]);
    expect(topology.devices.map((device) => device.dmaAliasUnknown)).toEqual([
      'proxy ids of Switchtec NTB',
      undefined,
    ]);
  });

  test('no id stands in two rows', () => {
    const ids = ALIAS_QUIRKS.flatMap(({ vendor, devices }) =>
      devices.map((device) => vendor * 0x10000 + device),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('two functions alias when either has the other in its mask', () => {
    const topology = PciTopology.build(['0', '1', '2'].map((fn) => pciFunction(`0000:00:02.${fn}`)));
    const [a, b, c] = ['02.0', '02.1', '02.2'].map((short) => topology.find(`00:${short}`)!) as [
      PciDevice,
      PciDevice,
      PciDevice,
    ];
    addDmaAlias(a, 0x11, 1, 'IVRS');
    expect(devsAreDmaAliases(a, b)).toBe(true);
    expect(devsAreDmaAliases(b, a)).toBe(true);
    expect(devsAreDmaAliases(b, c)).toBe(false);
    expect(devsAreDmaAliases(c, c)).toBe(false);
  });
});

describe('DevfnSet', () => {
  test('pci_add_dma_alias: cut off at the last devfn', () => {
    const set = new DevfnSet();
    set.add(0xfe, 9);
    expect([...set]).toEqual([0xfe, 0xff]);
  });

  test('holds what was put in, ascending', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(255)), (devfns) => {
        const set = new DevfnSet();
        for (const devfn of devfns) set.add(devfn);
        const expected = [...new Set(devfns)].sort((a, b) => a - b);
        expect([...set]).toEqual(expected);
        expect(set.size).toBe(expected.length);
        for (let devfn = 0; devfn < 256; devfn++) expect(set.has(devfn)).toBe(expected.includes(devfn));
      }),
    );
  });
});
