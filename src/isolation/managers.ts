/** The part of the isolation core that hands groups over, and keeps other drivers out of them. */

import type { MatchGate } from '../device/binding.ts';
import type { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import { KernelError } from '../kernel/errors.ts';
import type { IsolationGroup } from './group.ts';
import type { GroupOptions } from './groups.ts';
import { type AcceptedLacks, lackWords, type StatedLack, unaccepted } from './lacks.ts';
import type { IsolationManager } from './manager.ts';
import { IsolationMembers } from './members.ts';

export interface ManagerOptions extends GroupOptions {
  /** Lacks a group may have and be handed over; none unless told. */
  accepted?: AcceptedLacks;
}

export abstract class IsolationManagers extends IsolationMembers {
  /** The machine's policy. A change concerns groups taken from then on. */
  accepted: AcceptedLacks;

  constructor(options: ManagerOptions) {
    super(options);
    this.accepted = options.accepted ?? new Set();
  }

  /**
   * The group by which a device can be handed over.
   *
   * @throws KernelError ENODEV it has none: nothing translates it, so it can never be
   */
  groupToHandOver(device: Device): IsolationGroup {
    const group = this.groupOf(device);
    if (group !== undefined) return group;
    const why = this.stateOf(device).outside?.why ?? 'no provider knows it or anything above it';
    throw new KernelError(
      'ENODEV',
      device.name,
      `is in no isolation group (${why}), so it cannot be handed over`,
    );
  }

  /** What the group's isolation lacks: what its provider states, and claims by others. */
  lacksOf(group: IsolationGroup): StatedLack[] {
    return [
      ...(group.provider.lacksOf?.(group.devices) ?? []),
      ...group.disputes.map((why): StatedLack => ({ lack: 'disputed', why })),
    ];
  }

  /** `isolation_group_managed`: somebody has taken it. */
  managed(group: IsolationGroup): boolean {
    return group.manager !== undefined;
  }

  /**
   * `isolation_group_init_manager`: `manager` takes the group. If the instance holds others and there is a domain,
   * all of them share it.
   *
   * @throws KernelError EBUSY it has a manager, another instance has taken a group above or below it or one that
   *   shares its domain, or it and the instance have a domain each; EPERM it can be nobody's, or lacks what policy
   *   does not do without, each lack named; EIO its IOMMU operations are not those of the instance's domain; ENOMEM;
   *   else the IOMMU driver's refusal. Nothing has changed then
   */
  initManager(group: IsolationGroup, manager: IsolationManager): void {
    this.assertLive(group, `taking it for ${manager.name}`);
    using _ = this.lock.hold(`taking ${group.describe()}`);
    if (group.manager !== undefined) {
      throw new KernelError('EBUSY', group.describe(), `is managed by ${group.manager.name} already`);
    }
    this.#assertManageable(group);
    this.assertExclusive(group, group.devices, manager);
    if (group.domain) this.assertOneOwner(group.domain, group, manager, 'wanted');
    this.step('manager');
    this.#shareDomain(group, manager);
    group.manager = manager;
    manager.groups.add(group);
  }

  /**
   * `isolation_group_free_manager`: the group is given up, and its list of drivers forgotten. It leaves its domain
   * too, as by `freeIommuDomain`: whoever has it next, another owner or the host's drivers, meets no mappings of
   * this one. Not refused while there is a domain, so that an owner that died can always be cleaned up after.
   * Nothing without a manager.
   */
  freeManager(group: IsolationGroup): void {
    this.assertLive(group, 'giving it up');
    {
      using _ = this.lock.hold(`giving up ${group.describe()}`);
      const { manager } = group;
      if (manager === undefined) return;
      this.leaveDomain(group);
      manager.groups.delete(group);
      group.manager = undefined;
      group.drivers.clear();
    }
    group.provider.givenUp?.(group);
  }

  /**
   * `isolation_group_manager_add_driver`: from now on the driver may have the group's devices.
   *
   * @throws KernelError EINVAL nobody manages the group; ENOMEM
   */
  managerAddDriver(group: IsolationGroup, driver: Driver): void {
    this.assertLive(group, `allowing ${driver.name}`);
    if (group.manager === undefined) {
      throw new KernelError('EINVAL', group.describe(), `is nobody's, so nobody can let ${driver.name} in`);
    }
    this.step('allowed driver');
    group.drivers.add(driver);
  }

  /** `isolation_group_manager_del_driver`: silent when it was not allowed. What it has bound stays bound. */
  managerDelDriver(group: IsolationGroup, driver: Driver): void {
    group.drivers.delete(driver);
  }

  /** `isolation_group_manager_driver`: the group is managed and the driver allowed. */
  managerDriver(group: IsolationGroup, driver: Driver): boolean {
    return group.drivers.has(driver);
  }

  /**
   * `isolation_group_manager_locked`: the group is managed and every device has an allowed driver, or none: without
   * a driver it does no DMA and offers no interface.
   */
  managerLocked(group: IsolationGroup): boolean {
    return group.manager !== undefined && this.strangers(group).length === 0;
  }

  /** Devices that keep a group from being locked: bound to a driver that is not allowed. */
  strangers(group: IsolationGroup): Device[] {
    return group.devices.filter(({ driver }) => driver !== undefined && !group.drivers.has(driver));
  }

  /** For `driver_match_device`: into a managed group only allowed drivers. */
  protected readonly gate: MatchGate = (device, driver) => {
    const group = this.groupOf(device);
    return group?.manager === undefined || group.drivers.has(driver);
  };

  /** What could cure the lacks, in words; nothing where nothing could. */
  protected abstract cureFor(group: IsolationGroup): string | undefined;

  #assertManageable(group: IsolationGroup): void {
    const why = group.provider.unmanageable?.(group);
    if (why !== undefined) throw new KernelError('EPERM', group.describe(), `cannot be handed over: ${why}`);
    const lacks = unaccepted(this.lacksOf(group), this.accepted);
    if (lacks.length === 0) return;
    throw new KernelError(
      'EPERM',
      group.describe(),
      `lacks what policy asks for: ${lackWords(lacks)}`,
      this.cureFor(group),
    );
  }

  #shareDomain(group: IsolationGroup, manager: IsolationManager): void {
    const others = [...manager.groups];
    const shared = others.find(({ domain }) => domain !== undefined)?.domain;
    if (shared !== undefined && group.domain === undefined) this.attachGroups(shared, [group]);
    else if (shared === undefined && group.domain !== undefined) this.attachGroups(group.domain, others);
    else if (shared !== group.domain) {
      throw new KernelError('EBUSY', group.describe(), `has a domain, and ${manager.name} has another`);
    }
  }
}
