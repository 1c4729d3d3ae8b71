/** What listeners of a group are told (the group notifiers of 3.6 to 5.18, groups-core.md 8). */

import type { BusAction } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import type { NotifierCallback } from '../kernel/notifier.ts';
import type { Group } from './group.ts';

/** The events with their numbers. */
export const GROUP_NOTIFY = {
  addDevice: 1,
  delDevice: 2,
  bindDriver: 3,
  boundDriver: 4,
  unbindDriver: 5,
  unboundDriver: 6,
} as const;

export type GroupAction = keyof typeof GROUP_NOTIFY;

export interface GroupEvent {
  action: GroupAction;
  device: Device;
  group: Group;
}

export type GroupCallback = NotifierCallback<GroupEvent>;

/** Bus events that are passed on to the listeners of the device's group; arrivals and departures are the group's own. */
export const REPUBLISHED: Partial<Record<BusAction, GroupAction>> = {
  bind: 'bindDriver',
  bound: 'boundDriver',
  unbind: 'unbindDriver',
  unbound: 'unboundDriver',
};
