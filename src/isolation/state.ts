/** What all parts of the isolation core share: the machine's groups, and what is known of each device. */

import { type Device, DeviceSlot } from '../device/device.ts';
import { type Message, Messages } from '../iommu/messages.ts';
import { KernelError } from '../kernel/errors.ts';
import { Mutex } from '../kernel/lock.ts';
import type { IsolationGroup } from './group.ts';
import type { IsolationProvider } from './provider.ts';

export interface StateOptions {
  onMessage?(message: Message): void;
  /** Called before each step that can run out of memory; tests make it throw. */
  onStep?(what: string): void;
}

/** One device, as far as it matters here (`dev->isolation_group` and what led to it). */
export interface DeviceIsolation {
  group?: IsolationGroup;
  /** It is where it is because of the device above it; no provider gave it a group. */
  adopted?: boolean;
  /** It must not be adopted, since a provider knows it and has no group for it. */
  outside?: Outside;
}

/** Why a device that a provider knows is in no group. */
export interface Outside {
  /** Until that one unregisters. */
  readonly provider?: IsolationProvider;
  readonly why: string;
}

export abstract class IsolationState {
  /** By name, in the order they were created. */
  readonly groups = new Map<string, IsolationGroup>();
  readonly messages: Messages;
  /** Held while groups change; whatever is called back meanwhile must not change them too (`isolation_lock`). */
  protected readonly lock = new Mutex('isolation_lock');
  readonly #devices = new DeviceSlot<DeviceIsolation>();
  readonly #onStep: (what: string) => void;

  constructor(options: StateOptions) {
    this.messages = new Messages(options.onMessage);
    this.#onStep = options.onStep ?? (() => {});
  }

  /** The device's group (`dev->isolation_group`). None: it may never be handed over. */
  groupOf(device: Device): IsolationGroup | undefined {
    return this.#devices.get(device)?.group;
  }

  /** Whether the device is in its group only because the device above it is. */
  isAdopted(device: Device): boolean {
    return this.#devices.get(device)?.adopted === true;
  }

  protected stateOf(device: Device): DeviceIsolation {
    let state = this.#devices.get(device);
    if (state === undefined) {
      state = {};
      this.#devices.set(device, state);
    }
    return state;
  }

  protected forget(device: Device): void {
    this.#devices.set(device, undefined);
  }

  /** @throws KernelError where tests want it */
  protected readonly step = (what: string): void => this.#onStep(what);

  /** @throws KernelError EBADF the group was freed */
  protected assertLive(group: IsolationGroup, doing: string): void {
    if (this.groups.get(group.name) === group) return;
    throw new KernelError('EBADF', group.describe(), `${doing} after it was freed`);
  }

  /** For calls whose refusal nobody can be handed: the kernel only logs it. */
  protected logged(object: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.messages.err(object, error.message);
    }
  }
}
