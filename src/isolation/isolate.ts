/** Isolation groups for a whole machine in one call, from what a booted one has. */

import type { Bus } from '../device/bus.ts';
import type { DeviceCore } from '../device/core.ts';
import type { Device } from '../device/device.ts';
import type { Iommu } from '../iommu/iommu.ts';
import type { AcsContext } from '../pci/acs.ts';
import { IommuProvider } from './iommu-provider.ts';
import { Isolation, type IsolationOptions } from './isolation.ts';

export interface IsolatedParts {
  core: DeviceCore;
  iommu: Iommu;
  acs?: AcsContext;
  /** Devices of every bus that is to be looked at; what comes to these buses later is looked at too. */
  devices: Iterable<Device>;
}

export interface Isolated {
  isolation: Isolation;
  provider: IommuProvider;
}

/** @throws KernelError as `Isolation.init` and `IommuProvider.start` */
export function isolate(parts: IsolatedParts, options: Omit<IsolationOptions, 'core'> = {}): Isolated {
  const { core, iommu, acs, devices } = parts;
  const isolation = new Isolation({ core, ...options });
  isolation.init();
  const provider = new IommuProvider({ isolation, iommu, ...(acs && { acs }) });
  const buses = new Set<Bus>();
  for (const { bus } of devices) if (bus) buses.add(bus);
  provider.start(buses);
  return { isolation, provider };
}
