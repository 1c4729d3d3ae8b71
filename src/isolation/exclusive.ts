/** Ownership is exclusive up and down the device tree: who is in the way of taking a group. */

import type { Device } from '../device/device.ts';
import type { IsolationGroup } from './group.ts';
import type { IsolationManager } from './manager.ts';

/** A group in somebody else's hands, and how it is related. */
export interface Obstacle {
  group: IsolationGroup;
  manager: IsolationManager;
  /** A device of `group`, and which of the wanted ones it is above or below of. */
  device: Device;
  member: Device;
  where: 'above' | 'below';
}

/**
 * The first device above or below any of `devices` that another instance than `manager` has taken. One instance may
 * hold groups at both levels: it is one owner.
 */
export function takenAboveOrBelow(
  devices: readonly Device[],
  manager: IsolationManager,
  groupOf: (device: Device) => IsolationGroup | undefined,
): Obstacle | undefined {
  const obstacle = (member: Device, device: Device, where: Obstacle['where']): Obstacle | undefined => {
    const group = groupOf(device);
    if (group?.manager === undefined || group.manager === manager) return undefined;
    return { group, manager: group.manager, device, member, where };
  };
  const members = new Set(devices);
  for (const member of members) {
    for (let above = member.parent; above !== undefined; above = above.parent) {
      const found = obstacle(member, above, 'above');
      if (found) return found;
    }
    const below = [...member.children];
    for (let device = below.pop(); device !== undefined; device = below.pop()) {
      const found = obstacle(member, device, 'below');
      if (found) return found;
      // What is below a member is looked at when it is that member's turn.
      if (!members.has(device)) below.push(...device.children);
    }
  }
  return undefined;
}
