/** What forms groups, and what translates their DMA, as the isolation core sees them. */

import type { Device } from '../device/device.ts';
import type { IsolationGroup } from './group.ts';
import type { StatedLack } from './lacks.ts';

/** What a device without a group is to a provider that does not take it. */
export type ProviderAnswer =
  /** It makes DMA of its own that nothing translates: it must stay without a group. */
  | 'outside'
  /** Nothing is known of it. */
  | undefined;

/**
 * Whoever knows what isolates some devices: an IOMMU, a host bridge, a bus. It stands where the proposal has a
 * notifier block: `isolation.registerNotifier(bus, provider)`.
 */
export interface IsolationProvider {
  readonly name: string;

  /**
   * ISOLATION_NOTIFY_ADD_DEVICE: a device without a group is there. The provider creates or picks a group and adds
   * it, or answers what it knows.
   *
   * @throws KernelError ends the round of providers; the device stays without a group
   */
  added?(device: Device): ProviderAnswer | void;

  /** ISOLATION_NOTIFY_DEL_DEVICE: a device with a group, this provider's or not, has gone; its driver went before. */
  removed?(device: Device): void;

  /** What these devices lack when they are one group. Nothing unless told. */
  lacksOf?(devices: readonly Device[]): StatedLack[];

  /** Why this group can be nobody's although its devices are translated, e.g. memory that firmware uses through them. */
  unmanageable?(group: IsolationGroup): string | undefined;

  /** The devices that must come in for the lacks of these to be cured, at the bridge that isolates them together. */
  segmentOf?(devices: readonly Device[]): Segment | undefined;

  /** The groups in `merged` have gone, their devices are in `into`. */
  consolidated?(merged: readonly IsolationGroup[], into: IsolationGroup): void;

  /** A manager gave the group up; it may be empty by now. */
  givenUp?(group: IsolationGroup): void;
}

/** A part of the device tree that is isolated as a whole. */
export interface Segment {
  readonly bridge: Device;
  readonly devices: readonly Device[];
}

/**
 * The part of `struct iommu_ops` of 2012 that a group's domain needs. Groups can share a domain exactly if they have
 * the same object here.
 */
export interface IsolationIommuOps<D = unknown> {
  readonly name: string;
  /**
   * `domain_init`, for a domain whose first device this will be.
   *
   * @throws KernelError e.g. ENOMEM
   */
  domainInit(device: Device): D;
  /** `domain_destroy` */
  domainDestroy(domain: D): void;
  /**
   * `attach_dev`
   *
   * @throws KernelError to refuse, and then nothing has changed
   */
  attachDev(domain: D, device: Device): void;
  /** `detach_dev`; cannot fail. */
  detachDev(domain: D, device: Device): void;
}
