/** Random lives of a machine's groups, with drivers that refuse now and then, held against what must always be so. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { type Domain, DomainType } from './domain.ts';
import { MockDriver, MockIommu } from './drivers/mock.ts';
import type { Group } from './group.ts';
import { RegionType } from './reserved-region.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

/** Two that share, two that share, one alone, one that firmware wants mapped. */
const NAMES = ['Aa', 'Ab', 'Ac', 'Ba', 'Bb', 'Bdirect', 'lone'];

type Action =
  | 'plug'
  | 'unplug'
  | 'get'
  | 'put'
  | 'attach'
  | 'replace'
  | 'detach'
  | 'claim'
  | 'claimDevice'
  | 'release'
  | 'releaseDevice'
  | 'type'
  | 'bind'
  | 'unbind'
  | 'pasid'
  | 'unpasid';

/** These may not fail, as in the kernel; a driver that refuses them is a WARN and tested elsewhere. */
const CANNOT_FAIL = new Set<Action>([
  'unplug',
  'get',
  'put',
  'detach',
  'release',
  'releaseDevice',
  'unbind',
  'unpasid',
]);

const ACTIONS: Action[] = [
  'plug',
  'plug',
  'unplug',
  'get',
  'put',
  'attach',
  'replace',
  'detach',
  'claim',
  'claimDevice',
  'release',
  'releaseDevice',
  'type',
  'bind',
  'unbind',
  'pasid',
  'unpasid',
];

interface Step {
  action: Action;
  who: number;
  which: number;
  failAt: number;
}

class World {
  readonly bench = new Bench({ defaultType: DomainType.Dma });
  readonly driver: MockDriver;
  readonly iommu: MockIommu;
  readonly present = new Map<string, Device>();
  readonly held: Group[] = [];
  readonly domains: Domain[] = [];
  /** The two kinds: one that does DMA, one that leaves it to user space. */
  readonly nic: { name: string; bus: Bench['bus']; match: () => boolean };
  readonly vfio: { name: string; bus: Bench['bus']; match: () => boolean; driverManagedDma: boolean };

  constructor(staticBlocked: boolean) {
    this.driver = new MockDriver({
      policy: byInitial,
      statics: { blocked: staticBlocked },
      maxPasids: (device) => (device.name.startsWith('A') ? 8 : 0),
      resvRegions: (device) =>
        device.name === 'Bdirect' ? [{ start: 0x1000n, last: 0x1fffn, type: RegionType.Direct }] : [],
    });
    this.iommu = new MockIommu({ driver: this.driver });
    this.bench.iommu.registerDevice(this.iommu);
    const { bus } = this.bench;
    this.nic = { name: 'nic', bus, match: () => true };
    this.vfio = { name: 'vfio', bus, match: () => true, driverManagedDma: true };
    bus.driversAutoprobe = false;
    this.bench.core.registerDriver(this.nic);
    this.bench.core.registerDriver(this.vfio);
  }

  run({ action, who, which, failAt }: Step): void {
    const { bench } = this;
    const name = NAMES[who % NAMES.length]!;
    const device = this.present.get(name);
    const group = device && bench.iommu.groupOf(device);
    if (action === 'plug') {
      if (!device) this.plug(name, failAt);
      return;
    }
    if (action === 'put') {
      this.held.splice(which % (this.held.length || 1), 1)[0]?.put();
      return;
    }
    if (!device) return;
    if (action === 'unplug') {
      this.present.delete(name);
      bench.core.deleteDevice(device);
      return;
    }
    if (!group) return;
    const before = this.stateOf(group);
    // What is refused without asking the driver must not have its way back fail: that is a WARN in the kernel too.
    const refusedAnyway = action.startsWith('claim') && group.devices.some(({ name }) => name === 'Bdirect');
    this.driver.faults.failAt(CANNOT_FAIL.has(action) || refusedAnyway ? 0 : failAt);
    const answer = answerOf(() => this.act(action, device, group, which));
    const fired = this.driver.faults.fired;
    this.driver.faults.disarm();
    if (answer !== 'ok') expect([action, fired, this.stateOf(group)]).toEqual([action, fired, before]);
    else if (fired !== undefined) expect(['map', 'flush queue']).toContain(fired);
  }

  plug(name: string, failAt: number): void {
    const { iommu } = this.bench;
    const used = new Set(iommu.groups.keys());
    let lowest = 0;
    while (used.has(lowest)) lowest++;
    this.driver.faults.failAt(failAt);
    const device = this.bench.device(name);
    this.driver.faults.disarm();
    this.present.set(name, device);
    const group = iommu.groupOf(device);
    if (group && !used.has(group.id)) expect(group.id).toBe(lowest);
    if (!group) expect(iommu.noGroupReason(device)?.because).toBe('refused');
    if (!group) expect([...iommu.groups.keys()].every((id) => used.has(id))).toBe(true);
  }

  act(action: Action, device: Device, group: Group, which: number): void {
    const { iommu, core } = this.bench;
    const driver = which % 2 === 0 ? this.nic : this.vfio;
    const pasid = 1 + (which % 9);
    if (action === 'get') this.held.push(iommu.groupGet(device)!);
    else if (action === 'attach') group.attachDomain(this.domain(device, which));
    else if (action === 'replace') group.replaceDomain(this.domain(device, which));
    else if (action === 'detach') group.detachDomain();
    else if (action === 'claim') group.claimDmaOwner(`owner ${which % 2}`);
    else if (action === 'claimDevice') iommu.deviceClaimDmaOwner(device, `owner ${which % 2}`);
    else if (action === 'release') group.releaseDmaOwner();
    else if (action === 'releaseDevice') iommu.deviceReleaseDmaOwner(device);
    else if (action === 'type') group.storeType(['DMA', 'DMA-FQ', 'identity', 'auto', 'no'][which % 5]!);
    else if (action === 'bind') core.bind(device, driver);
    else if (action === 'unbind') core.unbind(device);
    else if (action === 'pasid') iommu.attachDevicePasid(this.domain(device, which), device, pasid);
    else if (action === 'unpasid') this.unpasid(device, pasid);
  }

  /** One made earlier, or a new one. */
  domain(device: Device, which: number): Domain {
    const known = this.domains[which % 4];
    if (known) return known;
    const made = this.bench.iommu.pagingDomainAlloc(device);
    this.domains.push(made);
    return made;
  }

  unpasid(device: Device, pasid: number): void {
    const domain = this.driver.pasids.get(device)?.get(pasid);
    if (domain) this.bench.iommu.detachDevicePasid(domain, device, pasid);
  }

  /** What a refused call must not change. A blocking domain may stay behind for the next claim. */
  stateOf(group: Group) {
    return {
      devices: group.devices,
      count: group.count,
      domain: group.domain,
      default: group.defaultDomain,
      type: group.type,
      owner: group.dmaOwner,
      users: group.ownerCount,
      pasids: group.devices.map((device) => [...(this.driver.pasids.get(device) ?? [])]),
      attached: group.devices.map((device) => this.driver.attached.get(device)),
    };
  }

  check(): void {
    const { iommu, sysfs } = this.bench;
    expect(sysfs.readdir('/kernel/iommu_groups')).toEqual([...iommu.groups.keys()].map(String).sort());
    expect(iommu.ids.size).toBe(iommu.groups.size);
    const seen = new Set<Device>();
    for (const group of iommu.groups.values()) {
      expect(group.count).toBe(group.size + this.held.filter((held) => held === group).length);
      expect(sysfs.readdir(`${group.path}/devices`)).toEqual(
        group.devices.map((device) => device.name).sort(),
      );
      for (const device of group.devices) {
        expect(seen.has(device)).toBe(false);
        seen.add(device);
        expect(iommu.groupOf(device)).toBe(group);
        expect(sysfs.realpath(`/devices/${device.name}/iommu_group`)).toBe(group.path);
        expect(sysfs.realpath(`${group.path}/devices/${device.name}`)).toBe(`/devices/${device.name}`);
        // What came into a claimed group after the claim may be one that cannot be blocked: a WARN as well.
        const unblockable = device.name === 'Bdirect' && group.domain === group.blockingDomain;
        if (!unblockable) expect(this.driver.attached.get(device)).toBe(group.domain);
      }
      if (group.size > 0) expect(group.defaultDomain).toBeDefined();
      if (group.size > 0 && group.dmaOwner !== undefined) {
        expect(group.ownerCount).toBeGreaterThan(0);
        expect(group.devices.some((device) => device.driver === this.nic)).toBe(false);
      }
      if (group.size === 0)
        expect([group.defaultDomain, group.blockingDomain]).toEqual([undefined, undefined]);
      expect(group.defaultDomain?.freed ?? false).toBe(false);
      expect(group.blockingDomain?.freed ?? false).toBe(false);
    }
    for (const device of this.present.values()) {
      if (!seen.has(device)) expect(sysfs.exists(`/devices/${device.name}/iommu_group`)).toBe(false);
    }
    expect(this.driver.probed).toEqual(seen);
  }

  end(): void {
    for (const group of this.held.splice(0)) group.put();
    for (const device of this.present.values()) this.bench.core.deleteDevice(device);
    this.bench.iommu.unregisterDevice(this.iommu);
    this.bench.tracker.assertNone();
    for (const domain of this.driver.live) expect(this.domains).toContain(domain);
  }
}

describe('any life of groups', () => {
  const step = fc.record({
    action: fc.constantFrom(...ACTIONS),
    who: fc.nat(20),
    which: fc.nat(20),
    failAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 })),
  });

  test('numbers lowest first, one group a device, links both ways, one domain a group, refusals change nothing, nothing leaks', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.boolean(), (steps, staticBlocked) => {
        const world = new World(staticBlocked);
        for (const each of steps) {
          world.run(each);
          world.check();
        }
        world.end();
      }),
      { numRuns: 300 },
    );
  });
});
