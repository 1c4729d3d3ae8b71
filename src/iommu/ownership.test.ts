import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import { DomainType } from './domain.ts';
import { MockDriver, MockIommu, type MockOptions } from './drivers/mock.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

function pair(options: MockOptions = {}) {
  const bench = new Bench();
  const devices = bench.devices('Ga', 'Gb');
  const driver = new MockDriver({ policy: byInitial, ...options });
  const isolatedMsi = ({ name }: Device) => (name === 'Gy' ? undefined : name !== 'Gx');
  const iommu = new MockIommu({ driver, isolatedMsi });
  bench.iommu.registerDevice(iommu);
  const group = bench.iommu.groupOf(devices[0]!)!;
  return { bench, a: devices[0]!, b: devices[1]!, driver, group };
}

describe('groups-core.md 3: who owns the DMA of a group', () => {
  test('ordinary drivers count up and down; driver_managed_dma ones do not', () => {
    const { bench, a, b, group } = pair();
    const nic: Driver = { name: 'nic', bus: bench.bus, match: (d) => d.name === 'Ga' };
    const vfio: Driver = {
      name: 'vfio',
      bus: bench.bus,
      match: (d) => d.name === 'Gb',
      driverManagedDma: true,
    };
    bench.core.registerDriver(nic);
    bench.core.registerDriver(vfio);
    expect([a.driver, b.driver]).toEqual([nic, vfio]);
    expect([group.ownerCount, group.dmaOwnerClaimed]).toEqual([1, true]);
    expect(() => group.claimDmaOwner('vfio')).toThrow('group 0: is in use by Ga (nic)');
    bench.core.unbind(a);
    bench.core.unbind(b);
    expect([group.ownerCount, group.dmaOwnerClaimed]).toEqual([0, false]);
    expect(bench.iommu.messages.warnings).toEqual([]);
    group.claimDmaOwner('vfio');
    expect(answerOf(() => bench.core.bind(a, nic))).toBe('EBUSY');
    expect(a.driver).toBeUndefined();
    group.releaseDmaOwner();
    bench.core.bind(a, nic);
    expect(group.ownerCount).toBe(1);
  });

  test('a failed probe gives the count back', () => {
    const { bench, group } = pair();
    const probe = () => {
      expect(group.ownerCount).toBeGreaterThan(0);
      throw new TypeError('broken');
    };
    const driver: Driver = { name: 'bad', bus: bench.bus, probe };
    try {
      bench.core.registerDriver(driver);
    } catch {
      // the core may pass a driver's bug on
    }
    expect(group.ownerCount).toBe(0);
  });

  test('use_default_domain: 0 without a group, EPROBE_DEFER without a default domain', () => {
    const bench = new Bench();
    const a = bench.device('a');
    bench.iommu.deviceUseDefaultDomain(a);
    bench.iommu.deviceUnuseDefaultDomain(a);
    using group = bench.iommu.groupAlloc();
    group.addDevice(a);
    expect(answerOf(() => bench.iommu.deviceUseDefaultDomain(a))).toBe('EPROBE_DEFER');
    group.removeDevice(a);
  });

  test('use_default_domain: EBUSY for the second driver once another domain or a PASID is attached', () => {
    const { bench, a, b, group } = pair({ maxPasids: () => 16 });
    const domain = bench.iommu.pagingDomainAlloc(a);
    group.attachDomain(domain);
    bench.iommu.deviceUseDefaultDomain(a); // nobody counted yet, so the kernel does not look
    expect(answerOf(() => bench.iommu.deviceUseDefaultDomain(b))).toBe('EBUSY');
    group.detachDomain();
    bench.iommu.attachDevicePasid(domain, a, 1);
    expect(answerOf(() => bench.iommu.deviceUseDefaultDomain(b))).toBe('EBUSY');
    bench.iommu.deviceUnuseDefaultDomain(a);
    expect(bench.iommu.messages.warnings).toHaveLength(1);
    bench.iommu.detachDevicePasid(domain, a, 1);
    bench.iommu.deviceUseDefaultDomain(b);
    expect(group.ownerCount).toBe(2);
  });

  test('unuse without use: a warning, the count stays 0', () => {
    const { bench, a, group } = pair();
    bench.iommu.deviceUnuseDefaultDomain(a);
    expect(group.ownerCount).toBe(0);
    expect(bench.iommu.messages.warnings).toHaveLength(1);
  });

  test('group claim: EINVAL without owner, EPERM even for the same owner, everything blocked meanwhile', () => {
    const { group, driver, a, b } = pair();
    expect(answerOf(() => group.claimDmaOwner(undefined))).toBe('EINVAL');
    expect(answerOf(() => group.claimDmaOwner(null))).toBe('EINVAL');
    group.claimDmaOwner('vfio');
    expect(group.domain).toBe(driver.blockedDomain);
    expect([a, b].map((d) => driver.attached.get(d))).toEqual([driver.blockedDomain, driver.blockedDomain]);
    expect(() => group.claimDmaOwner('vfio')).toThrow('group 0: is in use by vfio');
    expect(answerOf(() => group.claimDmaOwner('vfio'))).toBe('EPERM');
    group.releaseDmaOwner();
    expect([group.ownerCount, group.dmaOwner, group.domain]).toEqual([0, undefined, group.defaultDomain]);
    expect(group.blockingDomain).toBe(driver.blockedDomain);
  });

  test('device claims of one owner add up, of another are EPERM; the last release ends it', () => {
    const { bench, a, b, group } = pair();
    const [me, other] = [{ name: 'context 1' }, {}];
    bench.iommu.deviceClaimDmaOwner(a, me);
    bench.iommu.deviceClaimDmaOwner(b, me);
    expect(group.ownerCount).toBe(2);
    expect(() => bench.iommu.deviceClaimDmaOwner(a, other)).toThrow(/in use by context 1/);
    expect(answerOf(() => bench.iommu.deviceClaimDmaOwner(a, other))).toBe('EPERM');
    bench.iommu.deviceReleaseDmaOwner(a);
    expect([group.ownerCount, group.dmaOwner]).toEqual([1, me]);
    bench.iommu.deviceReleaseDmaOwner(b);
    expect([group.ownerCount, group.dmaOwner, group.domain]).toEqual([0, undefined, group.defaultDomain]);
    expect(answerOf(() => bench.iommu.deviceClaimDmaOwner(a, undefined))).toBe('EINVAL');
    const lone = new Bench().device('x');
    expect(answerOf(() => bench.iommu.deviceClaimDmaOwner(lone, undefined))).toBe('EINVAL');
    expect(answerOf(() => bench.iommu.deviceClaimDmaOwner(lone, me))).toBe('ENODEV');
  });

  test('claim: EBUSY while another domain or a PASID is attached', () => {
    const { bench, a, group } = pair({ maxPasids: () => 16 });
    const domain = bench.iommu.pagingDomainAlloc(a);
    group.attachDomain(domain);
    expect(answerOf(() => group.claimDmaOwner('me'))).toBe('EBUSY');
    expect(answerOf(() => bench.iommu.deviceClaimDmaOwner(a, 'me'))).toBe('EBUSY');
    group.detachDomain();
    bench.iommu.attachDevicePasid(domain, a, 3);
    expect(answerOf(() => group.claimDmaOwner('me'))).toBe('EBUSY');
    bench.iommu.detachDevicePasid(domain, a, 3);
    expect(answerOf(() => group.claimDmaOwner('me'))).toBe('ok');
  });

  test('no static blocked domain: an allocated one, else an empty UNMANAGED; made once', () => {
    const allocated = pair({ statics: { blocked: false }, allocates: [DomainType.Blocked] });
    allocated.group.claimDmaOwner('me');
    expect(allocated.group.domain?.type).toBe(DomainType.Blocked);
    const empty = pair({ statics: { blocked: false } });
    empty.group.claimDmaOwner('me');
    const blocking = empty.group.domain;
    expect(blocking?.type).toBe(DomainType.Unmanaged);
    expect(blocking?.holes(0n, 99n)).toEqual([{ start: 0n, last: 99n }]);
    empty.group.releaseDmaOwner();
    empty.group.claimDmaOwner('me');
    expect(empty.group.domain).toBe(blocking);
  });

  test('detaching while owned leads to the blocking domain, attach from there is allowed', () => {
    const { bench, a, group, driver } = pair();
    group.claimDmaOwner('me');
    const domain = bench.iommu.pagingDomainAlloc(a);
    group.attachDomain(domain);
    group.detachDomain();
    expect(group.domain).toBe(driver.blockedDomain);
  });

  test('releasing what is not owned is a warning', () => {
    const { bench, group } = pair();
    group.releaseDmaOwner();
    group.releaseDeviceDmaOwner();
    expect(bench.iommu.messages.warnings).toHaveLength(2);
    expect(group.ownerCount).toBe(0);
  });

  test.each(['Gx', 'Gy'])('isolated MSI: AND over members, and %s is not known to have it', (name) => {
    const { bench, group } = pair();
    expect(group.hasIsolatedMsi()).toBe(true);
    bench.device(name);
    expect(group.hasIsolatedMsi()).toBe(false);
  });

  test('isolated MSI: true for no members, false without an IOMMU', () => {
    const { bench } = pair();
    using other = bench.iommu.groupAlloc();
    expect(other.hasIsolatedMsi()).toBe(true);
    const outside = new Bench();
    using byHand = outside.iommu.groupAlloc();
    const lone = outside.device('x');
    byHand.addDevice(lone);
    expect(byHand.hasIsolatedMsi()).toBe(false);
    byHand.removeDevice(lone);
  });
});
