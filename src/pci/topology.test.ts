import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError, KernelError } from '../kernel/errors.ts';
import type { PciBus } from './bus.ts';
import type { PciFunctionInit } from './device.ts';
import { pciBridge, pciFunction } from './testing.ts';
import { PciTopology } from './topology.ts';

const ROOT_PORT = { type: 4 };
const UNKNOWN = { bridge: undefined, headerType: undefined, multifunctionBit: undefined, pcie: undefined };

function addresses(topology: PciTopology): string[] {
  return topology.devices.map((device) => device.address);
}

function busNames(topology: PciTopology): string[] {
  return topology.rootBuses.map((bus) => bus.name);
}

describe('buses', () => {
  test('a bridge leads to its secondary bus', () => {
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 1, 2, ROOT_PORT),
      pciBridge('0000:01:00.0', 2, 2, { type: 5 }),
      pciFunction('0000:02:00.0'),
    ]);
    const device = topology.find('02:00.0')!;
    expect(device.upstreamBridge?.address).toBe('0000:01:00.0');
    expect(device.pciBus.parent?.self?.address).toBe('0000:00:01.0');
    expect(busNames(topology)).toEqual(['0000:00']);
    expect(topology.find('0000:00:01.0')!.subordinate?.name).toBe('0000:01');
    expect(device.parent).toBe(topology.find('01:00.0'));
    expect(topology.find('00:01.0')!.parent?.name).toBe('pci0000:00');
  });

  test.each([
    ['no higher than its own bus', 1, 4],
    ['above the subordinate bus', 3, 2],
  ])('bus numbers that make no sense lead nowhere: secondary %s', (_what, secondary, subordinate) => {
    const topology = PciTopology.build([
      pciBridge('0000:01:00.0', secondary, subordinate, ROOT_PORT),
      pciFunction('0000:03:00.0'),
    ]);
    expect(busNames(topology)).toEqual(['0000:01', '0000:03']);
  });

  test('of two bridges that claim one bus the first has it', () => {
    const topology = PciTopology.build([
      pciBridge('0000:00:02.0', 5, 5, ROOT_PORT),
      pciBridge('0000:00:01.0', 5, 5, ROOT_PORT),
      pciFunction('0000:05:00.0'),
    ]);
    expect(topology.find('05:00.0')!.upstreamBridge?.address).toBe('0000:00:01.0');
    expect(topology.find('00:02.0')!.subordinate).toBeUndefined();
  });

  test('a path in sysfs has the last word', () => {
    const path = 'pci0000:00/0000:00:02.0/0000:05:00.0';
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 5, 5, ROOT_PORT),
      pciBridge('0000:00:02.0', 9, 9, ROOT_PORT),
      pciFunction('0000:05:00.0', { path }),
    ]);
    expect(topology.find('05:00.0')!.upstreamBridge?.address).toBe('0000:00:02.0');
  });

  test('a path that names a root bus makes it one, whatever a bridge claims', () => {
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 5, 5, ROOT_PORT),
      pciFunction('0000:05:00.0', { path: 'pci0000:05/0000:05:00.0' }),
    ]);
    expect(busNames(topology)).toEqual(['0000:00', '0000:05']);
  });

  test('paths that make a circle do not', () => {
    const topology = PciTopology.build([
      pciFunction('0000:01:00.0', { path: 'pci0000:00/0000:02:00.0/0000:01:00.0' }),
      pciFunction('0000:02:00.0', { path: 'pci0000:00/0000:01:00.0/0000:02:00.0' }),
    ]);
    expect(busNames(topology)).toEqual(['0000:01']);
    expect(topology.find('02:00.0')!.upstreamBridge?.address).toBe('0000:01:00.0');
  });

  test('a bus inside the range of a bridge whose numbers are not all known is a guess', () => {
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 1, 4, ROOT_PORT),
      pciFunction('0000:01:00.0', UNKNOWN),
      pciFunction('0000:03:00.0', UNKNOWN),
    ]);
    const device = topology.find('03:00.0')!;
    expect(device.pciBus).toMatchObject({ uncertain: true, isRoot: false });
    expect(device.pciBus.parent?.name).toBe('0000:01');
    expect(device.isVirtual).toBe(false);
  });

  test('only what may be a bridge below a bus makes it a guess', () => {
    const topology = PciTopology.build([
      pciFunction('0000:00:00.0', { ...UNKNOWN, class: 0x060000 }),
      pciFunction('0000:20:00.0', { ...UNKNOWN, class: 0x060400 }),
      pciFunction('0000:40:00.0', { ...UNKNOWN, class: 0x020000 }),
    ]);
    expect(topology.rootBuses.map((bus) => bus.uncertain)).toEqual([false, false, true]);
  });

  test('slots and functions are found', () => {
    const topology = PciTopology.build([
      pciFunction('0000:00:02.1'),
      pciFunction('0000:00:02.0'),
      pciFunction('0000:00:03.0'),
    ]);
    const bus = topology.findBus(0, 0)!;
    expect(bus.functionsOf(2).map((device) => device.func)).toEqual([0, 1]);
    expect(bus.functionsOf(9)).toEqual([]);
    expect(bus.deviceAt(0x18)?.address).toBe('0000:00:03.0');
    expect(bus.deviceAt(0x19)).toBeUndefined();
  });

  test.each([['nonsense'], ['0000:00:20.0']])('an address that is none is refused: %s', (address) => {
    expect(() => PciTopology.build([pciFunction(address)])).toThrow(InputError);
  });

  test('an address that stands twice is refused', () => {
    expect(() => PciTopology.build([pciFunction('0000:00:00.0'), pciFunction('00:00.0')])).toThrow(/twice/);
  });
});

describe('Intel VMD', () => {
  const below = [
    pciBridge('10000:e0:06.0', 0xe1, 0xe1, {
      ...ROOT_PORT,
      path: 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0',
    }),
    pciFunction('10000:e1:00.0', {
      path: 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0',
    }),
  ];

  test('a root bus below a PCI device: DMA is that device’s', () => {
    const topology = PciTopology.build([...below, pciFunction('0000:00:0e.0')]);
    const nvme = topology.find('10000:e1:00.0')!;
    expect(nvme.realDmaDevice.address).toBe('0000:00:0e.0');
    expect(nvme.pciBus.parent?.isRoot).toBe(true);
    expect(nvme.pciBus.parent?.bridge.parent).toBe(topology.find('00:0e.0'));
    expect(topology.find('00:0e.0')!.realDmaDevice).toBe(topology.find('00:0e.0'));
  });

  test('without paths the only VMD function owns the only domain past ffff', () => {
    const vmd = pciFunction('0000:00:0e.0', { vendor: 0x8086, device: 0xa77f });
    const topology = PciTopology.build([...below.map((init) => ({ ...init, path: undefined })), vmd]);
    expect(topology.find('10000:e1:00.0')!.realDmaDevice.address).toBe('0000:00:0e.0');
  });

  test('without the VMD function in the list a device stands for itself', () => {
    const topology = PciTopology.build(below);
    expect(topology.find('10000:e1:00.0')!.realDmaDevice.address).toBe('10000:e1:00.0');
  });

  test('domains that own each other stand for themselves', () => {
    const topology = PciTopology.build([
      pciFunction('0001:00:00.0', { path: '0002:00:00.0/pci0001:00/0001:00:00.0' }),
      pciFunction('0002:00:00.0', { path: '0001:00:00.0/pci0002:00/0002:00:00.0' }),
    ]);
    expect(topology.size).toBe(2);
    expect(topology.rootBuses).toHaveLength(2);
  });
});

describe('SR-IOV', () => {
  const sriov = { enabled: true, numVfs: 4, totalVfs: 7, offset: 0x80, stride: 2, vfDevice: 0x10ca };
  const port = pciBridge('0000:00:01.0', 1, 2, ROOT_PORT);
  const pf = pciFunction('0000:01:00.0', {
    type: 0,
    vendor: 0x8086,
    device: 0x10c9,
    multifunctionBit: true,
    sriov,
  });

  test('where the source does not say, offset and stride do', () => {
    const vfs = ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4', '0000:01:10.6'];
    const other = pciFunction('0000:01:11.0', { type: 0 });
    const topology = PciTopology.build([port, pf, other, ...vfs.map((vf) => pciFunction(vf, { type: 0 }))]);
    for (const address of vfs) {
      expect(topology.find(address)).toMatchObject({ isVirtual: true, multifunction: false });
      expect(topology.find(address)!.physfn?.address).toBe(pf.address);
    }
    expect(topology.find(other.address)!.isVirtual).toBe(false);
  });

  test('what is known not to be virtual is not claimed, nor a bridge', () => {
    const topology = PciTopology.build([
      port,
      pf,
      pciFunction('0000:01:10.0', { type: 0, physfn: null }),
      pciBridge('0000:01:10.2', 2, 2, { type: 5 }),
    ]);
    expect(topology.devices.some((device) => device.isVirtual)).toBe(false);
  });

  test('VFs on a bus of their own: a bus without a bridge beside that of the PF', () => {
    const far = { ...sriov, offset: 0x100, numVfs: 1 };
    const topology = PciTopology.build([
      port,
      pciFunction(pf.address, { type: 0, sriov: far }),
      pciFunction('0000:02:00.0', { type: 0, vendor: undefined, device: undefined }),
    ]);
    const vf = topology.find('02:00.0')!;
    expect(vf.pciBus).toMatchObject({ self: undefined, isRoot: false, uncertain: false });
    expect(vf.pciBus.parent).toBe(topology.find('01:00.0')!.pciBus);
    expect(vf.upstreamBridge?.address).toBe(port.address);
    expect(vf.parent).toBe(topology.find('00:01.0'));
  });

  test('ids of a VF come from its PF where its own read ffff', () => {
    const init = pciFunction('0000:01:10.0', { type: 0, physfn: pf.address });
    const topology = PciTopology.build([port, pf, { ...init, vendor: undefined, device: undefined }]);
    expect(topology.find('01:10.0')).toMatchObject({ vendor: 0x8086, device: 0x10ca });
  });

  test('a PF that is not in the list', () => {
    const topology = PciTopology.build([port, pciFunction('0000:01:10.0', { physfn: '0000:01:00.0' })]);
    expect(topology.find('01:10.0')).toMatchObject({ isVirtual: true, physfn: undefined });
  });

  test('functions that call each other PF', () => {
    const topology = PciTopology.build([
      pciFunction('0000:01:00.0', { physfn: '0000:01:00.1' }),
      pciFunction('0000:01:00.1', { physfn: '0000:01:00.0' }),
    ]);
    expect(topology.devices.map((device) => device.physfn)).toEqual([undefined, undefined]);
  });

  test('with every bridge known, functions where no bridge leads can only be virtual', () => {
    const topology = PciTopology.build([
      port,
      pciFunction('0000:01:00.0', { type: 0 }),
      pciFunction('0000:02:03.1'),
    ]);
    expect(topology.find('02:03.1')).toMatchObject({ isVirtual: true, multifunction: false });
    expect(topology.find('02:03.1')!.pciBus.parent?.name).toBe('0000:01');
  });

  test('of two PFs whose registers claim one function the first has it, and none reaches into the next domain', () => {
    const near = { ...sriov, numVfs: 1, offset: 2 };
    const topology = PciTopology.build([
      pciFunction('0000:01:00.0', { sriov: near }),
      pciFunction('0000:01:00.1', { sriov: { ...near, offset: 1 } }),
      pciFunction('0000:01:00.2'),
      pciFunction('0000:ff:1f.7', { sriov: near }),
      pciFunction('0001:00:00.1'),
    ]);
    expect(topology.find('01:00.2')!.physfn?.address).toBe('0000:01:00.0');
    expect(topology.find('0001:00:00.1')!.isVirtual).toBe(false);
  });

  test('registers that claim everything claim what is there, in bounded time', () => {
    const greedy = { enabled: true, numVfs: 0xffff, totalVfs: 0xffff, offset: 1, stride: 1 };
    const inits = Array.from({ length: 256 }, (_, i) =>
      pciFunction(`0000:00:${(i >> 3).toString(16)}.${i & 7}`, { sriov: { ...greedy } }),
    );
    expect(PciTopology.build(inits).devices.some((device) => device.isVirtual)).toBe(false);
  });
});

describe('grouping.md 4: multifunction', () => {
  test('header bit of function 0; any function above 0; never a VF', () => {
    const topology = PciTopology.build([
      pciFunction('0000:00:01.0', { multifunctionBit: true }),
      pciFunction('0000:00:02.0'),
      pciFunction('0000:00:02.3'),
      pciFunction('0000:00:02.4', { physfn: '0000:00:02.0', multifunctionBit: true }),
    ]);
    const bits = topology.devices.map((device) => [device.address.slice(8), device.multifunction]);
    expect(bits).toEqual([
      ['01.0', true],
      ['02.0', false],
      ['02.3', true],
      ['02.4', false],
    ]);
  });

  test('header bit unknown: a sibling decides', () => {
    const topology = PciTopology.build([
      pciFunction('0000:00:01.0', { multifunctionBit: undefined }),
      pciFunction('0000:00:02.0', { multifunctionBit: undefined }),
      pciFunction('0000:00:02.1', { multifunctionBit: undefined }),
    ]);
    expect(topology.devices.map((device) => device.multifunction)).toEqual([false, true, true]);
  });

  test('functions past 7 of an ARI device', () => {
    const port = pciBridge('0000:00:01.0', 1, 1, {
      pcie: { type: 4, ariForwarding: true, ariForwardingEnabled: true },
    });
    const topology = PciTopology.build([port, pciFunction('0000:01:00.0'), pciFunction('0000:01:01.0')]);
    expect(topology.find('01:01.0')!.multifunction).toBe(true);
    expect(topology.find('01:00.0')!.multifunction).toBe(false);
  });
});

describe('set_pcie_port_type', () => {
  test.each([
    [6, 4, 0],
    [6, 6, 0],
    [5, 5, 0],
    [6, 5, 6],
    [5, 4, 5],
  ])('type %i below type %i counts as type %i', (type, above, counts) => {
    const topology = PciTopology.build([
      pciBridge('0000:00:01.0', 1, 2, { type: above }),
      pciBridge('0000:01:00.0', 2, 2, { type }),
    ]);
    expect(topology.find('01:00.0')!.pcieType).toBe(counts);
  });
});

describe('grouping.md 9: order of the device list', () => {
  const inits = [
    pciBridge('0000:00:01.0', 5, 6, ROOT_PORT),
    pciBridge('0000:05:00.0', 6, 6, { type: 5 }),
    pciFunction('0000:06:00.0'),
    pciBridge('0000:00:01.1', 1, 1, ROOT_PORT),
    pciFunction('0000:01:00.0', { sriov: { enabled: true, numVfs: 2, totalVfs: 2, offset: 4, stride: 1 } }),
    pciFunction('0000:01:00.4'),
    pciFunction('0000:01:00.5'),
    pciFunction('0000:00:1f.0'),
    pciFunction('0000:40:00.0'),
  ];
  const scanOrder = [
    '0000:00:01.0',
    '0000:00:01.1',
    '0000:00:1f.0',
    '0000:05:00.0',
    '0000:06:00.0',
    '0000:01:00.0',
    '0000:40:00.0',
    '0000:01:00.4',
    '0000:01:00.5',
  ];

  test('a bus first, then what is behind its bridges, depth first; VFs last', () => {
    expect(addresses(PciTopology.build(inits))).toEqual(scanOrder);
  });

  test('root buses in the order given', () => {
    const topology = PciTopology.build(inits, { rootBusOrder: ['0000:40', 'junk'] });
    expect(addresses(topology)[0]).toBe('0000:40:00.0');
    expect(busNames(topology)).toEqual(['0000:40', '0000:00']);
  });

  test('a list from the kernel comes first', () => {
    const topology = PciTopology.build(inits, {
      deviceOrder: ['0000:40:00.0', '0000:01:00.5', '0000:99:00.0'],
    });
    expect(addresses(topology).slice(0, 3)).toEqual(['0000:40:00.0', '0000:01:00.5', '0000:00:01.0']);
    expect(topology.size).toBe(inits.length);
  });
});

describe('hot-plug', () => {
  const port = pciBridge('0000:00:01.0', 1, 1, ROOT_PORT);

  test('grouping.md 13: a function above 0 counts as multifunction only after the scan of its slot', () => {
    const topology = PciTopology.build([port]);
    const first = topology.add(pciFunction('0000:01:00.0', { multifunctionBit: true }));
    const second = topology.add(pciFunction('0000:01:00.1'));
    expect([first.multifunction, second.multifunction]).toEqual([true, false]);
    topology.slotScanned(first);
    expect(second.multifunction).toBe(true);
    expect(addresses(topology)).toEqual(['0000:00:01.0', '0000:01:00.0', '0000:01:00.1']);
  });

  test('a bridge brings its bus; a VF on a far bus as well', () => {
    const topology = PciTopology.build([port]);
    topology.add(pciFunction('0000:01:00.0'));
    const vf = topology.add(pciFunction('0000:02:00.0', { physfn: '0000:01:00.0' }));
    expect(vf.pciBus.parent?.name).toBe('0000:01');
    topology.add(pciBridge('0000:00:02.0', 8, 8, ROOT_PORT));
    expect(topology.add(pciFunction('0000:08:00.0')).upstreamBridge?.address).toBe('0000:00:02.0');
  });

  test('slots are looked up as they are now', () => {
    const topology = PciTopology.build([port]);
    const bus = topology.findBus(0, 1)!;
    expect(bus.functionsOf(0)).toEqual([]);
    const device = topology.add(pciFunction('0000:01:00.0'));
    expect(bus.functionsOf(0)).toEqual([device]);
    topology.remove(device);
    expect(bus.functionsOf(0)).toEqual([]);
  });

  test('a port that arrives later has its type corrected as well', () => {
    const topology = PciTopology.build([port]);
    expect(topology.add(pciBridge('0000:01:00.0', 2, 2, { type: 6 })).pcieType).toBe(0);
  });

  test('a VF on the bus of its PF goes once when the bridge above both goes', () => {
    const topology = PciTopology.build([
      port,
      pciFunction('0000:01:00.0', {
        sriov: { enabled: true, numVfs: 1, totalVfs: 1, offset: 0x80, stride: 1 },
      }),
      pciFunction('0000:01:10.0'),
    ]);
    const gone = topology.remove(topology.find('00:01.0')!).map((device) => device.address);
    expect(gone).toEqual(['0000:01:10.0', '0000:01:00.0', '0000:00:01.0']);
  });

  test('removal takes VFs and everything below along, children first, and the place can be taken again', () => {
    const topology = PciTopology.build([
      port,
      pciFunction('0000:01:00.0', {
        sriov: { enabled: true, numVfs: 1, totalVfs: 1, offset: 0x100, stride: 1 },
      }),
      pciFunction('0000:02:00.0'),
    ]);
    const gone = topology.remove(topology.find('00:01.0')!);
    expect(gone.map((device) => device.address)).toEqual(['0000:02:00.0', '0000:01:00.0', '0000:00:01.0']);
    expect(topology.size).toBe(0);
    expect(topology.findBus(0, 1)).toBeUndefined();
    expect(topology.findBus(0, 2)).toBeUndefined();
    expect(() => topology.remove(gone[0]!)).toThrow(KernelError);
    topology.add(port);
    expect(topology.add(pciFunction('0000:01:00.0')).pciBus.self?.address).toBe('0000:00:01.0');
  });

  test.each([
    ['nonsense', 'EINVAL'],
    ['0000:00:01.0', 'EEXIST'],
    ['0000:07:00.0', 'ENODEV'],
  ])('%s is refused with %s', (address, code) => {
    const topology = PciTopology.build([port]);
    expect(() => topology.add(pciFunction(address))).toThrow(expect.objectContaining({ code }));
  });
});

/** Random machines, sensible and not: bridges, VFs, paths, holes in what is known. */
const machines = fc
  .uniqueArray(
    fc.record({
      domain: fc.constantFrom(0, 0, 0, 1, 0x10000),
      bus: fc.nat(7),
      slot: fc.nat(3),
      fn: fc.nat(3),
      secondary: fc.option(fc.nat(9)),
      subordinate: fc.nat(9),
      known: fc.boolean(),
      type: fc.option(fc.nat(10)),
      physfn: fc.constantFrom(undefined, undefined, null, '0000:00:00.0', '0000:01:00.0'),
      numVfs: fc.constantFrom(0, 0, 3),
      parent: fc.constantFrom(
        undefined,
        'pci0000:00',
        'pci0000:02',
        '0000:00:00.0',
        '0000:01:01.0',
        '0000:02:00.1',
      ),
    }),
    { selector: (f) => [f.domain, f.bus, f.slot, f.fn].join(), maxLength: 40 },
  )
  .map((list) =>
    list.map((f): PciFunctionInit => {
      const address = `${f.domain.toString(16).padStart(4, '0')}:0${f.bus}:0${f.slot}.${f.fn}`;
      return pciFunction(address, {
        ...(f.type === null ? {} : { type: f.type }),
        ...(f.known ? {} : UNKNOWN),
        ...(f.secondary === null || !f.known
          ? {}
          : { bridge: { primary: f.bus, secondary: f.secondary, subordinate: f.subordinate } }),
        ...(f.numVfs === 0
          ? {}
          : { sriov: { enabled: true, numVfs: f.numVfs, totalVfs: 3, offset: 2, stride: 1 } }),
        physfn: f.physfn,
        path: f.parent === undefined ? undefined : `${f.parent}/${address}`,
      });
    }),
  );

function shape(topology: PciTopology): string[] {
  return topology.devices.map((device) => {
    const { pciBus } = device;
    return [
      device.address,
      pciBus.name,
      pciBus.self?.address,
      pciBus.parent?.name,
      device.isVirtual,
      device.physfn?.address,
      device.multifunction,
      device.realDmaDevice.address,
      device.pcieType,
    ].join(' ');
  });
}

describe('any list of functions', () => {
  test('every function is on exactly one bus, every bus hangs from a root bus', () => {
    fc.assert(
      fc.property(machines, (inits) => {
        const topology = PciTopology.build(inits);
        expect(new Set(addresses(topology))).toEqual(new Set(inits.map((init) => init.address)));
        const on = new Map<string, PciBus>();
        const walk = (bus: PciBus, depth: number) => {
          expect(depth).toBeLessThan(257);
          for (const device of bus.devices) {
            expect(on.has(device.address)).toBe(false);
            on.set(device.address, bus);
          }
          for (const child of bus.children) {
            expect(child.parent).toBe(bus);
            walk(child, depth + 1);
          }
        };
        for (const root of topology.rootBuses) {
          expect(root.isRoot).toBe(true);
          walk(root, 0);
        }
        for (const device of topology.devices) {
          expect(on.get(device.address)).toBe(device.pciBus);
          expect(device.pciBus.functionsOf(device.slot)).toContain(device);
          expect(device.isVirtual && device.multifunction).toBe(false);
          expect(device.physfn?.isVirtual ?? false).toBe(false);
        }
      }),
    );
  });

  test('comes out the same in whatever order it goes in', () => {
    const shuffled = machines.chain((inits) =>
      fc.tuple(fc.constant(inits), fc.shuffledSubarray(inits, { minLength: inits.length })),
    );
    fc.assert(
      fc.property(shuffled, ([inits, other]) => {
        expect(shape(PciTopology.build(other))).toEqual(shape(PciTopology.build(inits)));
      }),
    );
  });

  test('survives taking everything away in any order', () => {
    fc.assert(
      fc.property(machines, fc.infiniteStream(fc.nat()), (inits, picks) => {
        const topology = PciTopology.build(inits);
        while (topology.size > 0) {
          const devices = topology.devices;
          const gone = topology.remove(devices[picks.next().value % devices.length]!);
          for (const device of gone) expect(topology.find(device.address)).toBeUndefined();
        }
        for (const root of topology.rootBuses) expect(root.devices).toEqual([]);
      }),
    );
  });
});
