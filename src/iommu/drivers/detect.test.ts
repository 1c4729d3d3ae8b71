import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bus } from '../../device/bus.ts';
import { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { DomainType } from '../domain.ts';
import { bytesOfHex } from '../firmware/acpi-table.ts';
import { hex, recorded as tables } from '../firmware/testing.ts';
import { card, endpoint, integrated, pciBridge, rootPort } from '../grouping/testing.ts';
import { detect } from './testing.ts';

const bus = new Bus({ name: 'pci' });

describe('virtio-iommu (grouping.md 13)', () => {
  const tree = [
    integrated('0.0', { name: 'host' }),
    integrated('1.0', { name: 'iommu' }),
    rootPort('3.0', { name: 'port' }, [endpoint('0.0', { name: 'nic' })]),
    rootPort('4.0', { name: 'port2' }, [
      pciBridge('0.0', { name: 'bridge' }, [card('1.0', { name: 'card' })]),
    ]),
  ];
  const iommus = [
    { name: '0000:00:01.0', path: '../../devices/pci0000:00/0000:00:01.0/virtio0/iommu/0000:00:01.0' },
  ];

  test('coverage is what was linked, the order of probing that of group numbers', () => {
    const link = (group: number) => ({ iommu: '0000:00:01.0', group });
    const { instances, machine, iommuOf } = detect(tree, {
      acpi: { VIOT: tables.virtio },
      iommus,
      recorded: {
        '0000:00:03.0': link(0),
        '0000:01:00.0': link(1),
        '0000:00:00.0': link(7),
        '0000:00:04.0': link(1),
      },
    });
    expect(['host', 'iommu', 'nic', 'card', 'bridge'].map(iommuOf)).toEqual([
      '0000:00:01.0',
      undefined,
      '0000:00:01.0',
      undefined,
      undefined,
    ]);
    const order = [...instances[0]!.probeOrder!(bus, machine.topology.devices)].map((d) => machine.nameOf(d));
    expect(order).toEqual(['port', 'port2', 'nic', 'host']);
    expect(instances[0]?.whyNotCovered?.(machine.get('card'))).toMatch(/no driver had probed it/);
  });

  test('without a recording VIOT decides, and the IOMMU does not translate itself', () => {
    const { iommuOf } = detect(tree, { acpi: { VIOT: tables.virtio } });
    expect(['host', 'iommu', 'card'].map(iommuOf)).toEqual(['0000:00:01.0', undefined, '0000:00:01.0']);
  });

  test('the interrupt window is fixed on x86 and mapped by software elsewhere', () => {
    const acpi = { VIOT: tables.virtio };
    expect(detect(tree, { acpi }).regions('nic')).toBe('0x00000000fee00000 0x00000000feefffff msi\n');
    expect(detect(tree, { acpi, arch: 'aarch64' }).regions('nic')).toBe(
      '0x0000000008000000 0x00000000080fffff msi\n',
    );
  });
});

describe('Arm SMMU', () => {
  const tree = [
    endpoint('1.0', { name: 'a' }),
    endpoint('2.0', { name: 'b' }),
    endpoint('3.0', { name: 'c' }),
  ];

  test('links decide; reserved is the window for software-mapped interrupts', () => {
    const { iommuOf, regions } = detect(tree, {
      arch: 'aarch64',
      iommus: [{ name: 'smmu3.0x0000000009050000' }, { name: 'smmu3.0x0000000009060000' }],
      recorded: {
        '0000:00:01.0': { iommu: 'smmu3.0x0000000009060000' },
        '0000:00:02.0': { iommu: 'smmu3.0x0000000009050000' },
        '0000:00:03.0': { iommu: null },
      },
    });
    expect(['a', 'b', 'c'].map(iommuOf)).toEqual([
      'smmu3.0x0000000009060000',
      'smmu3.0x0000000009050000',
      undefined,
    ]);
    expect(regions('a')).toBe('0x0000000008000000 0x00000000080fffff msi\n');
  });

  test('grouping.md 1: v1/v2 share a group by stream; two groups at once are EINVAL', () => {
    const name = 'smmu.0x0000000005000000';
    const { instances, machine } = detect(tree, {
      iommus: [{ name }],
      recorded: {
        '0000:00:01.0': { iommu: name, streamIds: [1] },
        '0000:00:02.0': { iommu: name, streamIds: [2] },
        '0000:00:03.0': { iommu: name, streamIds: [2, 1] },
      },
    });
    const groups = new Map<Device, number>();
    const groupFor = (device: Device) => {
      const policy = instances[0]!.driver.groupingPolicy(device);
      return policy.deviceGroup(device, (other) => groups.get(other));
    };
    const [a, b, c] = [machine.get('a'), machine.get('b'), machine.get('c')];
    expect(groupFor(a).group).toBeUndefined();
    groups.set(a, 0);
    expect(groupFor(b).group).toBeUndefined();
    expect(groupFor(c)).toMatchObject({
      group: 0,
      reason: { joined: { through: '0000:00:01.0', step: 'firmware' } },
    });
    groups.set(b, 1);
    expect(() => groupFor(c)).toThrow(KernelError);
  });
});

describe('hardware nobody described', () => {
  const tree = [integrated('0.2', { name: 'amd', class: 0x080600 }), integrated('2.0', { name: 'a' })];

  test('no table and nothing recorded: everything but an AMD IOMMU function', () => {
    const { iommuOf } = detect(tree);
    expect([iommuOf('amd'), iommuOf('a')]).toEqual([undefined, 'iommu']);
  });

  test('groups known: what has one', () => {
    const { iommuOf } = detect(tree, { recorded: { '0000:00:00.2': { group: 3 } } });
    expect([iommuOf('amd'), iommuOf('a')]).toEqual(['iommu', undefined]);
  });

  test('no IOMMU in use: none, unless it is asked what would be', () => {
    expect(detect(tree, { iommus: [] }).instances).toEqual([]);
    expect(detect(tree, { commandLine: 'iommu=off' }).instances).toEqual([]);
    expect(detect(tree, { iommus: [], assumeOn: true }).instances).toHaveLength(1);
  });

  test('several units without a table: who has the lowest group numbers is registered first', () => {
    const { instances, notes } = detect(tree, {
      iommus: [{ name: 'dmar10' }, { name: 'dmar2' }, { name: 'dmar3' }],
      recorded: {
        '0000:00:02.0': { iommu: 'dmar3', group: 0, groupType: 'DMA' },
        '0000:00:00.2': { iommu: 'dmar10', group: 1, groupType: 'DMA-FQ' },
      },
    });
    expect(instances.map(({ name }) => name)).toEqual(['dmar3', 'dmar10', 'dmar2']);
    expect(notes).toEqual([expect.stringMatching(/^dmar3: taken to flush strictly/)]);
  });

  test('an unknown name: its links, and the types that came of it', () => {
    const { iommuOf, instances, machine } = detect(tree, {
      iommus: [{ name: 'fakeiommu0' }],
      recorded: { '0000:00:02.0': { iommu: 'fakeiommu0', group: 0, groupType: 'identity' } },
    });
    expect([iommuOf('amd'), iommuOf('a')]).toEqual([undefined, 'fakeiommu0']);
    expect(instances[0]?.driver.defDomainType?.(machine.get('a'))).toBe(DomainType.Identity);
  });
});

describe('what every driver offers the core', () => {
  const tree = [integrated('2.0', { name: 'a' })];
  const kinds = {
    intel: { acpi: { DMAR: tables.rootPorts } },
    amd: { acpi: { IVRS: tables.amd } },
    virtio: { acpi: { VIOT: tables.virtio } },
    smmu: { iommus: [{ name: 'smmu3.0x1' }] },
    generic: {},
  };

  test.each(Object.entries(kinds))('%s: domains of every type it needs', (_kind, facts) => {
    const [instance] = detect(tree, {
      ...facts,
      ...('acpi' in facts && 'DMAR' in facts.acpi ? ON : {}),
    }).instances;
    const driver = instance!.driver;
    const dma = driver.domainAlloc!(DomainType.Dma);
    expect(dma.type).toBe(DomainType.Dma);
    dma.pageSizes = driver.pageSizes;
    dma.map(0n, 0x1000n, 0x1000n, 3);
    expect(dma.iovaToPhys(0x10n)).toBe(0x1010n);
    const identity = driver.identityDomain ?? driver.domainAlloc!(DomainType.Identity);
    expect(identity.type).toBe(DomainType.Identity);
    expect(() => driver.domainAlloc!(DomainType.Nested)).toThrow(/EOPNOTSUPP/);
    expect(driver.capable?.(new Device({ name: 'x' }), 'deferred-flush')).toBe(true);
  });
});

const ON = { assumeOn: true };

test('tables of any bytes: detection ends, with notes instead of an error', () => {
  const tree = [integrated('2.0', { name: 'a' }), rootPort('1.0', {}, [endpoint('0.0')])];
  const samples = { DMAR: tables.rootPorts, IVRS: tables.amd, VIOT: tables.virtio };
  for (const [name, text] of Object.entries(samples)) {
    const real = bytesOfHex(name, text);
    const mutated = fc
      .tuple(fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(real.length))
      .map(([changes, length]) => {
        const bytes = real.slice();
        for (const [at, value] of changes) bytes[at] = value;
        return hex(bytes.subarray(0, length));
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ maxLength: 80 })), (bytes) => {
        const { instances, machine } = detect(tree, { acpi: { [name]: bytes } });
        for (const device of machine.topology.devices) for (const unit of instances) unit.covers(device);
      }),
    );
  }
});
