/** design.md: "Every n-th internal step can be made to fail in tests, and is." */

import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { DomainType } from './domain.ts';
import { MockDriver, MockIommu } from './drivers/mock.ts';
import type { Group } from './group.ts';
import { RegionType } from './reserved-region.ts';
import { answerOf, Bench, byInitial } from './testing.ts';

interface Stage {
  bench: Bench;
  devices: Device[];
  driver: MockDriver;
  group: Group;
}

/** A group of three behind an IOMMU, one of them with a range firmware wants mapped. */
function stage(): Stage {
  const bench = new Bench({ defaultType: DomainType.Dma });
  const devices = bench.devices('Ga', 'Gb', 'Gc');
  const driver = new MockDriver({
    policy: byInitial,
    statics: { blocked: false },
    maxPasids: () => 16,
    resvRegions: (device) =>
      device.name === 'Gb' ? [{ start: 0x1000n, last: 0x1fffn, type: RegionType.DirectRelaxable }] : [],
  });
  bench.iommu.registerDevice(new MockIommu({ driver }));
  return { bench, devices, driver, group: bench.iommu.groupOf(devices[0]!)! };
}

/** Everything about a stage that a failed call must leave alone. */
function snapshot({ bench, devices, driver, group }: Stage) {
  return {
    partition: bench.partition(),
    numbers: bench.iommu.ids.size,
    references: bench.tracker.live(),
    links: bench.sysfs.readdir('/kernel/iommu_groups/0/devices'),
    domain: group.domain,
    default: group.defaultDomain,
    type: group.type,
    owner: group.dmaOwner,
    count: group.ownerCount,
    pasids: group.hasPasids,
    attached: devices.map((device) => driver.attached.get(device)),
    marked: devices.map((device) => [...(driver.pasids.get(device) ?? [])]),
    probed: driver.probed.size,
  };
}

/** Runs `call` on fresh stages with the 1st, 2nd … step failing until it succeeds; answers what failed on the way. */
function failEveryStep(
  call: (on: Stage) => void,
  prepare: (on: Stage) => void = () => {},
  answers = ['ENOMEM'],
): string[] {
  const failed: string[] = [];
  for (let n = 1; ; n++) {
    const on = stage();
    prepare(on);
    const before = snapshot(on);
    const alive = new Set(on.driver.live);
    on.driver.faults.failAt(n);
    const answer = answerOf(() => call(on));
    if (on.driver.faults.fired === undefined) {
      expect(answer).toBe('ok');
      return failed;
    }
    failed.push(`${on.driver.faults.fired}${answer === 'ok' ? ' (survived)' : ''}`);
    if (answer !== 'ok') {
      expect(answers).toContain(answer);
      expect(snapshot(on)).toEqual(before);
      // A blocking domain may stay for the next claim; nothing else is left over, and nothing in use was freed.
      for (const domain of on.driver.live) {
        expect(alive.has(domain) || domain === on.group.blockingDomain).toBe(true);
      }
      for (const domain of alive) expect(on.driver.live.has(domain)).toBe(true);
    }
    expect(n).toBeLessThan(100);
  }
}

describe('a failed change leaves everything as it was', () => {
  const fresh = ({ bench, devices }: Stage) => bench.iommu.pagingDomainAlloc(devices[0]!);
  const attachPrepared = (on: Stage) => on.group.attachDomain(prepared.get(on)!);
  const prepared = new WeakMap<Stage, ReturnType<typeof fresh>>();
  const prepareDomain = (on: Stage) => void prepared.set(on, fresh(on));

  test('attach', () => {
    expect(failEveryStep(attachPrepared, prepareDomain)).toEqual(['attach', 'attach', 'attach']);
  });

  test('attach with a handle', () => {
    const steps = failEveryStep((on) => on.group.attachDomainHandle(prepared.get(on)!, {}), prepareDomain);
    expect(steps).toEqual(['attach', 'attach', 'attach']);
  });

  test('replace', () => {
    const steps = failEveryStep(
      (on) => on.group.replaceDomain(prepared.get(on)!),
      (on) => {
        on.group.attachDomain(fresh(on));
        prepareDomain(on);
      },
    );
    expect(steps).toEqual(['attach', 'attach', 'attach']);
  });

  test('claim', () => {
    const steps = failEveryStep((on) => on.group.claimDmaOwner('me'));
    expect(steps).toEqual(['alloc', 'attach', 'attach', 'attach']);
  });

  test('claim by device', () => {
    const steps = failEveryStep(({ bench, devices }) => bench.iommu.deviceClaimDmaOwner(devices[1]!, 'me'));
    expect(steps).toEqual(['alloc', 'attach', 'attach', 'attach']);
  });

  test('attach to a PASID', () => {
    const steps = failEveryStep(
      (on) => on.bench.iommu.attachDevicePasid(prepared.get(on)!, on.devices[0]!, 3),
      prepareDomain,
    );
    expect(steps).toEqual(['pasid', 'pasid', 'pasid']);
  });

  test('type: DMA to identity', () => {
    expect(failEveryStep(({ group }) => group.storeType('identity'))).toEqual(['attach', 'attach', 'attach']);
  });

  test('type: DMA to DMA-FQ in place', () => {
    expect(failEveryStep(({ group }) => group.storeType('DMA-FQ'))).toEqual(['flush queue']);
  });

  test('type: identity to DMA-FQ; a failed mapping is made good after attaching, a failed queue means DMA', () => {
    const steps = failEveryStep(
      ({ group }) => group.storeType('DMA-FQ'),
      ({ group }) => group.storeType('identity'),
    );
    expect(steps).toEqual([
      'alloc',
      'map (survived)',
      'attach',
      'attach',
      'attach',
      'flush queue (survived)',
    ]);
  });

  /** The bus swallows the refusal; it is kept as the reason why the device has no group. */
  const arrive = (bench: Bench, name: string) => {
    const device = bench.device(name);
    const refused = bench.iommu.noGroupReason(device);
    if (refused === undefined) return;
    bench.core.deleteDevice(device);
    if (refused.because === 'refused') throw refused.error;
  };

  test('a device arriving in the group', () => {
    expect(failEveryStep(({ bench }) => arrive(bench, 'Gd'))).toEqual(['probe', 'attach']);
  });

  test('a device arriving that needs a group of its own; a DMA domain that cannot be had is EINVAL', () => {
    const steps = failEveryStep(({ bench }) => arrive(bench, 'lone'), () => {}, ['ENOMEM', 'EINVAL']);
    expect(steps).toEqual(['probe', 'alloc', 'attach']);
  });
});
