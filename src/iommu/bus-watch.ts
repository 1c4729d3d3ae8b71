/** The buses the subsystem listens to, and who decides about each one's devices. */

import type { Bus, BusEvent } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Verdict } from '../kernel/notifier.ts';
import type { Group } from './group.ts';
import { REPUBLISHED } from './group-events.ts';

/** Order of a walk (`iommu_buses`); other buses follow in the order they were added. */
const BUS_ORDER = ['platform', 'pci', 'amba', 'fsl-mc', 'host1x-context', 'cdx'];

/** What a device's arrival and departure leads to: today's probe, or a driver of 2012. */
export interface BusHooks {
  readonly name: string;
  added(device: Device): void;
  deleted?(device: Device): void;
  removed?(device: Device): void;
}

export class BusWatch {
  readonly #usual: BusHooks;
  readonly #groupOf: (device: Device) => Group | undefined;
  readonly #hooks = new Map<Bus, BusHooks>();

  /** @param usual decides about a bus's devices until `replace` */
  constructor(usual: BusHooks, groupOf: (device: Device) => Group | undefined) {
    this.#usual = usual;
    this.#groupOf = groupOf;
  }

  /** `bus_register_notifier`, once per bus. */
  add(bus: Bus): void {
    if (this.#hooks.has(bus)) return;
    this.#hooks.set(bus, this.#usual);
    bus.notifier.register((event) => this.#notified(bus, event));
  }

  /** @throws KernelError EBUSY it was replaced before */
  replace(bus: Bus, hooks: BusHooks): void {
    this.add(bus);
    const current = this.#hooks.get(bus);
    if (current !== this.#usual) {
      throw new KernelError('EBUSY', `bus ${bus.name}`, `its devices are ${current?.name}'s already`);
    }
    this.#hooks.set(bus, hooks);
  }

  /** In the kernel's order, those of `iommu_buses` first. */
  inWalkOrder(): Bus[] {
    const place = (bus: Bus) => {
      const at = BUS_ORDER.indexOf(bus.name);
      return at < 0 ? BUS_ORDER.length : at;
    };
    return [...this.#hooks.keys()].sort((a, b) => place(a) - place(b));
  }

  /** `iommu_bus_notifier`. What fails here nobody hears of: the device simply has no group. */
  #notified(bus: Bus, { action, device }: BusEvent): Verdict {
    const hooks = this.#hooks.get(bus) ?? this.#usual;
    const republished = REPUBLISHED[action];
    if (republished) this.#groupOf(device)?.announce(republished, device);
    try {
      if (action === 'add') hooks.added(device);
      else if (action === 'del') hooks.deleted?.(device);
      else if (action === 'removed') hooks.removed?.(device);
    } catch (error) {
      if (error instanceof KernelError) return 'done';
      throw error;
    }
    return 'ok';
  }
}
