/** The part of the isolation core that takes devices in and out of groups. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { takenAboveOrBelow } from './exclusive.ts';
import { type IsolationGroup, unpoint } from './group.ts';
import { IsolationGroups } from './groups.ts';
import type { IsolationManager } from './manager.ts';
import type { IsolationProvider } from './provider.ts';

/** A device that two providers claim: one of them is wrong about what isolates it. */
export interface Conflict {
  device: Device;
  /** The provider in whose group it is, and the one that tried to add it to one of its own. */
  holder: IsolationProvider;
  claimant: IsolationProvider;
}

export abstract class IsolationMembers extends IsolationGroups {
  /** Every claim by a second provider, in the order they were made. */
  readonly conflicts: Conflict[] = [];

  /**
   * `isolation_group_add_dev`: links both ways, and attached to the group's domain if there is one; then the manager
   * is told. A device that was only adopted moves here, with what was adopted because of it, and the manager is told
   * of each; but not while the adopting group is in use, so no manager ever loses one this way.
   *
   * @throws KernelError EINVAL it is not in sysfs; EBUSY it is in a group (if another provider's, that is reported
   *   and the group is disputed from then on), a device above it is handed over with another provider's group, or
   *   the group is managed and something above or below the device is somebody else's; ENOMEM; else what the IOMMU driver refused. Nothing has changed then
   */
  addDev(group: IsolationGroup, device: Device): void {
    this.assertLive(group, `adding ${device.name}`);
    const arrived = [device];
    {
      using _ = this.lock.hold(`adding ${device.name} to ${group.describe()}`);
      const current = this.groupOf(device);
      if (current === group && this.isAdopted(device)) {
        // What was here because of the device above it is here by right from now on.
        delete this.stateOf(device).adopted;
        delete this.stateOf(device).outside;
        return;
      }
      const moves = current !== undefined && current !== group && this.isAdopted(device) && !inUse(current);
      if (current !== undefined && !moves) throw this.#alreadyIn(current, group, device);
      this.#assertNotHandedOverAbove(group, device);
      if (group.manager) this.assertExclusive(group, [device], group.manager);
      if (moves) {
        arrived.push(...this.#followers(device, current));
        this.#move(arrived, current, group);
      } else this.#join(group, device);
      const state = this.stateOf(device);
      state.group = group;
      delete state.adopted;
      delete state.outside;
    }
    for (const each of arrived) this.#told(group, () => group.manager?.arrived(each, group));
  }

  /**
   * `isolation_group_del_dev`: detached, unlinked and forgotten; then the manager is told. What was adopted because
   * of it goes along.
   *
   * @throws KernelError ENODEV it is in no group
   */
  delDev(device: Device): void {
    const group = this.groupOf(device);
    if (group === undefined) throw new KernelError('ENODEV', device.name, 'is in no isolation group');
    for (const child of this.#adoptedBelow(device, group)) this.delDev(child);
    {
      using _ = this.lock.hold(`deleting ${device.name} from ${group.describe()}`);
      this.#part(group, device);
      const state = this.stateOf(device);
      const { provider } = group;
      if (!state.adopted) state.outside = { provider, why: `${provider.name} has let it go` };
      delete state.group;
      delete state.adopted;
    }
    this.#told(group, () => group.manager?.departed(device, group));
  }

  /** As `addDev`, for a device that no provider gave a group and whose parent is in `group`. */
  protected adoptInto(group: IsolationGroup, device: Device): void {
    {
      using _ = this.lock.hold(`adding ${device.name} to ${group.describe()}`);
      this.#join(group, device);
      const state = this.stateOf(device);
      state.group = group;
      state.adopted = true;
    }
    this.#told(group, () => group.manager?.arrived(device, group));
  }

  /** Links and the domain, or none of it. */
  #join(group: IsolationGroup, device: Device): void {
    if (device.kobj === undefined) {
      throw new KernelError('EINVAL', device.name, 'is not in sysfs', 'add the device first');
    }
    this.step('isolation_group link');
    group.point(device);
    try {
      this.step('devices link');
      group.enter(device);
      if (group.domain) group.domain.ops.attachDev(group.domain.handle, device);
    } catch (error) {
      group.leave(device);
      unpoint(device);
      throw error;
    }
  }

  /** All of them, or none. */
  #move(devices: readonly Device[], from: IsolationGroup, to: IsolationGroup): void {
    const moved: Device[] = [];
    for (const device of devices) {
      unpoint(device);
      try {
        this.#join(to, device);
        moved.push(device);
      } catch (error) {
        from.point(device);
        for (const back of moved.reverse()) {
          this.#part(to, back);
          from.point(back);
        }
        throw error;
      }
    }
    for (const device of devices) {
      from.leave(device);
      this.stateOf(device).group = to;
    }
  }

  /** Undoes `#join`. */
  #part(group: IsolationGroup, device: Device): void {
    if (group.domain) group.domain.ops.detachDev(group.domain.handle, device);
    group.leave(device);
    unpoint(device);
  }

  #alreadyIn(current: IsolationGroup, wanted: IsolationGroup, device: Device): KernelError {
    const holder = current.provider;
    const claimant = wanted.provider;
    if (holder === claimant || this.isAdopted(device)) {
      return new KernelError('EBUSY', device.name, `is in ${current.describe()} already`);
    }
    const problem = `is in ${current.describe()} of ${holder.name}, and ${claimant.name} claims it as well`;
    this.conflicts.push({ device, holder, claimant });
    current.disputes.push(`${device.name} ${problem}`);
    this.messages.err(device.name, problem);
    return new KernelError('EBUSY', device.name, problem, 'only one provider may be right about it');
  }

  /** A device above that is handed over in a group of another provider's: only its own may still form groups below. */
  protected handedOverAbove(device: Device, provider: IsolationProvider): Device | undefined {
    for (let above = device.parent; above !== undefined; above = above.parent) {
      const taken = this.groupOf(above);
      if (taken?.manager !== undefined && taken.provider !== provider) return above;
    }
    return undefined;
  }

  /** @throws KernelError EBUSY another instance has taken something above or below one of the devices */
  protected assertExclusive(
    group: IsolationGroup,
    devices: readonly Device[],
    manager: IsolationManager,
  ): void {
    const obstacle = takenAboveOrBelow(devices, manager, (device) => this.groupOf(device));
    if (obstacle === undefined) return;
    const { device, member, where } = obstacle;
    throw new KernelError(
      'EBUSY',
      group.describe(),
      `${device.name} ${where} ${member.name} is in ${obstacle.group.describe()}, which ${obstacle.manager.name} has`,
    );
  }

  #assertNotHandedOverAbove({ provider }: IsolationGroup, device: Device): void {
    const above = this.handedOverAbove(device, provider);
    if (above === undefined) return;
    const owner = this.groupOf(above)?.manager?.name;
    const problem = `${above.name} above it is handed over to ${owner}, so ${provider.name} isolates nothing there`;
    throw new KernelError('EBUSY', device.name, problem);
  }

  /** The nearest adopted devices below; what has no bus stands in nobody's way. */
  *#adoptedBelow(device: Device, group: IsolationGroup): Generator<Device> {
    for (const child of [...device.children]) {
      if (this.groupOf(child) === group && this.isAdopted(child)) yield child;
      else if (child.bus === undefined) yield* this.#adoptedBelow(child, group);
    }
  }

  /** Everything that was adopted because of the device, nearest first. */
  #followers(device: Device, group: IsolationGroup): Device[] {
    const followers: Device[] = [];
    for (const child of this.#adoptedBelow(device, group))
      followers.push(child, ...this.#followers(child, group));
    return followers;
  }

  /** A manager that cannot cope is told all the same: what happened has happened. */
  #told(group: IsolationGroup, tell: () => void): void {
    this.logged(group.describe(), tell);
  }
}

/** Whether somebody relies on the members of the group. */
export function inUse(group: IsolationGroup): boolean {
  return group.manager !== undefined || group.domain !== undefined;
}
