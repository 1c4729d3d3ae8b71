/**
 * The part of the isolation core that tells providers of devices, and decides about those no provider takes.
 *
 * Arrival: the providers of the bus are asked, all of them, so that it shows when two claim one device. What none of
 * them gave a group, and none knows to be outside every group, joins the group of the device above it.
 */

import type { Bus, BusEvent } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { type NotifierCallback, NotifierChain } from '../kernel/notifier.ts';
import type { IsolationGroup } from './group.ts';
import { IsolationManagers } from './managers.ts';
import { inUse } from './members.ts';
import type { IsolationProvider } from './provider.ts';
import type { Outside } from './state.ts';

/** What providers are told (ISOLATION_NOTIFY_*). */
interface ProviderEvent {
  action: 'add' | 'del';
  device: Device;
}

/** The IOMMU core hears of a new device first: its group is what many providers look at. */
const AFTER_OTHERS = -1;

/** One bus's providers, however many, behind one notifier of the bus (`struct isolation_notifier`). */
interface ProviderChain {
  readonly chain: NotifierChain<ProviderEvent>;
  readonly callbacks: Map<IsolationProvider, NotifierCallback<ProviderEvent>>;
  readonly onBus: (event: BusEvent) => void;
}

/** A device that a provider was asked about while it registered, and how it stood before. */
interface Asked {
  device: Device;
  outside: Outside | undefined;
  group: IsolationGroup | undefined;
}

export abstract class IsolationNotifiers extends IsolationManagers {
  readonly #chains = new Map<Bus, ProviderChain>();

  /** Providers of a bus, in the order they are asked. */
  providersOf(bus: Bus): IsolationProvider[] {
    return [...(this.#chains.get(bus)?.callbacks.keys() ?? [])];
  }

  /**
   * `isolation_register_notifier`: the provider hears of the bus's devices from now on, and at once of every one that
   * is there and has no group, or was only adopted.
   *
   * @throws KernelError EEXIST it is registered for this bus; ENOMEM; EDEADLK from inside a provider's callback for
   *   this bus; what the provider refused a device with, and then it has none and is not registered
   */
  registerNotifier(bus: Bus, provider: IsolationProvider): void {
    const existing = this.#chains.get(bus);
    const chain = existing ?? this.#newChain(bus);
    const callback = this.#callbackOf(provider);
    const groupsBefore = this.#adoptedByGroup();
    const asked: Asked[] = [];
    try {
      if (chain.callbacks.has(provider)) {
        throw new KernelError('EEXIST', `bus ${bus.name}`, `${provider.name} is registered for it already`);
      }
      this.step('provider');
      chain.chain.register(callback);
    } catch (error) {
      if (existing === undefined) this.#dropChain(bus, chain);
      throw error;
    }
    chain.callbacks.set(provider, callback);
    try {
      for (const device of bus.devices) this.#replay(provider, device, asked);
    } catch (error) {
      this.#takeBack(provider, asked, groupsBefore);
      this.#unregister(bus, chain, provider);
      throw error;
    }
    this.#adoptOn(bus);
  }

  /**
   * `isolation_unregister_notifier`. Its groups are the provider's to free, before or after; devices it has let go
   * of return to the group of the device above them.
   *
   * @throws KernelError ENODEV the bus has no providers, or not this one; EDEADLK from inside a callback for this bus
   */
  unregisterNotifier(bus: Bus, provider: IsolationProvider): void {
    const chain = this.#chains.get(bus);
    if (chain === undefined || !chain.callbacks.has(provider)) {
      throw new KernelError('ENODEV', `bus ${bus.name}`, `${provider.name} is not registered for it`);
    }
    this.#unregister(bus, chain, provider);
    for (const device of bus.devices) {
      const state = this.stateOf(device);
      if (state.outside?.provider !== provider) continue;
      delete state.outside;
      this.#offer(device);
    }
    this.#adoptOn(bus);
  }

  /**
   * For a provider that learns of a device otherwise than by its bus, e.g. from an IOMMU that came late: all providers
   * of the bus are asked again, in the same way.
   */
  announce(device: Device): void {
    this.#offer(device);
    this.#adopt(device);
    this.#adoptBelow(device);
  }

  /** What the device core tells of every device, after its bus has told the providers. */
  protected readonly onDevice = ({ action, device }: BusEvent): void => {
    if (action === 'add') this.#adopt(device);
    if (action !== 'removed') return;
    if (this.groupOf(device)) this.delDev(device);
    this.forget(device);
  };

  #newChain(bus: Bus): ProviderChain {
    this.step('bus chain');
    const chain: ProviderChain = {
      chain: new NotifierChain(`isolation providers of bus ${bus.name}`),
      callbacks: new Map(),
      onBus: ({ action, device }) => {
        if (action === 'add') this.#offer(device);
        else if (action === 'removed') this.#gone(device);
      },
    };
    this.step('bus notifier');
    bus.notifier.register(chain.onBus, AFTER_OTHERS);
    this.#chains.set(bus, chain);
    return chain;
  }

  #dropChain(bus: Bus, chain: ProviderChain): void {
    bus.notifier.unregister(chain.onBus);
    this.#chains.delete(bus);
  }

  #callbackOf(provider: IsolationProvider): NotifierCallback<ProviderEvent> {
    return ({ action, device }) => {
      if (action === 'add') this.#ask(provider, device);
      else provider.removed?.(device);
    };
  }

  /** @throws KernelError what the provider refused with */
  #ask(provider: IsolationProvider, device: Device): void {
    const answer = provider.added?.(device);
    if (answer !== 'outside' || !this.#open(device)) return;
    const adopting = this.groupOf(device);
    if (adopting && inUse(adopting)) return;
    // It came before anybody knew it; what nothing translates is no member of anything.
    if (adopting) this.delDev(device);
    this.stateOf(device).outside = { provider, why: `${provider.name} says nothing translates it` };
  }

  #unregister(bus: Bus, chain: ProviderChain, provider: IsolationProvider): void {
    const callback = chain.callbacks.get(provider)!;
    chain.chain.unregister(callback);
    try {
      if (chain.callbacks.size === 1) this.#dropChain(bus, chain);
    } catch (error) {
      chain.chain.register(callback);
      throw error;
    }
    chain.callbacks.delete(provider);
  }

  /** Whether a provider may still give the device a group. */
  #open(device: Device): boolean {
    return this.groupOf(device) === undefined || this.isAdopted(device);
  }

  #replay(provider: IsolationProvider, device: Device, asked: Asked[]): void {
    if (!this.#open(device)) return;
    const { outside, group } = this.stateOf(device);
    asked.push({ device, outside, group });
    this.#ask(provider, device);
  }

  /** A provider that could not take all devices of a bus has none of them, and has said nothing. */
  #takeBack(
    provider: IsolationProvider,
    asked: readonly Asked[],
    groupsBefore: ReadonlyMap<IsolationGroup, Device[]>,
  ): void {
    for (const { device, outside, group } of [...asked].reverse()) {
      if (this.groupOf(device) !== group) {
        if (this.groupOf(device)) provider.removed?.(device);
        if (this.groupOf(device)) this.delDev(device);
      }
      const state = this.stateOf(device);
      if (outside) state.outside = outside;
      else delete state.outside;
    }
    for (const group of [...this.groups.values()]) {
      if (!groupsBefore.has(group) && group.provider === provider && group.size === 0) this.freeGroup(group);
    }
    for (const [group, adopted] of groupsBefore) {
      for (const device of adopted) {
        if (!this.groupOf(device)) this.logged(device.name, () => this.adoptInto(group, device));
      }
    }
  }

  /** All groups, each with the devices that are in it only because of one above. */
  #adoptedByGroup(): Map<IsolationGroup, Device[]> {
    const groups = [...this.groups.values()];
    return new Map(groups.map((group) => [group, group.devices.filter((device) => this.isAdopted(device))]));
  }

  /** ADD is for devices without a group of a provider's. A provider that fails ends the round, as in any chain. */
  #offer(device: Device): void {
    const chain = device.bus && this.#chains.get(device.bus);
    if (chain === undefined || !this.#open(device)) return;
    delete this.stateOf(device).outside;
    const verdict = chain.chain.call({ action: 'add', device });
    if (!(verdict instanceof KernelError)) return;
    this.messages.err(device.name, verdict.message);
    // Below a bridge that is handed over no provider is in the right: the device is the owner's, like the bridge.
    const owned = [...chain.callbacks.keys()].some((provider) => this.handedOverAbove(device, provider));
    if (this.groupOf(device) || owned) return;
    this.stateOf(device).outside = { why: `its provider failed: ${verdict.message}` };
  }

  /** DEL is for devices with a group. Its driver has been removed by now. */
  #gone(device: Device): void {
    const chain = device.bus && this.#chains.get(device.bus);
    if (chain === undefined || this.groupOf(device) === undefined) return;
    const verdict = chain.chain.call({ action: 'del', device });
    if (verdict instanceof KernelError) this.messages.err(device.name, verdict.message);
  }

  /** Into the group of the nearest device above that is on a bus; no further, since that one has decided for itself. */
  #adopt(device: Device): void {
    const state = this.stateOf(device);
    if (state.group || state.outside !== undefined || device.bus === undefined) return;
    let above = device.parent;
    while (above !== undefined && above.bus === undefined && !this.groupOf(above)) above = above.parent;
    const group = above && this.groupOf(above);
    if (group) this.logged(device.name, () => this.adoptInto(group, device));
  }

  #adoptBelow(device: Device): void {
    const left = [...device.children];
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      this.#adopt(next);
      if (next.bus === undefined || this.isAdopted(next)) left.push(...next.children);
    }
  }

  #adoptOn(bus: Bus): void {
    for (const device of bus.devices) {
      this.#adopt(device);
      this.#adoptBelow(device);
    }
  }
}
