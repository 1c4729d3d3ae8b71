/**
 * The part of the isolation core that makes one strong group of several weak ones: what cannot be told apart safely
 * is handed over together, up to the bridge that does isolate.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { type IsolationGroup, unpoint } from './group.ts';
import { lackWords, type StatedLack, unaccepted } from './lacks.ts';
import { IsolationNotifiers } from './notifiers.ts';

/** What a consolidation does, or did. */
export interface Consolidation {
  /** Where the strong group is isolated from the rest. */
  bridge: Device;
  /** The groups that go, in the order they were created, each with what it lacked. */
  merged: { name: string; devices: Device[]; lacks: StatedLack[] }[];
  /** Members of the strong group, in order. */
  devices: Device[];
  /** What the weak groups lacked and the strong one does not. */
  cured: StatedLack[];
  /** What is still lacking; policy accepts it. */
  remaining: StatedLack[];
}

export interface Consolidated extends Consolidation {
  group: IsolationGroup;
}

/** The devices it takes, with all the groups they are in. */
interface Reach {
  bridge: Device;
  groups: Set<IsolationGroup>;
  devices: Set<Device>;
}

export abstract class IsolationConsolidation extends IsolationNotifiers {
  /**
   * What would have to come together for `group` to lack no more than policy accepts. Changes nothing.
   *
   * @throws KernelError EINVAL it lacks nothing that policy asks for; EPERM nothing above cures the lacks, each
   *   named, or a group that would have to come in can be nobody's; EBUSY one is managed or has a domain; EIO one has
   *   other IOMMU operations; EINVAL one is another provider's
   */
  planConsolidation(group: IsolationGroup): Consolidation {
    this.assertLive(group, 'consolidating');
    const lacks = unaccepted(this.lacksOf(group), this.accepted);
    if (lacks.length === 0) {
      throw new KernelError('EINVAL', group.describe(), 'lacks nothing that policy asks for');
    }
    const { bridge, groups } = this.#reach(group, lacks);
    const merged = [...this.groups.values()].filter((each) => groups.has(each));
    for (const each of merged) this.#assertFreeToMerge(each, group);
    const devices = merged.flatMap((each) => each.devices);
    const remaining = this.#lacksOfAll(group, groups, devices);
    const still = new Set(remaining.map(({ lack }) => lack));
    const before = merged.flatMap((each) => this.lacksOf(each));
    return {
      bridge,
      merged: merged.map((each) => ({ name: each.name, devices: each.devices, lacks: this.lacksOf(each) })),
      devices,
      cured: before.filter(({ lack }) => !still.has(lack)),
      remaining,
    };
  }

  /**
   * Makes the strong group that `planConsolidation` tells of. It is named for its bridge where that name is free.
   *
   * @throws KernelError as `planConsolidation`, ENOMEM; nothing has changed then
   */
  consolidate(group: IsolationGroup): Consolidated {
    const plan = this.planConsolidation(group);
    const weak = [...this.groups.values()].filter((each) =>
      plan.merged.some(({ name }) => name === each.name),
    );
    const strong = this.createGroup(group.provider, plan.bridge.name);
    try {
      using _ = this.lock.hold(`consolidating at ${plan.bridge.name}`);
      for (const device of plan.devices) {
        this.step('devices link');
        strong.enter(device);
      }
    } catch (error) {
      for (const device of strong.devices) strong.leave(device);
      this.freeGroup(strong);
      throw error;
    }
    // Nothing fails from here on: every link is there but the one that moves.
    if (group.ops) strong.ops = group.ops;
    strong.bridge = plan.bridge;
    for (const each of weak) {
      for (const device of each.devices) {
        unpoint(device);
        strong.point(device);
        this.stateOf(device).group = strong;
        each.leave(device);
      }
      strong.disputes.push(...each.disputes);
      this.discard(each);
    }
    this.#nameForBridge(strong, plan.bridge.name);
    strong.provider.consolidated?.(weak, strong);
    return { ...plan, group: strong };
  }

  protected override cureFor(group: IsolationGroup): string | undefined {
    try {
      const { bridge, merged } = this.planConsolidation(group);
      const names = merged.map(({ name }) => name).join(', ');
      return `consolidating ${names} at ${bridge.name} would cure that`;
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Takes in whole groups until what is there lacks nothing, or nothing more comes in. */
  #reach(group: IsolationGroup, lacks: readonly StatedLack[]): Reach {
    const reach: Reach = {
      bridge: group.devices[0]!,
      groups: new Set([group]),
      devices: new Set(group.devices),
    };
    for (;;) {
      const size = reach.devices.size;
      const segment = group.provider.segmentOf?.([...reach.devices]);
      if (segment) {
        reach.bridge = segment.bridge;
        for (const device of segment.devices) this.#takeIn(device, reach);
      }
      const left = unaccepted(this.#lacksOfAll(group, reach.groups, [...reach.devices]), this.accepted);
      if (left.length === 0) return reach;
      if (reach.devices.size > size) continue;
      throw new KernelError(
        'EPERM',
        group.describe(),
        `no bridge above cures what it lacks: ${lackWords(lacks)}`,
      );
    }
  }

  #takeIn(device: Device, reach: Reach): void {
    const group = this.groupOf(device);
    if (group === undefined || reach.groups.has(group)) return;
    reach.groups.add(group);
    for (const member of group.devices) reach.devices.add(member);
  }

  #lacksOfAll(
    group: IsolationGroup,
    groups: Iterable<IsolationGroup>,
    devices: readonly Device[],
  ): StatedLack[] {
    const disputes = [...groups].flatMap((each) => each.disputes);
    return [
      ...(group.provider.lacksOf?.(devices) ?? []),
      ...disputes.map((why): StatedLack => ({ lack: 'disputed', why })),
    ];
  }

  #assertFreeToMerge(group: IsolationGroup, wanting: IsolationGroup): void {
    const object = group.describe();
    if (group.provider !== wanting.provider) {
      throw new KernelError('EINVAL', object, `is ${group.provider.name}'s, not ${wanting.provider.name}'s`);
    }
    if (group.manager !== undefined)
      throw new KernelError('EBUSY', object, `is managed by ${group.manager.name}`);
    if (group.domain !== undefined) throw new KernelError('EBUSY', object, 'has a domain', 'free it first');
    const why = group.provider.unmanageable?.(group);
    if (why !== undefined) throw new KernelError('EPERM', object, `cannot be handed over: ${why}`);
    if (group.ops !== wanting.ops) {
      throw new KernelError('EIO', object, `has other IOMMU operations than ${wanting.describe()}`);
    }
  }

  /** The group that had the bridge's name has gone. */
  #nameForBridge(group: IsolationGroup, name: string): void {
    if (group.name === name || this.top?.entry(name)) return;
    this.groups.delete(group.name);
    group.rename(name);
    this.groups.set(name, group);
  }
}
