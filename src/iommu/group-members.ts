/** The part of a group that is about identity and members: number, name, data, devices, listeners. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { Mutex } from '../kernel/lock.ts';
import { NotifierChain } from '../kernel/notifier.ts';
import { Referenced } from '../kernel/reference.ts';
import { SmallMap } from '../kernel/small-map.ts';
import type { GroupContext } from './context.ts';
import type { DeviceIommu } from './device-state.ts';
import type { Group } from './group.ts';
import type { GroupAction, GroupCallback, GroupEvent } from './group-events.ts';
import type { GroupDirectory } from './group-sysfs.ts';

export abstract class GroupMembers extends Referenced {
  /** `iommu_group_id`. */
  readonly id: number;
  protected readonly context: GroupContext;
  protected readonly lock: Mutex;
  /** In order of arrival, each with the name of its link in `devices/`. */
  protected readonly members = new SmallMap<Device, string>();
  readonly #directory: GroupDirectory;
  #name: string | undefined;
  #iommudata: unknown;
  #releaseIommudata: ((data: unknown) => void) | undefined;
  #departures: Map<Device, KernelError> | undefined;
  #listeners: NotifierChain<GroupEvent> | undefined;

  constructor(context: GroupContext, id: number, directory: GroupDirectory) {
    super(`group ${id}`, context.tracker);
    this.context = context;
    this.id = id;
    this.lock = new Mutex(`group ${id}`);
    this.#directory = directory;
  }

  /** `/kernel/iommu_groups/7` */
  get path(): string {
    return this.#directory.kobj.path;
  }

  /** What messages call the group: `group 7`, or `group 7 "vfio-noiommu"`. */
  override describe(): string {
    return this.#name === undefined ? `group ${this.id}` : `group ${this.id} "${this.#name}"`;
  }

  get name(): string | undefined {
    return this.#name;
  }

  /**
   * `iommu_group_set_name`. The file `name` exists only while a name is set.
   *
   * @param name none takes the name away
   * @throws KernelError ENOMEM no name given and none set: the kernel's answer to copying nothing
   */
  setName(name: string | undefined): void {
    this.alive('setting its name');
    if (name === undefined && this.#name === undefined) {
      throw new KernelError('ENOMEM', this.describe(), 'has no name to take away');
    }
    this.#name = name;
  }

  /** `iommu_group_get_iommudata`: whatever the driver left here. */
  getIommudata(): unknown {
    return this.#iommudata;
  }

  /** `iommu_group_set_iommudata`. `release` runs when the group goes; the one of earlier data is not called. */
  setIommudata<T>(data: T, release?: (data: T) => void): void {
    this.#iommudata = data;
    this.#releaseIommudata = release as ((data: unknown) => void) | undefined;
  }

  /** Members in order of arrival. */
  get devices(): Device[] {
    return [...this.members.keys()];
  }

  get size(): number {
    return this.members.size;
  }

  /** The name of a member's link in `devices/`, its own unless another member had it first. */
  linkName(device: Device): string | undefined {
    return this.members.get(device);
  }

  protected get firstDevice(): Device | undefined {
    for (const device of this.members.keys()) return device;
    return undefined;
  }

  /**
   * `iommu_group_add_device`: the device holds a reference from now on. For callers that form groups themselves;
   * devices behind an IOMMU driver come in through `Iommu.probeDevice`.
   *
   * @throws KernelError EEXIST the device is in a group, EINVAL it is not in sysfs; EDEADLK from under the lock
   */
  addDevice(device: Device): void {
    this.alive(`adding ${device.name}`);
    {
      using _ = this.lock.hold(`adding ${device.name}`);
      this.link(device);
      this.get();
      this.context.states.of(device).group = this.asGroup();
    }
    this.announce('addDevice', device);
  }

  /**
   * `iommu_group_remove_device` once the group is known: the reference the device held goes, and with the last
   * one the group. Does nothing for a device that is no member.
   *
   * @throws KernelError EDEADLK inside `forEachDevice` or anything else that holds the group's lock
   */
  removeDevice(device: Device): void {
    const state = this.context.states.find(device);
    if (state?.group !== this.asGroup()) return;
    this.#assertUnlocked(`removing ${device.name}`);
    this.announce('delDevice', device);
    this.context.messages.info(device.name, `Removing from iommu group ${this.id}`);
    {
      using _ = this.lock.hold(`removing ${device.name}`);
      this.unlink(device);
      this.forgetDevice(device, state);
      state.group = undefined;
    }
    this.put();
  }

  /**
   * `iommu_group_for_each_dev`: in order of arrival, under the group's lock.
   *
   * @param place names the caller in the EDEADLK that a callback gets which changes the group
   * @returns the first answer that is not 0, or 0
   * @throws KernelError EDEADLK a callback deleted a member altogether, which no longer could be refused; the
   *   walk is finished then and the device has left
   */
  forEachDevice(place: string, callback: (device: Device) => number | undefined): number {
    this.alive(place);
    let answer = 0;
    try {
      using _ = this.lock.hold(place);
      for (const device of this.members.keys()) {
        answer = callback(device) ?? 0;
        if (answer !== 0) break;
      }
    } finally {
      this.#finishDepartures();
    }
    return answer;
  }

  /** For a member whose deletion could not be refused while the group's lock was held. */
  leaveAfterWalk(device: Device, error: KernelError): void {
    this.#departures ??= new Map();
    this.#departures.set(device, error);
  }

  /**
   * `iommu_group_register_notifier`: the callback hears the six events of the group's devices.
   *
   * @throws KernelError EEXIST it does already
   */
  registerNotifier(callback: GroupCallback, priority = 0): void {
    this.alive('registering a notifier');
    this.#listeners ??= new NotifierChain(`notifiers of group ${this.id}`);
    this.#listeners.register(callback, priority);
  }

  /**
   * `iommu_group_unregister_notifier`.
   *
   * @throws KernelError ENOENT it was not registered
   */
  unregisterNotifier(callback: GroupCallback): void {
    if (this.#listeners === undefined) {
      throw new KernelError('ENOENT', this.describe(), 'the callback is not registered');
    }
    this.#listeners.unregister(callback);
  }

  /** Tells the listeners; their answers change nothing. */
  announce(action: GroupAction, device: Device): void {
    const event: GroupEvent = { action, device, group: this.asGroup() };
    this.#listeners?.call(event);
    this.context.groupNotifier.call(event);
  }

  /**
   * `iommu_group_alloc_device` and `list_add_tail`: links in sysfs and a place in the list. The reference is the
   * caller's matter.
   *
   * @throws KernelError EEXIST, EINVAL as `GroupDirectory.link`
   */
  protected link(device: Device): void {
    this.members.set(device, this.#directory.link(device));
    this.context.messages.info(device.name, `Adding to iommu group ${this.id}`);
  }

  /** `list_del` and `__iommu_group_free_device`. */
  protected unlink(device: Device): void {
    const name = this.members.get(device);
    if (name === undefined) return;
    this.members.delete(device);
    this.#directory.unlink(device, name);
  }

  #finishDepartures(): void {
    const departures = this.#departures;
    if (departures === undefined) return;
    this.#departures = undefined;
    for (const device of departures.keys()) this.removeDevice(device);
    for (const error of departures.values()) throw error;
  }

  /** So that the listeners are not told of a departure that cannot happen. */
  #assertUnlocked(place: string): void {
    this.lock.hold(place)[Symbol.dispose]();
  }

  /** The domains' part of a departure (`iommu_deinit_device`), under the lock. */
  protected abstract forgetDevice(device: Device, state: DeviceIommu): void;

  protected abstract asGroup(): Group;

  /** `iommu_group_release`. */
  protected override release(): void {
    this.#releaseIommudata?.(this.#iommudata);
    this.#directory.remove();
    this.context.groups.delete(this.id);
    this.context.ids.free(this.id);
  }
}
