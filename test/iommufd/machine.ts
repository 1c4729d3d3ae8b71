/**
 * A machine for tests of all of iommufd: devices in groups behind a mock IOMMU, the selftest's own IOMMU beside it, and
 * one process. Every step of every part counts at one point, and `picture` is all there is to see of the state.
 */

import type { Device } from '../../src/device/device.ts';
import type { Domain } from '../../src/iommu/domain.ts';
import type { IommuDriver } from '../../src/iommu/driver.ts';
import { MockDriver, MockIommu, type MockOptions } from '../../src/iommu/drivers/mock.ts';
import { FaultInjector } from '../../src/iommu/fault-injector.ts';
import type { IoPageTable } from '../../src/iommu/pagetable/io-page-table.ts';
import { RegionType, type ReservedRegion } from '../../src/iommu/reserved-region.ts';
import { byInitial } from '../../src/iommu/testing.ts';
import type { Context } from '../../src/iommufd/context.ts';
import { IommufdDevice } from '../../src/iommufd/device.ts';
import { describeIommufd } from '../../src/iommufd/dump.ts';
import type { IommufdInit } from '../../src/iommufd/iommufd.ts';
import type { ProcessInit } from '../../src/iommufd/process.ts';
import { isMockDevice } from '../../src/iommufd/selftest/mock-device.ts';
import { IommufdBench } from '../../src/iommufd/testing.ts';

export const PAGE = 4096n;
export const KIB2 = 2048n;
export const ULONG_MAX = 0xffff_ffff_ffff_ffffn;

/** One page only `Ga` leaves out; a window for interrupt messages of `Gb`; a page of `Ha`. */
export const RESERVED_GA: ReservedRegion = {
  start: 0x180_0000n,
  last: 0x180_0fffn,
  type: RegionType.Reserved,
};
export const MSI_GB: ReservedRegion = { start: 0x190_0000n, last: 0x190_1fffn, type: RegionType.SoftwareMsi };
export const RESERVED_HA: ReservedRegion = {
  start: 0x1a0_0000n,
  last: 0x1a0_0fffn,
  type: RegionType.Msi,
};
/** Left to whoever uses the device. */
const RELAXED: ReservedRegion = {
  start: 0x100_0000n,
  last: 0x100_ffffn,
  type: RegionType.DirectRelaxable,
};

function regionsOf({ name }: Device): ReservedRegion[] {
  if (name === 'Ga') return [RESERVED_GA];
  if (name === 'Gb') return [MSI_GB, RELAXED];
  return name === 'Ha' ? [RESERVED_HA] : [];
}

export interface MachineOptions {
  mock?: MockOptions;
  iommufd?: Partial<Omit<IommufdInit, 'selftest'>>;
  process?: Partial<ProcessInit>;
  /** Those with the same capital letter share a group. */
  devices?: readonly string[];
}

export class Machine {
  readonly faults = new FaultInjector();
  readonly base: IommufdBench;
  readonly driver: MockDriver;
  readonly context: Context;
  /** May be set to have a device refuse a domain. */
  fits: (domain: Domain, device: Device) => boolean = () => true;
  readonly #devices: Map<string, Device>;
  readonly #domains: Domain[] = [];
  readonly #watched: unknown[] = [];

  constructor(options: MachineOptions = {}) {
    this.base = new IommufdBench(
      { faults: this.faults, withSelftest: true, ...options.iommufd },
      options.process,
    );
    this.driver = new MockDriver({
      policy: byInitial,
      capabilities: ['cache-coherency', 'dirty-tracking'],
      userDomains: { nestParent: true, dirtyTracking: true, pasid: true, nested: true },
      faults: this.faults,
      resvRegions: regionsOf,
      pageRequests: () => true,
      maxPasids: () => 16,
      hwInfo: { type: 77, data: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]) },
      fits: (domain, device) => this.fits(domain, device),
      ...options.mock,
    });
    const { bench, iommufd } = this.base;
    const { devices = ['Ga', 'Gb', 'Gc', 'Ha'] } = options;
    this.#devices = new Map(devices.map((name) => [name, bench.device(name)]));
    bench.iommu.registerDevice(
      new MockIommu({
        driver: this.driver,
        isolatedMsi: () => true,
        covers: (device) => !isMockDevice(device),
      }),
    );
    this.#keepDomains(iommufd.selftest!.instance.driver);
    this.context = this.base.open();
  }

  get memory() {
    return this.base.memory;
  }

  get physical() {
    return this.base.physical;
  }

  device(name: string): Device {
    return this.#devices.get(name)!;
  }

  bind(name: string, context = this.context): IommufdDevice {
    return IommufdDevice.bind(context, this.device(name));
  }

  /** Must be as it was after a failure, too: a request, say, which only success writes to. */
  watch<T>(value: T): T {
    this.#watched.push(value);
    return value;
  }

  /** All that is the same again after a call that failed, as plain data. */
  picture(): unknown {
    const { iommufd, bench, physical, files } = this.base;
    const devices = [...this.#devices.values()];
    return {
      iommufd: describeIommufd(iommufd),
      pins: this.memory.arenas.map((arena) => {
        return Array.from({ length: Math.min(arena.pages, 1024) }, (_, page) =>
          physical.pins(arena.frameOf(page)),
        ).join('');
      }),
      files: files.size,
      attached: devices.map((device) => this.driver.attached.get(device)?.label),
      pasids: devices.map((device) => [...(this.driver.pasids.get(device) ?? [])].map(([id]) => id)),
      domains: [...this.driver.live].map((domain) => domain.label),
      selftestDomains: this.#domains.filter(({ freed }) => !freed).length,
      asking: [...this.driver.asking].map(({ name }) => name),
      answers: this.driver.responses.map(({ device, ...rest }) => ({ device: device.name, ...rest })),
      msi: [...this.driver.live].map(({ msiCookie }) => `${msiCookie}`),
      mocks: iommufd.selftest?.devices.map(({ name, cache, viommu }) => ({
        name,
        cache: [...cache],
        virtId: viommu?.virtId,
      })),
      memoryLimit: iommufd.selftest?.memoryLimit,
      groups: bench.partition(),
      references: bench.tracker.live().length,
      accountModes: [...iommufd.contexts].map(({ accountMode }) => accountMode),
      watched: this.#watched,
    };
  }

  /** Closes whatever is open; nothing may be left. */
  end(): void {
    const { files, iommufd } = this.base;
    for (const context of [...iommufd.contexts]) {
      for (const object of [...context.objects]) {
        if (!(object instanceof IommufdDevice) || isMockDevice(object.device)) continue;
        detachAll(object);
        object.unbind();
      }
    }
    files.closeAll();
    for (const context of [...iommufd.contexts]) if (context.isOpen) context.close();
    iommufd.assertNothingLeft();
    const groups = [...iommufd.iommu.groups.values()];
    const kept = groups.flatMap(({ defaultDomain, blockingDomain }) => [defaultDomain, blockingDomain]);
    const left = [...this.driver.live].filter((domain) => !kept.includes(domain));
    if (left.length > 0) throw new Error(`domains are left: ${left.map(({ label }) => label).join(', ')}`);
    const mocks = this.#domains.filter(({ freed }) => !freed);
    if (mocks.length > 0) throw new Error(`${mocks.length} domains of the selftest are left`);
  }

  #keepDomains(driver: IommuDriver): void {
    const { domainAllocUser, viommuAlloc } = driver;
    const keep = (domain: Domain): Domain => {
      if (domain.pageTable !== undefined) growFully(domain.pageTable, domain.aperture.last);
      this.#domains.push(domain);
      return domain;
    };
    driver.domainAllocUser = (...args) => keep(domainAllocUser!.apply(driver, args));
    driver.viommuAlloc = (...args) => {
      const slice = viommuAlloc!.apply(driver, args);
      const { allocDomainNested } = slice;
      slice.allocDomainNested = (data) => keep(allocDomainNested!.call(slice, data));
      return slice;
    };
  }
}

/**
 * Page tables get more levels as addresses need them and never fewer again, as those of the AMD driver; a failed call
 * may leave that behind. Here they have all of them from the beginning, so that every table counts.
 */
function growFully(table: IoPageTable, last: bigint): void {
  const { onAllocate } = table;
  table.onAllocate = undefined;
  table.map(last + 1n - KIB2, 0n, KIB2, 3);
  table.unmap(last + 1n - KIB2, KIB2);
  table.onAllocate = onAllocate;
}

/** From every PASID and from where it is without one. */
export function detachAll(bound: IommufdDevice): void {
  for (const [pasid, { devices }] of [...bound.group.attachments]) {
    if (!devices.has(bound)) continue;
    if (pasid === 0) bound.detach();
    else bound.pasidDetach(pasid);
  }
}
