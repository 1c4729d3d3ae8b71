import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomainType } from '../domain.ts';
import { parseIvrs, unitsOfIvrs } from '../firmware/ivrs.ts';
import { hex, ivhd, ivhdEntry, ivmd, ivrsTable, le16 } from '../firmware/testing.ts';
import { endpoint, form, integrated, rootPort } from '../grouping/testing.ts';
import { answerOf } from '../testing.ts';
import { ivrsAliasTable } from './amdvi.ts';
import { SegmentIds } from './amdvi-ids.ts';
import { detect, type TestFacts } from './testing.ts';

const IOMMU = integrated('0.2', { name: 'iommu', class: 0x080600 });
const ivrs = (...blocks: number[][]) => ({ IVRS: hex(ivrsTable(...blocks)) });
const MSI = '0x00000000fee00000 0x00000000feefffff msi\n';
const HT = '0x000000fd00000000 0x000000ffffffffff reserved\n';

describe('grouping.md 9: coverage', () => {
  const tree = [
    integrated('0.0', { name: 'host', class: 0x060000 }),
    IOMMU,
    rootPort('1.1', { name: 'port', acs: 'full' }, [endpoint('0.0', { name: 'nic' })]),
    integrated('14.0', { name: 'smbus' }),
  ];

  test('ids outside the table, and the IOMMU itself, are not translated', () => {
    const { iommuOf, instances, machine } = detect(tree, {
      acpi: ivrs(ivhd([...ivhdEntry.range(0x2, 0xffff), ...ivhdEntry.select(0x10)])),
    });
    expect(['host', 'iommu', 'port', 'nic', 'smbus'].map(iommuOf)).toEqual([
      undefined,
      undefined,
      'ivhd0',
      'ivhd0',
      'ivhd0',
    ]);
    expect(instances[0]?.device).toBe(machine.get('iommu'));
    expect(instances[0]?.whyNotCovered?.(machine.get('host'))).toMatch(/does not list/);
    expect(instances[0]?.whyNotCovered?.(machine.get('iommu'))).toMatch(/itself/);
  });

  test('ids above the highest one that counts are not looked at', () => {
    // The start of a range does not count, so an open range beyond the last id covers nothing.
    const acpi = ivrs(ivhd([...ivhdEntry.select(0x09), 3, ...le16(0xa0), 0]));
    expect(detect(tree, { acpi }).iommuOf('port')).toBe('ivhd0');
    expect(detect(tree, { acpi }).iommuOf('smbus')).toBeUndefined();
  });

  test('units in IVRS order, each with its own ids', () => {
    const acpi = ivrs(ivhd(ivhdEntry.range(0, 0xff)), ivhd(ivhdEntry.range(0x100, 0x1ff), { id: 0x102 }));
    const { instances, iommuOf } = detect(tree, { acpi });
    expect(instances.map(({ name }) => name)).toEqual(['ivhd0', 'ivhd1']);
    expect([iommuOf('host'), iommuOf('nic')]).toEqual(['ivhd0', 'ivhd1']);
  });

  test('a table with a wrong checksum is refused', () => {
    const bytes = ivrsTable(ivhd(ivhdEntry.all));
    bytes[10] = 1;
    const { instances, notes } = detect(tree, { acpi: { IVRS: hex(bytes) } });
    expect(instances).toEqual([]);
    expect(notes.join()).toMatch(/wrong checksum/);
  });

  test('amd_iommu=off and iommu=off', () => {
    const acpi = ivrs(ivhd(ivhdEntry.all));
    expect(detect(tree, { acpi, commandLine: 'amd_iommu=off' }).instances).toEqual([]);
    expect(detect(tree, { acpi, commandLine: 'iommu=off' }).instances).toEqual([]);
    expect(detect(tree, { acpi, commandLine: '' }).instances).toHaveLength(1);
  });
});

describe('grouping.md 6: IVRS aliases', () => {
  const run = (entries: number[]) => {
    const detection = detect(
      [
        IOMMU,
        integrated('2.0', { name: 'a' }),
        integrated('3.0', { name: 'b' }),
        rootPort('4.0', { name: 'port', acs: 'full' }, [endpoint('0.0', { name: 'c' })]),
      ],
      { acpi: ivrs(ivhd([...ivhdEntry.range(0, 0xffff), ...entries])) },
    );
    const [unit] = detection.instances;
    const covered = detection.machine.topology.devices.filter((device) => unit!.covers(device));
    for (const device of covered) unit!.driver.probeDevice?.(device, unit!);
    return form(detection.machine, { order: covered }).groups;
  };

  test('on the same bus they join groups', () => {
    expect(run(ivhdEntry.alias(0x18, 0x10))).toEqual([['a', 'b'], ['port'], ['c']]);
  });

  test('across buses they do not', () => {
    expect(run(ivhdEntry.alias(0x100, 0x10))).toEqual([['a'], ['b'], ['port'], ['c']]);
  });

  test('an id that a probed device also uses is translated from then on', () => {
    const MARVELL = { vendor: 0x1b4b, device: 0x9230 };
    const { machine, instances } = detect(
      [integrated('2.0', { name: 'f0', ...MARVELL }), integrated('2.1', { name: 'f1' })],
      {
        acpi: ivrs(ivhd([...ivhdEntry.select(0x10), ...ivhdEntry.select(0xff)])),
      },
    );
    const [unit] = instances;
    expect(unit?.covers(machine.get('f1'))).toBe(false);
    unit?.driver.probeDevice?.(machine.get('f0'), unit);
    expect(unit?.covers(machine.get('f1'))).toBe(true);
  });

  test('the alias table of the 2012 policy is the same', () => {
    const table = ivrsAliasTable(
      ivrs(ivhd([...ivhdEntry.range(0, 0xffff), ...ivhdEntry.aliasRange(0x700, 0x7ff, 0x600)])),
    );
    expect(table?.(0, 0x712)).toBe(0x600);
    expect(table?.(0, 0x812)).toBe(0x812);
    expect(ivrsAliasTable({})).toBeUndefined();
  });
});

describe('regions and types', () => {
  const tree = [
    IOMMU,
    integrated('2.0', { name: 'a' }),
    integrated('3.0', { name: 'b', facts: { pasid: { bits: 16 } } }),
  ];

  test('unity maps are direct, in whole pages; every device has the MSI and the HyperTransport window', () => {
    const acpi = ivrs(ivhd(ivhdEntry.all), ivmd(0x21, 7, 0x10, 0, 0x1000n, 0x1800n));
    expect(detect(tree, { acpi }).regions('a')).toBe(
      `0x0000000000001000 0x0000000000002fff direct\n${MSI}${HT}`,
    );
    expect(detect(tree, { acpi }).regions('b')).toBe(`${MSI}${HT}`);
  });

  test('exclusion ranges are mapped as well, since 6.12 treats them as unity maps', () => {
    const acpi = ivrs(ivhd(ivhdEntry.all), ivmd(0x22, 8, 0x10, 0x17, 0x4000n, 0x1000n));
    expect(detect(tree, { acpi }).regions('a')).toBe(
      `0x0000000000004000 0x0000000000004fff direct\n${MSI}${HT}`,
    );
    expect(detect(tree, { acpi }).regions('b')).toBe(`${MSI}${HT}`);
  });

  test('machine amd: NpCache of the capability header forces strict', () => {
    const withCapability = (iommuCapability: number) =>
      detect([integrated('0.2', { class: 0x080600, facts: { iommuCapability } })], {
        acpi: ivrs(ivhd(ivhdEntry.all)),
      });
    expect(withCapability(0x1f03000f).instances[0]?.forcesStrict).toBe(true);
    expect(withCapability(0x190b640f).instances[0]?.forcesStrict).toBe(false);
  });

  describe('iommufd.md 4: domains of user processes', () => {
    const HDSUP = 1n << 52n;
    const driverOf = (features: bigint) => {
      const acpi = ivrs(ivhd(ivhdEntry.all, { type: 0x11, id: 2, features }));
      const { instances, machine } = detect(tree, { acpi, commandLine: '' });
      return { driver: instances[0]!.driver, device: machine.get('a') };
    };

    test('dirty tracking where the feature register says so; no parents, no nested ones, no PASIDs', () => {
      const { driver, device } = driverOf(HDSUP);
      expect(driver.capable!(device, 'dirty-tracking')).toBe(true);
      expect(driver.domainAllocUser!(device, { dirtyTracking: true }).dirtyOps).toBeDefined();
      for (const flags of [{ nestParent: true }, { pasid: true }]) {
        expect(answerOf(() => driver.domainAllocUser!(device, flags))).toBe('EOPNOTSUPP');
      }
      const without = driverOf(0n);
      expect(without.driver.capable!(without.device, 'dirty-tracking')).toBe(false);
      const ask = () => without.driver.domainAllocUser!(without.device, { dirtyTracking: true });
      expect(answerOf(ask)).toBe('EOPNOTSUPP');
    });

    test('coherency is forced in every entry, so it can always be enforced', () => {
      const { driver, device } = driverOf(0n);
      const domain = driver.domainAllocUser!(device, {});
      domain.map(0n, 0n, 4096n, 1);
      expect(domain.ops.enforceCacheCoherency?.(domain)).toBe(true);
      expect(driver.capable!(device, 'enforce-cache-coherency')).toBe(true);
    });
  });

  describe('groups-core.md 5: PASID-capable devices get identity where the IOMMU can serve them', () => {
    const ABLE = 0x4_0000_0000_0012n;
    const extended = (...features: bigint[]) =>
      features.map((one, i) => ivhd(ivhdEntry.all, { type: 0x11, id: 2 + 0x100 * i, features: one }));
    const wish = (blocks: number[][], facts: TestFacts = {}) => {
      const acpi = ivrs(...blocks);
      const { instances, machine } = detect(tree, { acpi, commandLine: '', ...facts });
      return ['a', 'b'].map((name) => instances[0]?.driver.defDomainType?.(machine.get(name)));
    };
    const [passed, translated] = [
      [0, DomainType.Identity],
      [0, 0],
    ];
    const register = (features: string) => ({ iommus: [{ name: 'ivhd0', registers: { features } }] });

    test('GT, PPR and enhanced PPR handling, all of them', () => {
      expect(wish(extended(ABLE))).toEqual(passed);
      for (const missing of [0x2n, 0x10n, 1n << 50n])
        expect(wish(extended(ABLE & ~missing))).toEqual(translated);
      expect(wish(extended(ABLE), { commandLine: 'amd_iommu=force_isolation' })).toEqual(translated);
    });

    test('of all units, since the driver only uses what they share', () => {
      expect(wish(extended(ABLE, ABLE | 1n))).toEqual(passed);
      expect(wish(extended(ABLE, 0x12n))).toEqual(translated);
    });

    test('the register that was recorded counts before the table', () => {
      expect(wish(extended(ABLE), register('12:0'))).toEqual(translated);
      expect(wish(extended(0n), register('4000000000012:0'))).toEqual(passed);
    });

    test('copies that IVinfo does not vouch for, and tables without them, tell nothing', () => {
      const doubtful = ivrsTable(...extended(ABLE));
      doubtful[36] = 0;
      doubtful[9] = (doubtful[9]! + 1) & 0xff;
      expect(wish([], { acpi: { IVRS: hex(doubtful) } })).toEqual(translated);
      expect(wish([ivhd(ivhdEntry.all)])).toEqual(translated);
    });

    test('where nobody knows of PASIDs: DMA, with a note; no note where it does not matter', () => {
      const unknown = [IOMMU, integrated('2.0', { name: 'a', facts: { pasid: undefined } })];
      const run = (features: bigint) =>
        detect(unknown, { acpi: ivrs(...extended(features)), commandLine: '' });
      const { instances, machine, notes } = run(ABLE);
      expect(instances[0]?.driver.defDomainType?.(machine.get('a'))).toBe(0);
      expect(notes).toEqual([
        expect.stringMatching(/^AMD-Vi: whether 0000:00:02.0 can use PASIDs is not known/),
      ]);
      expect(run(0n).notes).toEqual([]);
    });
  });
});

describe('ids', () => {
  const entry = fc.oneof(
    fc.constant(ivhdEntry.all),
    fc.nat(0xffff).map(ivhdEntry.select),
    fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map(([a, b]) => ivhdEntry.range(a, b)),
    fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map(([a, b]) => ivhdEntry.alias(a, b)),
    fc
      .tuple(fc.nat(0xffff), fc.nat(0xffff), fc.nat(0xffff))
      .map(([a, b, c]) => ivhdEntry.aliasRange(a, b, c)),
  );

  test('painting from the end gives what entry after entry gives', () => {
    fc.assert(
      fc.property(fc.array(fc.array(entry, { maxLength: 6 }), { minLength: 1, maxLength: 3 }), (blocks) => {
        const units = unitsOfIvrs(
          parseIvrs(ivrsTable(...blocks.map((entries, i) => ivhd(entries.flat(), { id: 2 + 0x100 * i })))),
        );
        const ids = new SegmentIds(units, 0);
        const unitOf = new Map<number, number>();
        const aliasOf = new Map<number, number>();
        units.forEach((unit, index) => {
          let start = { id: 0, as: undefined as number | undefined };
          for (const e of unit.entries) {
            if (e.kind === 'all') for (let id = 0; id <= ids.lastId; id++) unitOf.set(id, index);
            else if (e.kind === 'select') unitOf.set(e.id, index);
            else if (e.kind === 'alias') {
              unitOf.set(e.id, index).set(e.as, index);
              aliasOf.set(e.id, e.as);
            } else if (e.kind === 'range-start') start = { id: e.id, as: undefined };
            else if (e.kind === 'alias-range-start') start = { id: e.id, as: e.as };
            else if (e.kind === 'range-end') {
              for (let id = start.id; id <= e.id; id++) {
                if (start.as !== undefined) {
                  aliasOf.set(id, start.as);
                  unitOf.set(start.as, index);
                }
                unitOf.set(id, index);
              }
            }
          }
        });
        for (const unit of units) unitOf.delete(unit.deviceId);
        for (let id = 0; id <= 0xffff; id++) {
          if (ids.unitOf(id) !== unitOf.get(id)) expect([id, ids.unitOf(id)]).toEqual([id, unitOf.get(id)]);
          if (ids.aliasOf(id) !== (aliasOf.get(id) ?? id))
            expect([id, ids.aliasOf(id)]).toEqual([id, aliasOf.get(id)]);
        }
      }),
      { numRuns: 30 },
    );
  });
});
