/** For tests: devices behind a mock IOMMU, in groups of several, and calls on them in few words. */

import type { Device } from '../device/device.ts';
import { MockDriver, MockIommu, type MockOptions } from '../iommu/drivers/mock.ts';
import { FaultInjector } from '../iommu/fault-injector.ts';
import type { Group } from '../iommu/group.ts';
import { byInitial } from '../iommu/testing.ts';
import type { Arena } from './arena.ts';
import { type HwptAllocRequest, hwptAlloc } from './calls/hwpt-alloc.ts';
import { ioasAlloc } from './calls/ioas-alloc.ts';
import { ioasMap } from './calls/ioas-map.ts';
import type { Context } from './context.ts';
import { IommufdDevice } from './device.ts';
import { describeIommufd } from './dump.ts';
import type { Hwpt } from './hwpt.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import type { Ioas } from './ioas.ts';
import type { IommufdInit } from './iommufd.ts';
import { PAGE_BYTES } from './limits.ts';
import { IommufdBench } from './testing.ts';

const READ_WRITE_FIXED = 7;

export interface DeviceBenchOptions extends MockOptions {
  iommufd?: Partial<IommufdInit>;
  isolatedMsi?(device: Device): boolean;
  covers?(device: Device): boolean;
}

/**
 * Devices with the same first letter share a group: `Ga` and `Gb` one, `Ha` and `Hb` another. All steps, the driver's
 * too, count at one point.
 */
export class DeviceBench {
  readonly faults: FaultInjector;
  readonly base: IommufdBench;
  readonly driver: MockDriver;
  readonly context: Context;
  /** What each domain change looked like to the driver: device and domain. */
  readonly attaches: string[] = [];
  readonly #devices: Map<string, Device>;

  constructor(names: readonly string[], options: DeviceBenchOptions = {}) {
    const { iommufd = {}, isolatedMsi = () => true, covers = () => true, ...mock } = options;
    this.faults = new FaultInjector();
    this.base = new IommufdBench({ faults: this.faults, ...iommufd });
    this.#devices = new Map(names.map((name) => [name, this.base.bench.device(name)]));
    this.driver = new MockDriver({
      policy: byInitial,
      capabilities: ['cache-coherency'],
      userDomains: { nestParent: true, dirtyTracking: true, pasid: true, nested: true },
      faults: this.faults,
      ...mock,
      fits: (domain, device) => {
        this.attaches.push(`${device.name}: ${domain.name}`);
        return mock.fits?.(domain, device) ?? true;
      },
    });
    this.base.bench.iommu.registerDevice(new MockIommu({ driver: this.driver, isolatedMsi, covers }));
    this.context = this.base.open();
  }

  device(name: string): Device {
    return this.#devices.get(name)!;
  }

  group(name: string): Group {
    return this.base.bench.iommu.groupOf(this.device(name))!;
  }

  bind(name: string, context = this.context): IommufdDevice {
    return IommufdDevice.bind(context, this.device(name));
  }

  ioas(): Ioas {
    const request = { flags: 0, outIoasId: 0 };
    ioasAlloc(this.context, request);
    return this.context.objects.peek<Ioas>(request.outIoasId, 'ioas')!;
  }

  /** Fresh memory, mapped for reading and writing. */
  map(ioas: Ioas, iova: bigint, pages = 1): Arena {
    const arena = this.base.memory.mmap(pages);
    const length = BigInt(pages) * PAGE_BYTES;
    const request = {
      flags: READ_WRITE_FIXED,
      ioasId: ioas.id,
      reserved: 0,
      userVa: arena.base,
      length,
      iova,
    };
    ioasMap(this.context, request);
    return arena;
  }

  /** An HWPT of a user's making. */
  hwpt<H extends Hwpt = HwptPaging>(
    device: IommufdDevice,
    pt: { id: number },
    request: Partial<HwptAllocRequest> = {},
  ): H {
    const all = hwptRequest(device, pt, request);
    hwptAlloc(this.context, all);
    return this.context.objects.peek<H>(all.outHwptId)!;
  }

  /** Everything that has to be the same after a failure. */
  picture(): unknown {
    return {
      iommufd: describeIommufd(this.base.iommufd),
      attached: [...this.#devices.values()].map((device) => this.driver.attached.get(device)?.label),
      pasids: [...this.#devices.values()].map((device) => [
        ...(this.driver.pasids.get(device)?.keys() ?? []),
      ]),
      live: this.driver.live.size,
      asking: [...this.driver.asking].map(({ name }) => name),
      references: this.base.bench.tracker.live(),
      msi: [...this.driver.live].map(({ msiCookie }) => String(msiCookie)),
    };
  }

  /** Everything is given back: contexts closed, nothing pinned, owned or allocated. */
  end(): void {
    if (this.context.isOpen) this.context.close();
    this.base.iommufd.assertNothingLeft();
  }
}

/** A request of zeros but for what is given. */
export function hwptRequest(
  device: { id: number },
  pt: { id: number },
  request: Partial<HwptAllocRequest> = {},
): HwptAllocRequest {
  return {
    flags: 0,
    devId: device.id,
    ptId: pt.id,
    outHwptId: 0,
    reserved: 0,
    dataType: 0,
    dataLen: 0,
    dataUptr: 0n,
    faultId: 0,
    reserved2: 0,
    ...request,
  };
}
