import { describe, expect, test } from 'vitest';
import type { PosixCapability } from './context.ts';
import { DomainType } from './domain.ts';
import { MockDriver, MockIommu, type MockOptions } from './drivers/mock.ts';
import type { IommuOptions } from './iommu.ts';
import { RegionType } from './reserved-region.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

const { Dma, DmaFq, Identity, Platform } = DomainType;

function pair(options: MockOptions = {}, iommuOptions: Partial<IommuOptions> = {}) {
  const bench = new Bench({ defaultType: Dma, ...iommuOptions });
  const devices = bench.devices('Ga', 'Gb');
  const driver = new MockDriver({ policy: byInitial, ...options });
  bench.iommu.registerDevice(new MockIommu({ driver }));
  const group = bench.iommu.groupOf(devices[0]!)!;
  const type = () => bench.sysfs.read('/kernel/iommu_groups/0/type').trim();
  const write = (text: string) => answerOf(() => bench.sysfs.write('/kernel/iommu_groups/0/type', text));
  return { bench, devices, driver, group, type, write };
}

describe('groups-core.md 5: the default domain of a new group', () => {
  test.each([
    ['DMA', Dma, {}],
    ['DMA-FQ', DmaFq, {}],
    ['DMA', DmaFq, { capabilities: [] }],
    ['identity', Identity, {}],
    ['identity', Dma, { defDomainType: () => Identity }],
    ['DMA', Identity, { statics: { identity: false } }],
    ['unknown', Dma, { defaultDomain: Platform }],
    ['blocked', Dma, { defaultDomain: DomainType.Blocked }],
  ] as [string, DomainType, MockOptions][])(
    '%s where the global default is %d, %j',
    (expected, defaultType, options) => {
      const { type, group } = pair(options, { defaultType });
      expect(type()).toBe(expected);
      expect(group.domain).toBe(group.defaultDomain);
    },
  );

  test('falling back to DMA warns; DMA itself failing is EINVAL and the IOMMU is not registered', () => {
    const { bench } = pair({ statics: { identity: false } }, { defaultType: Identity });
    expect(bench.iommu.messages.warnings).toMatchObject([{ object: 'group 0', level: 'warn' }]);
    const failing = new Bench({ defaultType: Dma });
    failing.device('a');
    const driver = new MockDriver();
    driver.faults.failAt(2);
    expect(answerOf(() => failing.iommu.registerDevice(new MockIommu({ driver })))).toBe('EINVAL');
    expect(failing.iommu.groups.size).toBe(0);
    expect(failing.iommu.instances).toEqual([]);
    failing.tracker.assertNone();
  });

  test('the queue of DMA-FQ cannot be set up: DMA, quietly', () => {
    const bench = new Bench();
    bench.device('a');
    const driver = new MockDriver();
    driver.faults.failAt(4); // probe, alloc, attach, queue
    bench.iommu.registerDevice(new MockIommu({ driver }));
    expect(driver.faults.fired).toBe('flush queue');
    expect(bench.sysfs.read('/kernel/iommu_groups/0/type')).toBe('DMA\n');
  });

  test('iommu_set_dma_strict makes DMA the default', () => {
    const bench = new Bench();
    bench.iommu.setDmaStrict();
    bench.device('a');
    bench.iommu.registerDevice(new MockIommu());
    expect(bench.sysfs.read('/kernel/iommu_groups/0/type')).toBe('DMA\n');
  });

  test('contradicting wishes are logged as the driver error they are', () => {
    const { bench, type } = pair({ defDomainType: (d) => (d.name === 'Ga' ? Dma : Identity) });
    expect(type()).toBe('identity');
    expect(bench.iommu.messages.warnings).toMatchObject([{ level: 'err', object: 'group 0' }]);
  });
});

describe('groups-core.md 6: writing type', () => {
  test('needs both capabilities, before anything is looked at', () => {
    for (const lacking of ['CAP_SYS_ADMIN', 'CAP_SYS_RAWIO'] as PosixCapability[]) {
      const { write } = pair({}, { capable: (capability) => capability !== lacking });
      expect(write('nonsense')).toBe('EACCES');
      expect(write('identity')).toBe('EACCES');
    }
  });

  test('words: exact case, one newline tolerated, anything else EINVAL', () => {
    const { write, type } = pair();
    for (const word of [
      'dma',
      'Identity',
      'DMA-fq',
      '',
      '\n',
      ' DMA',
      'DMA\n\n',
      'unmanaged',
      'blocked',
      'unknown',
    ]) {
      expect([word, write(word)]).toEqual([word, 'EINVAL']);
    }
    expect(write('identity\n')).toBe('ok');
    expect(type()).toBe('identity');
  });

  test('no default domain: EINVAL', () => {
    const bench = new Bench();
    using _ = bench.iommu.groupAlloc();
    expect(answerOf(() => bench.sysfs.write('/kernel/iommu_groups/0/type', 'DMA'))).toBe('EINVAL');
  });

  const WORDS = ['DMA', 'DMA-FQ', 'identity', 'auto'];
  const starts = [
    ['DMA', Dma],
    ['DMA-FQ', DmaFq],
    ['identity', Identity],
  ] as const;

  test.each(starts.flatMap(([from, type]) => WORDS.map((to) => [from, to, type] as const)))(
    'free: %s → %s is allowed; who has another type is attached to a new default, who has it keeps the old',
    (from, to, defaultType) => {
      const { write, type, group, driver, devices } = pair({}, { defaultType });
      expect(type()).toBe(from);
      const before = group.defaultDomain;
      const same = to === from || to === 'auto';
      if (same) driver.faults.failAt(1);
      expect(write(to)).toBe('ok');
      if (same) expect([driver.faults.taken, group.defaultDomain === before]).toEqual([0, true]);
      else if (to !== 'DMA-FQ' || from !== 'DMA') expect(group.defaultDomain).not.toBe(before);
      expect(type()).toBe(to === 'auto' ? from : to);
      for (const device of devices) expect(driver.attached.get(device)).toBe(group.defaultDomain);
      expect(group.domain).toBe(group.defaultDomain);
      expect(driver.live.size).toBe(type() === 'identity' ? 0 : 1);
    },
  );

  test.each(starts.flatMap(([from, type]) => WORDS.map((to) => [from, to, type] as const)))(
    'in use: %s → %s is EPERM unless DMA becomes DMA-FQ',
    (from, to, defaultType) => {
      const { write, type, bench, group } = pair({}, { defaultType });
      bench.core.registerDriver({ name: 'nic', bus: bench.bus });
      expect(group.ownerCount).toBe(2);
      const allowed = from === 'DMA' && to === 'DMA-FQ';
      expect(write(to)).toBe(allowed ? 'ok' : 'EPERM');
      expect(type()).toBe(allowed ? 'DMA-FQ' : from);
    },
  );

  test('EPERM says who uses the group', () => {
    const { bench, group } = pair();
    bench.core.registerDriver({ name: 'nic', bus: bench.bus });
    expect(() => group.storeType('identity')).toThrow('group 0: is in use by Ga (nic), Gb (nic)');
  });

  test('claimed: EPERM; empty: EPERM', () => {
    const { bench, devices, group, write } = pair();
    group.claimDmaOwner('vfio');
    expect(write('identity')).toBe('EPERM');
    expect(write('DMA-FQ')).toBe('ok');
    group.releaseDmaOwner();
    using _ = group.get();
    const setDefault = group.defaultDomain;
    for (const device of devices) bench.core.deleteDevice(device);
    expect(setDefault?.freed).toBe(true);
    expect(write('identity')).toBe('EINVAL');
  });

  test('DMA → DMA-FQ is in place: same domain, no capability check, ENOMEM possible', () => {
    const { group, write, driver, type } = pair({ capabilities: [] });
    const domain = group.defaultDomain;
    driver.faults.failAt(1);
    expect(write('DMA-FQ')).toBe('ENOMEM');
    expect(type()).toBe('DMA');
    expect(write('DMA-FQ')).toBe('ok');
    expect([group.defaultDomain, type()]).toEqual([domain, 'DMA-FQ']);
  });

  test('what the driver or distrust does not allow is EINVAL', () => {
    const insists = pair({ defDomainType: () => Identity });
    expect([insists.write('DMA'), insists.write('identity'), insists.write('auto')]).toEqual([
      'EINVAL',
      'ok',
      'ok',
    ]);
    const external = pair({}, { untrusted: (device) => device.name === 'Gb' });
    expect(['identity', 'DMA', 'auto'].map(external.write)).toEqual(['EINVAL', 'ok', 'ok']);
    external.group.defaultDomain!.type = DmaFq;
    expect(external.write('DMA-FQ')).toBe('EINVAL');
    const fixed = pair({ defaultDomain: Platform });
    expect(['identity', 'DMA', 'auto'].map(fixed.write)).toEqual(['EINVAL', 'EINVAL', 'ok']);
  });

  test('auto where the preferred type cannot be made, and DMA is in place: stays, with another warning', () => {
    const { write, group, driver, bench } = pair({ statics: { identity: false } }, { defaultType: Identity });
    const before = group.defaultDomain;
    const steps = driver.live.size;
    expect(bench.iommu.messages.warnings).toHaveLength(1);
    expect(write('auto')).toBe('ok');
    expect([group.defaultDomain, driver.live.size]).toEqual([before, steps]);
    expect(bench.iommu.messages.warnings).toHaveLength(2);
  });

  test('direct regions are mapped in the new domain', () => {
    const { write, group } = pair(
      { resvRegions: () => [{ start: 0x4000n, last: 0x4fffn, type: RegionType.DirectRelaxable }] },
      { defaultType: Identity },
    );
    expect(write('DMA')).toBe('ok');
    expect(group.defaultDomain!.iovaToPhys(0x4123n)).toBe(0x4123n);
    expect(group.defaultDomain!.iovaToPhys(0x5000n)).toBeUndefined();
  });

  test('a mapping that fails before attach is tried again after it; failing twice restores the old default', () => {
    const region = { start: 0x4000n, last: 0x4fffn, type: RegionType.Direct };
    const { write, group, driver, devices } = pair({ resvRegions: (d) => (d.name === 'Ga' ? [region] : []) });
    expect(write('identity')).toBe('ok');
    driver.faults.failAt(2);
    expect(write('DMA')).toBe('ok');
    expect(driver.faults.fired).toBe('map');
    expect(group.defaultDomain!.iovaToPhys(0x4000n)).toBe(0x4000n);

    expect(write('identity')).toBe('ok');
    const before = group.defaultDomain;
    driver.faults.failEvery('map');
    expect(write('DMA')).toBe('ENOMEM');
    expect([group.defaultDomain, group.domain]).toEqual([before, before]);
    for (const device of devices) expect(driver.attached.get(device)).toBe(before);
    expect([...driver.live]).toEqual([]);
  });
});
