import { describe, expect, test } from 'vitest';
import { DomainType } from './domain.ts';
import { MockDriver, MockIommu } from './drivers/mock.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

/** `Ga` can use 8 PASIDs, `Gb` 16, `Gc` none. */
function trio() {
  const bench = new Bench();
  const devices = bench.devices('Ga', 'Gb', 'Gc');
  const limits: Record<string, number> = { Ga: 8, Gb: 16 };
  const driver = new MockDriver({ policy: byInitial, maxPasids: (device) => limits[device.name] ?? 0 });
  bench.iommu.registerDevice(new MockIommu({ driver }));
  const group = bench.iommu.groupOf(devices[0]!)!;
  const domain = bench.iommu.pagingDomainAlloc(devices[0]!);
  const under = (pasid: number) => devices.map((device) => driver.pasids.get(device)?.get(pasid));
  return { bench, devices, driver, group, domain, under, a: devices[0]! };
}

describe('groups-core.md 3: PASIDs', () => {
  test('attached for members that can, skipped for those that cannot, removed again', () => {
    const { bench, a, domain, under, group } = trio();
    bench.iommu.attachDevicePasid(domain, a, 5);
    expect(under(5)).toEqual([domain, domain, undefined]);
    expect(group.hasPasids).toBe(true);
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, a, 5))).toBe('EBUSY');
    bench.iommu.detachDevicePasid(domain, a, 5);
    expect(under(5)).toEqual([undefined, undefined, undefined]);
    expect(group.hasPasids).toBe(false);
  });

  test('EOPNOTSUPP before ENODEV before EINVAL', () => {
    const { bench, a, domain } = trio();
    const lone = new Bench().device('x');
    const unable = bench.iommu.pagingDomainAlloc(a);
    Object.assign(unable.ops, { setDevPasid: undefined });
    expect(answerOf(() => bench.iommu.attachDevicePasid(unable, lone, 0))).toBe('EOPNOTSUPP');
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, lone, 0))).toBe('ENODEV');
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, a, 0))).toBe('EINVAL');
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, a, 8))).toBe('EINVAL');
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, a, 7))).toBe('ok');
    domain.owner = new MockDriver();
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, a, 6))).toBe('EINVAL');
  });

  test.each([1, 2])('member %d refuses: earlier ones are undone, the place is free', (n) => {
    const { bench, a, domain, under, group, driver } = trio();
    driver.faults.failAt(n, 'ENOSPC');
    expect(answerOf(() => bench.iommu.attachDevicePasid(domain, a, 2))).toBe('ENOSPC');
    expect(under(2)).toEqual([undefined, undefined, undefined]);
    expect(group.hasPasids).toBe(false);
  });
});

describe('iommufd.md 7: replacing at a PASID', () => {
  test.each([1, 2])('straight to the other domain; when member %d refuses all are where they were', (n) => {
    const { bench, a, domain, under, group, driver } = trio();
    const other = bench.iommu.pagingDomainAlloc(a);
    const [first, second] = [{}, {}];
    bench.iommu.attachDevicePasid(domain, a, 5, first);
    driver.faults.failAt(n, 'ENOSPC');
    expect(answerOf(() => bench.iommu.replaceDevicePasid(other, a, 5, second))).toBe('ENOSPC');
    expect(under(5)).toEqual([domain, domain, undefined]);
    expect(group.attachHandle(5)).toBe(first);
    bench.iommu.replaceDevicePasid(other, a, 5, second);
    expect(under(5)).toEqual([other, other, undefined]);
    expect(group.attachHandleGet(5)).toMatchObject({ domain: other });
  });

  test('nothing is attached there, or the handle is the one attached: EINVAL', () => {
    const { bench, a, domain } = trio();
    const handle = {};
    expect(answerOf(() => bench.iommu.replaceDevicePasid(domain, a, 5, handle))).toBe('EINVAL');
    bench.iommu.attachDevicePasid(domain, a, 5, handle);
    expect(answerOf(() => bench.iommu.replaceDevicePasid(domain, a, 5, handle))).toBe('EINVAL');
    expect(answerOf(() => bench.iommu.replaceDevicePasid(domain, a, 5, {}))).toBe('ok');
  });
});

describe('groups-core.md 3: handles', () => {
  test('a handle is found at PASID 0 from attach to detach; EBUSY for a second, errors give the place back', () => {
    const { group, domain, driver } = trio();
    const handle = {};
    driver.faults.failAt(1);
    expect(answerOf(() => group.attachDomainHandle(domain, handle))).toBe('ENOMEM');
    expect(answerOf(() => group.attachHandleGet(0))).toBe('ENOENT');
    group.attachDomainHandle(domain, handle);
    expect(group.attachHandleGet(0)).toBe(handle);
    expect(group.attachHandleGet(0).domain).toBe(domain);
    expect(group.attachHandleGet(0, DomainType.Unmanaged)).toBe(handle);
    expect(answerOf(() => group.attachHandleGet(0, DomainType.Sva))).toBe('EBUSY');
    expect(answerOf(() => group.attachDomainHandle(domain, {}))).toBe('EBUSY');
    group.detachDomainHandle();
    expect(answerOf(() => group.attachHandleGet(0))).toBe('ENOENT');
    expect(group.domain).toBe(group.defaultDomain);
  });

  test('an attachment without a handle holds the place but has nothing to show', () => {
    const { group, domain } = trio();
    group.attachDomainHandle(domain, undefined);
    expect(group.hasPasids).toBe(true);
    expect(answerOf(() => group.attachHandleGet(0))).toBe('ENOENT');
    expect(answerOf(() => group.attachDomainHandle(domain, {}))).toBe('EBUSY');
  });

  test('replace: new handle, or none; on refusal the old one stays', () => {
    const { bench, a, group, domain, driver } = trio();
    const [one, two] = [{}, {}];
    const next = bench.iommu.pagingDomainAlloc(a);
    group.attachDomainHandle(domain, one);
    expect(answerOf(() => group.replaceDomainHandle(undefined, two))).toBe('EINVAL');
    driver.faults.failAt(2);
    expect(answerOf(() => group.replaceDomainHandle(next, two))).toBe('ENOMEM');
    expect(group.attachHandleGet(0)).toBe(one);
    expect(group.domain).toBe(domain);
    group.replaceDomainHandle(next, two);
    expect([group.attachHandleGet(0), group.domain]).toEqual([two, next]);
    group.replaceDomainHandle(domain, undefined);
    expect(group.hasPasids).toBe(false);
  });
});
