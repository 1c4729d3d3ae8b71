import { describe, expect, test } from 'vitest';
import type { Device } from '../../device/device.ts';
import { PciTopology } from '../../pci/topology.ts';
import { DomainType } from '../domain.ts';
import { BRIDGE, dmarTable, drhd, ENDPOINT, hex, recorded, rmrr, scope } from '../firmware/testing.ts';
import {
  card,
  endpoint,
  functionsOf,
  integrated,
  plainFacts,
  rootPort,
  type TestMachine,
} from '../grouping/testing.ts';
import { rootBusOrder } from './root-buses.ts';
import { detect } from './testing.ts';

const A = 0xfed90000n;
const B = 0xfed91000n;
const C = 0xfed92000n;
const MSI = '0x00000000fee00000 0x00000000feefffff msi\n';
const dmar = (...records: number[][]) => ({ DMAR: hex(dmarTable(...records)) });

describe('grouping.md 9: which unit takes which device, in which order', () => {
  const tree = [
    integrated('2.0', { name: 'gpu', class: 0x030000 }),
    rootPort('1c.0', { name: 'port', acs: 'full' }, [
      endpoint('0.0', { name: 'nic', vfs: { count: 1, offset: 0x100 } }),
    ]),
    card('1f.0', { name: 'isa', class: 0x060100 }),
  ];

  test('scoped units are registered in reverse table order, INCLUDE_ALL last; names follow the table', () => {
    const { instances, iommuOf } = detect(tree, {
      acpi: dmar(drhd(A, 1), drhd(B, 0, scope(ENDPOINT, 0, [2, 0])), drhd(C, 0, scope(BRIDGE, 0, [0x1c, 0]))),
    });
    expect(instances.map(({ name }) => name)).toEqual(['dmar2', 'dmar1', 'dmar0']);
    expect(['gpu', 'port', 'nic', 'isa'].map(iommuOf)).toEqual(['dmar1', 'dmar2', 'dmar2', 'dmar0']);
  });

  test('a virtual function is looked up by its PF', () => {
    const machine = detect(tree, {
      acpi: dmar(drhd(A, 1), drhd(B, 0, scope(ENDPOINT, 0, [0x1c, 0], [0, 0]))),
    });
    expect(machine.iommuOf('nic VF0')).toBe('dmar1');
    expect(machine.iommuOf('port')).toBe('dmar0');
  });

  test('named by no scope and without INCLUDE_ALL on its segment: not translated', () => {
    const acpi = dmar(drhd(A, 1, [], 1), drhd(B, 0, scope(ENDPOINT, 0, [2, 0])));
    const { instances, iommuOf, machine } = detect(tree, { acpi });
    expect(iommuOf('isa')).toBeUndefined();
    expect(instances[0]?.whyNotCovered?.(machine.get('isa'))).toMatch(/no DMAR unit names it/);
  });

  test('a unit none of whose devices are there is ignored', () => {
    const { instances } = detect(tree, { acpi: dmar(drhd(A, 1), drhd(B, 0, scope(ENDPOINT, 0, [9, 0]))) });
    expect(instances.map(({ name }) => name)).toEqual(['dmar0']);
  });

  test('igfx_off: a unit for graphics only is ignored and its devices are not translated', () => {
    const acpi = dmar(drhd(A, 0, scope(ENDPOINT, 0, [2, 0])), drhd(B, 1));
    const off = detect(tree, { acpi, commandLine: 'intel_iommu=on,igfx_off' });
    expect(off.instances.map(({ name }) => name)).toEqual(['dmar1']);
    expect(off.iommuOf('gpu')).toBeUndefined();
    expect(off.instances[0]?.whyNotCovered?.(off.machine.get('gpu'))).toMatch(/graphics only/);
    expect(detect(tree, { acpi }).iommuOf('gpu')).toBe('dmar0');
  });

  test('graphics that does not work translated switches igfx_off on by itself', () => {
    const q35 = [integrated('2.0', { name: 'gpu', class: 0x030000, vendor: 0x8086, device: 0x29b2 })];
    const acpi = dmar(drhd(A, 0, scope(ENDPOINT, 0, [2, 0])), drhd(B, 1));
    expect(detect(q35, { acpi }).iommuOf('gpu')).toBeUndefined();
  });

  test('one step from a bus that is no root bus means the function there', () => {
    const acpi = dmar(drhd(A, 1), drhd(B, 0, scope(ENDPOINT, 1, [0, 0])));
    expect(detect(tree, { acpi }).iommuOf('nic')).toBe('dmar1');
  });

  test('a function of another kind than its scope says: the kernel leaves VT-d off', () => {
    const acpi = dmar(drhd(A, 0, scope(ENDPOINT, 0, [0x1c, 0])));
    const { instances, notes } = detect(tree, { acpi });
    expect(instances).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(/another kind of device/)]);
  });

  test('a device that arrives later is found by the scope that names it', () => {
    const acpi = dmar(
      drhd(A, 1),
      drhd(B, 0, scope(ENDPOINT, 0, [3, 0]), 0),
      drhd(C, 0, scope(ENDPOINT, 0, [2, 0])),
    );
    const { machine, instances } = detect(tree, { acpi });
    const late = machine.topology.add({ address: '0000:01:04.0', facts: plainFacts(0), physfn: null });
    expect(instances.find((instance) => instance.covers(late))?.name).toBe('dmar0');
  });

  test('devices behind a VMD endpoint are looked up by it, whatever their domain', () => {
    const below = 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0';
    const topology = PciTopology.build([
      {
        address: '0000:00:0e.0',
        path: 'pci0000:00/0000:00:0e.0',
        facts: plainFacts(9),
        vendor: 0x8086,
        device: 0x467f,
        class: 0x010400,
        physfn: null,
      },
      { address: '10000:e0:06.0', path: below, facts: plainFacts(9), class: 0x060400, physfn: null },
    ]);
    const machine: TestMachine = {
      topology,
      get: (name) => topology.find(name)!,
      nameOf: (device) => device.name,
    };
    const acpi = dmar(drhd(A, 0, scope(ENDPOINT, 0, [0xe, 0])));
    expect(detect(machine, { acpi }).iommuOf('10000:e0:06.0')).toBe('dmar0');
  });

  test('a link to an IOMMU of another kind takes a device out of the table', () => {
    const detection = detect(tree, {
      acpi: dmar(drhd(A, 1)),
      iommus: [{ name: 'dmar0' }, { name: 'fakeiommu0' }],
      recorded: { '0000:00:1f.0': { iommu: 'fakeiommu0' } },
    });
    expect(detection.iommuOf('isa')).toBe('fakeiommu0');
    expect(detection.iommuOf('nic')).toBe('dmar0');
  });
});

describe('grouping.md 9: reserved regions', () => {
  const tree = [
    integrated('2.0', { name: 'gpu', class: 0x030000 }),
    integrated('14.0', { name: 'usb', class: 0x0c0330 }),
    integrated('16.0', { name: 'me', class: 0x078000 }),
    rootPort('1c.0', { name: 'port' }, [endpoint('0.0', { name: 'raid', class: 0x010400 })]),
    card('1f.0', { name: 'isa', class: 0x060100 }),
  ];
  const { regions } = detect(tree, {
    acpi: dmar(
      drhd(A, 1),
      rmrr(0x7b800000n, 0x7fffffffn, scope(ENDPOINT, 0, [2, 0])),
      rmrr(0x79e11000n, 0x79e30fffn, scope(ENDPOINT, 0, [0x14, 0])),
      rmrr(0x5000000n, 0x5000fffn, [...scope(ENDPOINT, 0, [0x16, 0]), ...scope(BRIDGE, 0, [0x1c, 0])]),
    ),
  });

  test('RMRR: relaxable for USB and display, direct for others and for what is below a bridge it names', () => {
    expect(regions('gpu')).toBe(`0x000000007b800000 0x000000007fffffff direct-relaxable\n${MSI}`);
    expect(regions('usb')).toBe(`0x0000000079e11000 0x0000000079e30fff direct-relaxable\n${MSI}`);
    expect(regions('me')).toBe(`0x0000000005000000 0x0000000005000fff direct\n${MSI}`);
    expect(regions('raid')).toBe(regions('me'));
  });

  test('a bridge stands for its bus numbers, whatever the segment: the driver compares nothing else', () => {
    const port = rootPort('1c.0', {}, [endpoint('0.0', { class: 0x010400 })]);
    const { functions } = functionsOf([port]);
    const elsewhere = functionsOf([port], 1).functions;
    const topology = PciTopology.build([...functions, ...elsewhere]);
    const machine = {
      topology,
      get: (name: string) => topology.find(name)!,
      nameOf: ({ name }: Device) => name,
    };
    const acpi = dmar(
      drhd(A, 1),
      drhd(0xfed92000n, 1, [], 1),
      rmrr(0x5000000n, 0x5000fffn, scope(BRIDGE, 0, [0x1c, 0])),
    );
    const { regions, iommuOf } = detect(machine, { acpi });
    expect([iommuOf('0000:01:00.0'), iommuOf('0001:01:00.0')]).toEqual(['dmar0', 'dmar1']);
    expect(regions('0001:01:00.0')).toBe(regions('0000:01:00.0'));
    expect(regions('0001:01:00.0')).toContain('direct\n');
    expect(regions('0001:00:1c.0')).toBe(MSI);
  });

  test('ISA bridge: the first 16 MiB', () => {
    expect(regions('isa')).toBe(`0x0000000000000000 0x0000000000ffffff direct-relaxable\n${MSI}`);
  });
});

describe('types', () => {
  const tree = [integrated('2.0', { name: 'gpu', class: 0x030000, vendor: 0x8086 })];
  const acpi = dmar(drhd(A, 1));
  const withRegisters = (registers: Record<string, string>) => ({
    acpi,
    iommus: [{ name: 'dmar0', registers }],
  });

  test('caching mode of the recorded register forces strict', () => {
    expect(detect(tree, withRegisters({ cap: 'd2008c222f0686' })).instances[0]?.forcesStrict).toBe(true);
    expect(detect(tree, withRegisters({ cap: 'd2008c222f0606' })).instances[0]?.forcesStrict).toBe(false);
  });

  describe('caching mode does not matter where DMA is translated by first-level tables', () => {
    const [SMTS, SLTS, FLTS] = [1n << 43n, 1n << 46n, 1n << 47n];
    const caching = (ecap: bigint | undefined, words: string, groupType?: string) => {
      const registers = {
        cap: 'd2008c222f0686',
        ...(ecap !== undefined && { ecap: (0xf00f5an | ecap).toString(16) }),
      };
      const known = groupType === undefined ? {} : { recorded: { '0000:00:02.0': { group: 0, groupType } } };
      const facts = { ...withRegisters(registers), ...known, commandLine: `intel_iommu=on${words}` };
      return detect(tree, facts).instances[0]?.forcesStrict;
    };

    test('scalable mode on and supported: both levels or the first alone', () => {
      expect(caching(SMTS | SLTS | FLTS, ',sm_on')).toBe(false);
      expect(caching(SMTS | FLTS, ',sm_on')).toBe(false);
      expect(caching(SMTS | SLTS, ',sm_on')).toBe(true);
      expect(caching(SLTS | FLTS, ',sm_on')).toBe(true);
      expect(caching(SMTS | SLTS | FLTS, ',sm_off')).toBe(true);
    });

    test('how the kernel was built is not known: the types of groups tell, else it is taken as strict', () => {
      expect(caching(SMTS | SLTS | FLTS, '', 'DMA-FQ')).toBe(false);
      expect(caching(SMTS | SLTS | FLTS, '', 'DMA')).toBe(true);
      expect(caching(SMTS | SLTS | FLTS, '')).toBe(true);
      expect(caching(undefined, ',sm_on', 'DMA-FQ')).toBe(false);
      expect(caching(undefined, ',sm_off', 'DMA-FQ')).toBe(true);
      expect(caching(0n, '', 'DMA-FQ')).toBe(true);
    });
  });

  test('machine vfio: without the register, groups that are all DMA tell', () => {
    const facts = {
      acpi,
      iommus: [{ name: 'dmar0' }],
      recorded: { '0000:00:02.0': { group: 0, groupType: 'DMA' } },
    };
    expect(detect(tree, facts).instances[0]?.forcesStrict).toBe(true);
    expect(detect(tree, { ...facts, commandLine: 'iommu.strict=1' }).instances[0]?.forcesStrict).toBe(false);
  });

  test('hardware without pass-through: DMA; intgpu_off: integrated graphics bypasses', () => {
    const { instances, machine } = detect(tree, withRegisters({ ecap: 'f00f1a' }));
    expect(instances[0]?.driver.defDomainType?.(machine.get('gpu'))).toBe(DomainType.Dma);
    const bypass = detect(tree, {
      ...withRegisters({ ecap: 'f00f5a' }),
      commandLine: 'intel_iommu=on,intgpu_off',
    });
    expect(bypass.instances[0]?.driver.defDomainType?.(bypass.machine.get('gpu'))).toBe(DomainType.Identity);
  });
});

describe('on or off', () => {
  const tree = [integrated('2.0', { name: 'gpu' })];
  const acpi = dmar(drhd(A, 1));

  test('a table alone does not switch VT-d on, the command line or a recorded unit does', () => {
    expect(detect(tree, { acpi, commandLine: '' }).instances).toEqual([]);
    expect(detect(tree, { acpi, commandLine: '', iommus: [{ name: 'dmar0' }] }).instances).toHaveLength(1);
    expect(detect(tree, { acpi, commandLine: 'intel_iommu=off' }).instances).toEqual([]);
    expect(detect(tree, { acpi, iommus: [] }).instances).toEqual([]);
    expect(detect(tree, { acpi, iommus: [], assumeOn: true }).instances).toHaveLength(1);
  });

  test('a table the kernel refuses: no IOMMU', () => {
    const bad = dmar(drhd(0n, 1));
    const { instances, notes } = detect(tree, { acpi: bad });
    expect(instances).toEqual([]);
    expect(notes.join()).toMatch(/address 0/);
  });
});

test('machine pxb: the order in which DMAR names root buses is that of the scan', () => {
  expect(rootBusOrder({ DMAR: recorded.pxb })).toEqual(['0000:00', '0000:80', '0000:40']);
  expect(rootBusOrder({})).toEqual([]);
  expect(rootBusOrder({ DMAR: '00' })).toEqual([]);
});
