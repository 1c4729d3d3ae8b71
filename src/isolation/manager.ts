/** Whoever owns groups and decides which drivers may have their devices (VFIO, in 2012). */

import type { Device } from '../device/device.ts';
import type { IsolationGroup } from './group.ts';

export interface ManagerInit {
  /** What refusals call it. */
  name: string;
  /** A device is in one of the groups now, attached to the domain if there is one, and not probed yet if it is new. */
  arrived?(device: Device, group: IsolationGroup): void;
  /** A device has left. */
  departed?(device: Device, group: IsolationGroup): void;
}

/**
 * One instance of a manager. All groups it holds share its domain, so nothing has to be merged when a second group
 * comes.
 */
export class IsolationManager {
  readonly name: string;
  /** In the order they were taken. Only the isolation core changes it. */
  readonly groups = new Set<IsolationGroup>();
  readonly #init: ManagerInit;

  constructor(init: ManagerInit) {
    this.name = init.name;
    this.#init = init;
  }

  arrived(device: Device, group: IsolationGroup): void {
    this.#init.arrived?.(device, group);
  }

  departed(device: Device, group: IsolationGroup): void {
    this.#init.departed?.(device, group);
  }
}
