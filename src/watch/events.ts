/** What can happen between two states. Each event says enough to make it happen to the first state. */

import type { Owner, WatchDevice, WatchState } from './state.ts';

export type WatchEvent =
  | ({ event: 'add'; device: string } & WatchDevice)
  | ({ event: 'remove'; device: string } & WatchDevice)
  | { event: 'bind'; device: string; driver: string; group: number | null }
  | { event: 'unbind'; device: string; driver: string; group: number | null }
  /** A device that was there before entered, left or changed its group. */
  | { event: 'move'; device: string; before: number | null; after: number | null }
  | { event: 'group-add'; group: number; type: string | null }
  | { event: 'group-remove'; group: number }
  | { event: 'group-type'; group: number; before: string | null; after: string | null }
  /** Follows from binding; said of its own because it is what people wait for. */
  | { event: 'owner'; group: number; before: Owner; after: Owner };

/** The state after the events, which are those of `compareStates(state, …)` in their order. */
export function applyEvents(state: WatchState, events: readonly WatchEvent[]): WatchState {
  const devices = new Map(state.devices);
  const groups = new Map(state.groups);
  const change = (name: string, fields: Partial<WatchDevice>): void => {
    const device = devices.get(name);
    if (device !== undefined) devices.set(name, { ...device, ...fields });
  };
  for (const happened of events) {
    switch (happened.event) {
      case 'add': {
        const { event: _, device, ...facts } = happened;
        devices.set(device, facts);
        break;
      }
      case 'remove':
        devices.delete(happened.device);
        break;
      case 'bind':
        change(happened.device, { driver: happened.driver });
        break;
      case 'unbind':
        change(happened.device, { driver: null });
        break;
      case 'move':
        change(happened.device, { group: happened.after });
        break;
      case 'group-add':
        groups.set(happened.group, happened.type);
        break;
      case 'group-remove':
        groups.delete(happened.group);
        break;
      case 'group-type':
        groups.set(happened.group, happened.after);
        break;
      case 'owner':
        break;
    }
  }
  return { devices, groups };
}
