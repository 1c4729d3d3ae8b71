import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { DomainType, type DomainType as Type } from './domain.ts';
import { MockDriver, MockIommu, type MockOptions } from './drivers/mock.ts';
import type { Group } from './group.ts';
import { RegionType } from './reserved-region.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

/** One group `Ga Gb Gc` behind a mock IOMMU. */
function trio(options: MockOptions = {}) {
  const bench = new Bench({ defaultType: DomainType.Dma });
  const devices = bench.devices('Ga', 'Gb', 'Gc');
  const driver = new MockDriver({ policy: byInitial, ...options });
  bench.iommu.registerDevice(new MockIommu({ driver }));
  const group = bench.iommu.groupOf(devices[0]!)!;
  const attached = () => new Set(devices.map((device) => driver.attached.get(device)));
  const fresh = () => bench.iommu.pagingDomainAlloc(devices[0]!);
  return { bench, devices, driver, group, attached, fresh };
}

const only = (group: Group) => new Set([group.domain]);

describe('groups-core.md 3 and 4: attaching a domain to a group', () => {
  test('every member is attached, in order of arrival', () => {
    const order: string[] = [];
    const { driver, group, attached, fresh } = trio();
    const domain = fresh();
    const attach = domain.ops.attachDev!;
    Object.assign(domain.ops, {
      attachDev: (d: typeof domain, device: Device) => {
        order.push(device.name);
        attach(d, device);
      },
    });
    group.attachDomain(domain);
    expect(order).toEqual(['Ga', 'Gb', 'Gc']);
    expect(group.domain).toBe(domain);
    expect(attached()).toEqual(new Set([domain]));
    group.detachDomain();
    expect(group.domain).toBe(group.defaultDomain);
    expect(attached()).toEqual(only(group));
    expect(driver.live.has(domain)).toBe(true);
  });

  test('EBUSY while a domain is attached, even the same; replace has no such check', () => {
    const { group, fresh, attached } = trio();
    const [one, two] = [fresh(), fresh()];
    group.attachDomain(one);
    expect(answerOf(() => group.attachDomain(one))).toBe('EBUSY');
    expect(answerOf(() => group.attachDomain(two))).toBe('EBUSY');
    group.replaceDomain(two);
    expect(attached()).toEqual(new Set([two]));
    expect(answerOf(() => group.replaceDomain(undefined))).toBe('EINVAL');
  });

  test('same domain: no driver call', () => {
    const { group, fresh, driver } = trio();
    const domain = fresh();
    group.replaceDomain(domain);
    driver.faults.failAt(1);
    group.replaceDomain(domain);
    expect(driver.faults.taken).toBe(0);
  });

  test('EINVAL: no devices, first device without an IOMMU, domain of another driver', () => {
    const { bench, group, fresh } = trio();
    using empty = bench.iommu.groupAlloc();
    expect(answerOf(() => empty.attachDomain(fresh()))).toBe('EINVAL');
    const other = new Bench();
    const lone = other.device('x');
    using byHand = other.iommu.groupAlloc();
    byHand.addDevice(lone);
    expect(answerOf(() => byHand.attachDomain(fresh()))).toBe('EINVAL');
    expect(answerOf(() => byHand.claimDmaOwner('me'))).toBe('EINVAL');
    byHand.removeDevice(lone);
    const foreign = new MockDriver({ name: 'foreign' }).domainAllocPaging();
    foreign.owner = new MockDriver({ name: 'foreign' });
    expect(() => group.attachDomain(foreign)).toThrow(/made by foreign, Ga is behind mock.*EINVAL/);
  });

  test.each([1, 2, 3])('device %d refuses: those up to it go back, the group is as before', (n) => {
    const { group, fresh, driver, attached } = trio();
    const before = group.domain;
    const domain = fresh();
    driver.faults.failAt(n, 'EINVAL');
    expect(answerOf(() => group.attachDomain(domain))).toBe('EINVAL');
    // n attempts forward, then the devices from the first through the failing one back again
    expect(driver.faults.taken).toBe(2 * n);
    expect(group.domain).toBe(before);
    expect(attached()).toEqual(new Set([before]));
  });

  test('a driver that refuses the way back as well: a warning, the group still counts as on the old domain', () => {
    const { bench, group, fresh, driver } = trio();
    const before = group.domain;
    const domain = fresh();
    const attach = domain.ops.attachDev!;
    Object.assign(domain.ops, {
      attachDev: (d: typeof domain, device: Device) => {
        if (device.name === 'Gb') driver.faults.failEvery('attach');
        attach(d, device);
      },
    });
    expect(answerOf(() => group.attachDomain(domain))).toBe('ENOMEM');
    expect(group.domain).toBe(before);
    expect(bench.iommu.messages.warnings).toHaveLength(2);
    expect(bench.iommu.messages.warnings[0]?.text).toMatch(/refused what must succeed/);
  });

  test('detach must succeed: who refuses is blocked, the group counts as detached, a warning says so', () => {
    const { bench, devices, group, fresh, driver } = trio();
    group.claimDmaOwner('me');
    group.attachDomain(fresh());
    group.releaseDmaOwner();
    group.attachDomain(fresh());
    driver.faults.failAt(2);
    group.detachDomain();
    expect(group.domain).toBe(group.defaultDomain);
    expect(devices.map((device) => driver.attached.get(device)?.type)).toEqual([
      DomainType.Dma,
      DomainType.Blocked,
      DomainType.Dma,
    ]);
    expect(bench.iommu.messages.warnings.at(-1)).toMatchObject({ level: 'warn', object: 'group 0' });
  });

  test('iommu_attach_device: ENODEV no group, EINVAL not alone; detaching then is only a warning', () => {
    const { bench, devices, fresh, group } = trio();
    const lone = bench.device('x');
    const domain = bench.iommu.pagingDomainAlloc(lone);
    bench.iommu.attachDevice(domain, lone);
    expect(bench.iommu.getDomainForDev(lone)).toBe(domain);
    bench.iommu.detachDevice(domain, lone);
    expect(bench.iommu.getDomainForDev(lone)).toBe(bench.iommu.groupOf(lone)!.defaultDomain);
    expect(answerOf(() => bench.iommu.attachDevice(fresh(), devices[0]!))).toBe('EINVAL');
    group.attachDomain(domain);
    bench.iommu.detachDevice(domain, devices[0]!);
    expect(group.domain).toBe(domain);
    expect(bench.iommu.messages.warnings).toHaveLength(1);
    bench.iommu.unregisterDevice(bench.iommu.instances[0]!);
    expect(answerOf(() => bench.iommu.attachDevice(domain, lone))).toBe('ENODEV');
    expect(answerOf(() => bench.iommu.pagingDomainAlloc(lone))).toBe('ENODEV');
    expect(bench.iommu.getDomainForDev(lone)).toBeUndefined();
  });

  test('a domain whose driver cannot attach at all: ENODEV', () => {
    const { group, fresh, driver } = trio();
    const domain = fresh();
    Object.assign(domain.ops, { attachDev: undefined });
    expect(answerOf(() => group.attachDomain(domain))).toBe('ENODEV');
    expect(driver.live.has(domain)).toBe(true);
  });
});

describe('groups-core.md 4: require_direct, deferred attach, arrivals and departures', () => {
  const direct = { start: 0x1000n, last: 0x2fffn, type: RegionType.Direct };

  test('a firmware 1:1 mapping forbids blocking: claim is EINVAL and names the reason; relaxable does not', () => {
    const { group, attached, bench } = trio({ resvRegions: (d) => (d.name === 'Gb' ? [direct] : []) });
    const before = group.domain;
    expect(() => group.claimDmaOwner('vfio')).toThrow(/Gb: firmware wants memory mapped 1:1.*EINVAL/);
    expect([group.domain, group.ownerCount]).toEqual([before, 0]);
    expect(attached()).toEqual(new Set([before]));
    expect(bench.iommu.messages.warnings[0]).toMatchObject({ object: 'Gb' });
    const relaxed = trio({ resvRegions: () => [{ ...direct, type: RegionType.DirectRelaxable }] });
    relaxed.group.claimDmaOwner('vfio');
    expect(relaxed.group.domain?.type).toBe(DomainType.Blocked);
  });

  test('an empty domain standing for the blocking one is refused as well', () => {
    const { group } = trio({ statics: { blocked: false }, resvRegions: () => [direct] });
    expect(answerOf(() => group.claimDmaOwner('vfio'))).toBe('EINVAL');
    expect(group.blockingDomain?.type).toBe(DomainType.Unmanaged);
  });

  test('direct regions are mapped before attach, once where they overlap, whole pages that begin inside', () => {
    const { group } = trio({
      resvRegions: (d) =>
        d.name === 'Ga'
          ? [direct]
          : [
              { start: 0x2000n, last: 0x3fffn, type: RegionType.DirectRelaxable },
              { start: 0x5001n, last: 0x5fffn, type: RegionType.Direct },
              { start: 0x9000n, last: 0x9fffn, type: RegionType.Reserved },
            ],
    });
    const leads = (iova: bigint) => group.domain!.iovaToPhys(iova);
    expect([0x1000n, 0x2000n, 0x3fffn].map(leads)).toEqual([0x1000n, 0x2000n, 0x3fffn]);
    expect([0x0n, 0x4000n, 0x5001n, 0x6000n, 0x9000n].map(leads)).toEqual(Array(5).fill(undefined));
  });

  test('a huge direct region costs one mapping, and one that ends at 2^64-1 maps nothing', () => {
    const huge = { start: 0n, last: (1n << 62n) - 1n, type: RegionType.Direct };
    const top = { start: 1n << 63n, last: (1n << 64n) - 1n, type: RegionType.Direct };
    const { group } = trio({ resvRegions: () => [huge, top] });
    expect(group.domain!.iovaToPhys(huge.last)).toBe(huge.last);
    expect(group.domain!.iovaToPhys(top.start)).toBeUndefined();
  });

  test('deferred attach: the default domain is not attached until first use, any other is', () => {
    const { bench, devices, driver, group, fresh } = trio({ attachDeferred: (d) => d.name !== 'Gb' });
    expect(devices.map((d) => driver.attached.has(d))).toEqual([false, true, false]);
    bench.iommu.deferredAttach(devices[0]!, group.defaultDomain!);
    expect(driver.attached.get(devices[0]!)).toBe(group.defaultDomain);
    const domain = fresh();
    group.attachDomain(domain);
    expect(driver.attached.get(devices[2]!)).toBe(domain);
    const calls = () => driver.faults.taken;
    driver.faults.failAt(99);
    bench.iommu.deferredAttach(devices[0]!, domain);
    expect(calls()).toBe(0);
  });

  test('a deferred device that refuses another domain is no longer deferred: it goes to the default', () => {
    const { devices, driver, group, fresh } = trio({ attachDeferred: (d) => d.name === 'Ga' });
    const domain = fresh();
    driver.faults.failAt(1);
    expect(answerOf(() => group.attachDomain(domain))).toBe('ENOMEM');
    expect(driver.attached.get(devices[0]!)).toBe(group.defaultDomain);
  });

  test('what firmware wants mapped for a device that joins is mapped in the default domain first', () => {
    const { bench, group } = trio({ resvRegions: (d) => (d.name === 'Glate' ? [direct] : []) });
    expect(group.domain!.iovaToPhys(0x1000n)).toBeUndefined();
    const late = bench.device('Glate');
    expect(group.domain!.iovaToPhys(0x1000n)).toBe(0x1000n);
    expect(answerOf(() => group.claimDmaOwner('vfio'))).toBe('EINVAL');
    bench.core.deleteDevice(late);
    expect(answerOf(() => group.claimDmaOwner('vfio'))).toBe('ok');
  });

  test('a device that joins is attached to what the group has; if that fails it is not added', () => {
    const { bench, driver, group, fresh } = trio();
    const domain = fresh();
    group.attachDomain(domain);
    const late = bench.device('Glate');
    expect(driver.attached.get(late)).toBe(domain);
    driver.faults.failAt(2);
    const later = bench.device('Glater');
    expect(bench.iommu.groupOf(later)).toBeUndefined();
    expect(bench.iommu.noGroupReason(later)).toMatchObject({ because: 'refused', iommu: 'mock0' });
    expect(driver.probed.has(later)).toBe(false);
    expect(bench.sysfs.exists('/devices/Glater/iommu')).toBe(false);
    expect(group.devices.map((d) => d.name)).toEqual(['Ga', 'Gb', 'Gc', 'Glate']);
    expect(group.count).toBe(4);
  });

  test('the last to leave takes default and blocking domain along', () => {
    const { bench, devices, driver, group } = trio({ statics: { blocked: false } });
    group.claimDmaOwner('me');
    group.releaseDmaOwner();
    expect(driver.live.size).toBe(2);
    using _ = group.get();
    for (const device of devices) bench.core.deleteDevice(device);
    expect([group.domain, group.defaultDomain, group.blockingDomain]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(driver.live.size).toBe(0);
    expect(bench.iommu.messages.warnings).toEqual([]);
  });

  test('leaving last while owned is a warning', () => {
    const { bench, devices, group } = trio();
    group.claimDmaOwner('me');
    for (const device of devices) bench.core.deleteDevice(device);
    expect(bench.iommu.messages.warnings).toMatchObject([{ object: 'group 0' }]);
  });

  test('the release domain is attached before the driver forgets a device, unless its attach was deferred', () => {
    const seen: (Type | undefined)[] = [];
    const { bench, devices, driver } = trio({
      statics: { release: true },
      attachDeferred: (d) => d.name === 'Gb',
    });
    const forget = driver.releaseDevice.bind(driver);
    driver.releaseDevice = (device) => {
      seen.push(driver.attached.get(device)?.type);
      forget(device);
    };
    for (const device of devices) bench.core.deleteDevice(device);
    expect(seen).toEqual([DomainType.Blocked, undefined, DomainType.Blocked]);
  });
});
