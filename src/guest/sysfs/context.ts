/** What every part of the simulated /sys is made from. */

import { deviceOf } from '../../device/device.ts';
import type { Vfio } from '../../iommufd/vfio/vfio.ts';
import type { Kobject } from '../../kernel/kobject.ts';
import type { Machine } from '../../machine/machine.ts';
import { PciDevice } from '../../pci/device.ts';
import type { ConfigRegisters } from './config-registers.ts';
import type { PciDrivers } from './drivers.ts';
import type { Uevent } from './events.ts';
import type { FactsByAddress } from './facts-by-address.ts';
import type { HotPlug } from './hot-plug.ts';
import type { RecordedTree } from './recorded-tree.ts';
import type { VirtualFunctions } from './virtual-functions.ts';

export interface ViewContext {
  readonly machine: Machine;
  readonly vfio: Vfio | undefined;
  readonly recorded: RecordedTree;
  readonly facts: FactsByAddress;
  readonly registers: ConfigRegisters;
  readonly drivers: PciDrivers;
  readonly virtualFunctions: VirtualFunctions;
  readonly hotPlug: HotPlug;
  /** Processors of the machine. */
  readonly cpus: number;
  /** Texts that were written to attributes of a device and change nothing else. */
  readonly written: WeakMap<PciDevice, Map<string, string>>;
  /** The same of files that belong to no device, by path. */
  readonly settings: Map<string, string>;
  tell(event: Uevent): void;
}

/** The PCI function whose directory this is. */
export function pciDeviceOf(kobj: Kobject): PciDevice | undefined {
  const device = deviceOf(kobj);
  return device instanceof PciDevice ? device : undefined;
}

/** Where in the recording a function's directory is. */
export function recordedDirectory(device: PciDevice, facts: FactsByAddress): string {
  const path = facts.get(device.address)?.path;
  return path === undefined ? `bus/pci/devices/${device.address}` : `devices/${path}`;
}
