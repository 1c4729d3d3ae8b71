/** For tests: a machine whose devices a VFIO driver has, behind a mock IOMMU. */

import type { Device } from '../../device/device.ts';
import type { Driver } from '../../device/driver.ts';
import { MockDriver, MockIommu, type MockOptions } from '../../iommu/drivers/mock.ts';
import type { Group } from '../../iommu/group.ts';
import { byInitial } from '../../iommu/testing.ts';
import type { Arena } from '../arena.ts';
import type { Context } from '../context.ts';
import { Ioas } from '../ioas.ts';
import type { IommufdInit } from '../iommufd.ts';
import type { ProcessInit } from '../process.ts';
import { IommufdBench } from '../testing.ts';
import type { VfioDeviceFile } from './device-file.ts';
import type { VfioGroupFile } from './group-file.ts';
import { Vfio } from './vfio.ts';

export interface VfioBenchOptions {
  iommu?: MockOptions;
  iommufd?: Partial<Omit<IommufdInit, 'selftest'>> & { withSelftest?: boolean };
  process?: Partial<ProcessInit>;
  /** Whether the IOMMU has the device; every one unless told. */
  covers?(device: Device): boolean;
}

export class VfioBench extends IommufdBench {
  readonly mock: MockDriver;
  readonly vfio: Vfio;
  /** What the driver was told, in order: `open Ga`, `close Ga`. */
  readonly told: string[] = [];
  /** Takes devices by hand (`give`). */
  readonly driver: Driver;
  /** Likewise, an ordinary driver. */
  readonly ordinary: Driver;
  readonly arena: Arena;

  constructor(options: VfioBenchOptions = {}) {
    const mock = new MockDriver({ policy: byInitial, capabilities: ['cache-coherency'], ...options.iommu });
    super({ faults: mock.faults, ...options.iommufd }, options.process);
    this.mock = mock;
    const covers = options.covers ?? (() => true);
    this.bench.iommu.registerDevice(new MockIommu({ driver: mock, isolatedMsi: () => true, covers }));
    this.vfio = new Vfio(this.iommufd);
    const { bus } = this.bench;
    const never = () => false;
    this.driver = {
      name: 'vfio-test',
      bus,
      driverManagedDma: true,
      match: never,
      probe: (device) => {
        this.vfio.registerGroupDev(device, {
          name: 'vfio-test',
          openDevice: () => {
            this.faults.step('open device');
            this.told.push(`open ${device.name}`);
          },
          closeDevice: () => this.told.push(`close ${device.name}`),
          request: () => this.told.push(`request ${device.name}`),
        });
      },
      remove: (device) => this.vfio.unregisterGroupDev(device),
    };
    this.ordinary = { name: 'nic', bus, match: never };
    this.bench.core.registerDriver(this.driver);
    this.bench.core.registerDriver(this.ordinary);
    this.arena = this.memory.mmap(64, { name: 'arena' });
  }

  /** New devices on the bus, with the VFIO driver. Those with the same capital letter share a group. */
  give(...names: string[]): Device[] {
    return names.map((name) => {
      const device = this.bench.device(name);
      this.bind(device, this.driver);
      return device;
    });
  }

  /** Binds a device to a driver that does not ask for it, as driver_override does. */
  bind(device: Device, driver: Driver): void {
    device.driverOverride = driver.name;
    this.bench.core.bind(device, driver);
  }

  groupOf(device: Device): Group {
    return this.iommufd.iommu.groupOf(device)!;
  }

  /** The open file of the group a device is in. */
  openGroupOf(device: Device): VfioGroupFile {
    return this.vfio.openGroup(this.vfio.find(device)!.group.name, this.process);
  }

  openCdev(device: Device): VfioDeviceFile {
    return this.vfio.openDevice(this.vfio.find(device)!.name, this.process);
  }

  /** Makes an address space and chooses it for old calls, as `IOMMU_VFIO_IOAS` does. */
  choose(context: Context): Ioas {
    const ioas = Ioas.alloc(context);
    context.objects.publish(ioas);
    context.vfioIoas = ioas;
    return ioas;
  }

  /** Everything a failed call must leave alone. */
  picture(): unknown {
    const { iommu } = this.iommufd;
    return {
      contexts: [...this.iommufd.contexts].map((context) => pictureOf(context)),
      groups: [...iommu.groups.values()].map((group) => ({
        name: group.describe(),
        owners: group.ownerCount,
        owner: (group.dmaOwner as Context | undefined)?.label,
        domain: group.domain?.label,
        devices: group.devices.map(({ name }) => name),
      })),
      vfioGroups: [...this.vfio.groups.values()].map((group) => ({
        name: group.name,
        context: group.context?.label,
        open: group.openedFile !== undefined,
        deviceFiles: group.deviceFiles,
        devices: group.devices.map(({ label }) => label),
      })),
      devices: this.vfio.devices.map((device) => ({
        name: device.label,
        registered: device.isRegistered,
        openCount: device.openCount,
        bound: device.iommufdDevice?.label,
        attached: device.isAttached,
        pasids: device.pasids,
        cdevOpened: device.cdevOpened,
      })),
      told: openOnly(this.told),
      pinned: this.physical.pinned,
      locked: this.process.lockedPages,
      domains: this.mock.live.size,
      attached: [...this.mock.attached].map(([device, domain]) => `${device.name}: ${domain.label}`),
    };
  }
}

/** Devices open in the end: an open that is taken back is none. */
function openOnly(told: readonly string[]): string[] {
  const open = new Set<string>();
  for (const line of told) {
    const [what, name] = line.split(' ') as [string, string];
    if (what === 'open') open.add(name);
    else if (what === 'close') open.delete(name);
  }
  return [...open];
}

function pictureOf(context: Context): unknown {
  return {
    label: context.label,
    references: context.references,
    noiommu: context.noiommuMode,
    compat: context.vfioIoas?.id,
    objects: [...context.objects].map((object) => ({
      label: object.label,
      users: object.users,
      calls: object.callsInFlight,
      ...(object.type === 'ioas' ? addressesOf(object as Ioas) : {}),
    })),
    hidden: context.objects.hiddenIds,
  };
}

function addressesOf({ iovas, hwpts }: Ioas): object {
  return {
    alignment: iovas.iovaAlignment,
    hugePages: !iovas.largePagesDisabled,
    usable: iovas.usableRanges(),
    areas: [...iovas.areas].map(({ value: { iova, last, prot } }) => ({ iova, last, prot })),
    hwpts: [...hwpts].map(({ label }) => label),
  };
}
