/** A grouping policy: which group a device belongs in, given the groups formed so far. */

import type { Device } from '../../device/device.ts';
import type { Reason } from './reason.ts';

/**
 * One way to answer `device_group()`. Interchangeable: the same contract suite runs over every one.
 *
 * A policy reads topology and existing groups and changes nothing; the caller allocates when `group` is absent
 * and adds the device. Instances may keep what they learned between calls and belong to one machine.
 */
export interface GroupingPolicy {
  readonly name: string;

  /**
   * @param groupOf the group of a device so far, if it has one
   * @returns the group to join, or none for a new one, and the chain of decisions
   * @throws KernelError EINVAL where drivers refuse (stream ids that belong to two groups), EPROBE_DEFER where a
   *   policy needs another device first
   */
  deviceGroup<G>(device: Device, groupOf: (device: Device) => G | undefined): { group?: G; reason: Reason };
}
