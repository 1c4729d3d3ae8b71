/** What providers have in common: groups kept by whatever tells them apart, from the first device to the last. */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import type { IsolationGroup } from './group.ts';
import type { Isolation } from './isolation.ts';
import type { IsolationIommuOps, IsolationProvider, ProviderAnswer } from './provider.ts';

/** Where a device belongs. */
export interface Place {
  /** Devices with the same key share a group. */
  key: unknown;
  /** What a new group is called, best the same after a reboot; absent: a UUID. */
  name?: string;
  /** What attaches a new group to domains. */
  ops?: IsolationIommuOps | undefined;
}

export abstract class OwnGroups implements IsolationProvider {
  readonly name: string;
  protected readonly isolation: Isolation;
  protected readonly buses = new Set<Bus>();
  protected readonly groups = new Map<unknown, IsolationGroup>();

  constructor(isolation: Isolation, name: string) {
    this.isolation = isolation;
    this.name = name;
  }

  /** Where the device belongs; `outside` and nothing as in `IsolationProvider.added`. */
  protected abstract placeOf(device: Device): Place | ProviderAnswer;

  /**
   * Forms groups of the devices on these buses, of those that are there and those to come.
   *
   * @throws KernelError as `Isolation.registerNotifier`; then it is registered for none of them
   */
  start(buses: Iterable<Bus>): void {
    try {
      for (const bus of buses) {
        this.isolation.registerNotifier(bus, this);
        this.buses.add(bus);
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Lets go of every device, frees the groups that nobody manages, and leaves the buses. */
  stop(): void {
    for (const group of new Set(this.groups.values())) {
      // What was adopted because of a device goes along with it.
      for (const device of group.devices) if (group.has(device)) this.isolation.delDev(device);
      this.#freeIfDone(group);
    }
    this.groups.clear();
    for (const bus of this.buses) this.isolation.unregisterNotifier(bus, this);
    this.buses.clear();
  }

  added(device: Device): ProviderAnswer {
    const place = this.placeOf(device);
    if (place === undefined || place === 'outside') return place;
    const known = this.groups.get(place.key);
    const group = known ?? this.#create(place);
    try {
      this.isolation.addDev(group, device);
    } catch (error) {
      if (known === undefined) this.#freeIfDone(group);
      throw error;
    }
    return undefined;
  }

  removed(device: Device): void {
    const group = this.isolation.groupOf(device);
    if (group?.provider !== this) return;
    this.isolation.delDev(device);
    this.#freeIfDone(group);
  }

  /** An empty group that was handed over is kept for what may be plugged in, until it is given up. */
  givenUp(group: IsolationGroup): void {
    this.#freeIfDone(group);
  }

  #create(place: Place): IsolationGroup {
    const group = this.isolation.createGroup(this, place.name);
    if (place.ops) this.isolation.setIommuOps(group, place.ops);
    this.groups.set(place.key, group);
    return group;
  }

  #freeIfDone(group: IsolationGroup): void {
    if (group.size > 0 || group.manager !== undefined) return;
    this.isolation.freeGroup(group);
    for (const [key, value] of this.groups) if (value === group) this.groups.delete(key);
  }
}
