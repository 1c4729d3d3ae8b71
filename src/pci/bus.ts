/** One PCI bus (`struct pci_bus`). */

import type { Device } from '../device/device.ts';
import { formatBus, slotOf } from './address.ts';
import type { PciDevice } from './device.ts';

export interface PciBusInit {
  domain: number;
  number: number;
  /** The bridge that leads to it; a root bus and the virtual bus of VFs have none. */
  self?: PciDevice | undefined;
  parent?: PciBus | undefined;
  /** What devices on it hang from in sysfs: the bridge, or the host bridge. */
  bridge: Device;
  /** Root bus of a domain whose DMA another device makes (VMD). Handed down to the buses below. */
  dmaDevice?: PciDevice | undefined;
  /** Where it hangs is a guess: bus numbers of some bridge are unknown. */
  uncertain?: boolean | undefined;
}

export class PciBus {
  readonly domain: number;
  readonly number: number;
  readonly self: PciDevice | undefined;
  readonly parent: PciBus | undefined;
  readonly bridge: Device;
  readonly dmaDevice: PciDevice | undefined;
  readonly uncertain: boolean;
  /** In the order of the kernel's device list. */
  readonly devices: PciDevice[] = [];
  /** Buses right below, in the order they were made. */
  readonly children: PciBus[] = [];
  #slots: Map<number, PciDevice[]> | undefined;

  constructor(init: PciBusInit) {
    this.domain = init.domain;
    this.number = init.number;
    this.self = init.self;
    this.parent = init.parent;
    this.bridge = init.bridge;
    this.dmaDevice = init.dmaDevice ?? init.parent?.dmaDevice;
    this.uncertain = init.uncertain === true;
  }

  /** `0000:01` */
  get name(): string {
    return formatBus(this.domain, this.number);
  }

  /** `pci_is_root_bus` */
  get isRoot(): boolean {
    return this.parent === undefined;
  }

  /** Functions of one slot (devfn bits 7:3), in the order of the kernel's device list. */
  functionsOf(slot: number): readonly PciDevice[] {
    if (this.#slots === undefined) {
      this.#slots = new Map();
      for (const device of this.devices) {
        const list = this.#slots.get(device.slot);
        if (list === undefined) this.#slots.set(device.slot, [device]);
        else list.push(device);
      }
    }
    return this.#slots.get(slot) ?? [];
  }

  /** The function at `devfn`, if there is one (`pci_get_slot`). */
  deviceAt(devfn: number): PciDevice | undefined {
    return this.functionsOf(slotOf(devfn)).find((device) => device.devfn === devfn);
  }

  /** To be called by the topology only. */
  insert(device: PciDevice): void {
    this.devices.push(device);
    this.#slots = undefined;
  }

  /** To be called by the topology only. */
  take(device: PciDevice): void {
    const at = this.devices.indexOf(device);
    if (at >= 0) this.devices.splice(at, 1);
    this.#slots = undefined;
  }
}
