/** What one `deviceGroup()` call gathers while it looks: steps in the order they are made, and what was assumed. */

import type { Device } from '../../device/device.ts';
import type { AcsContext, AcsPath, AcsVerdict } from '../../pci/acs.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { Reason, Step } from './reason.ts';

/** What a policy answers. */
export interface Decision<G> {
  group?: G;
  reason: Reason;
}

export class GroupSearch<G> {
  readonly steps: Step[] = [];
  readonly #device: Device;
  readonly #policy: string;
  readonly #groupOf: (device: Device) => G | undefined;
  readonly #acs: AcsContext;
  readonly #assumed = new Set<string>();

  constructor(policy: string, device: Device, groupOf: (device: Device) => G | undefined, acs: AcsContext) {
    this.#device = device;
    this.#policy = policy;
    this.#groupOf = groupOf;
    this.#acs = acs;
  }

  /** `iommu_group_get()` without the reference. */
  groupOf(device: Device): G | undefined {
    return this.#groupOf(device);
  }

  /** Tests a device and remembers when the answer rests on facts nobody knows. */
  acs(device: PciDevice): AcsVerdict {
    const verdict = this.#acs.verdict(device);
    this.noteUnknown(verdict);
    return verdict;
  }

  /** Tests the way from a bridge to the root (`pci_acs_path_enabled`). */
  acsPath(bridge: PciDevice): AcsPath {
    return this.#acs.path(bridge);
  }

  /** For a verdict of an earlier search that this one relies on as well. */
  noteUnknown({ device, enabled, known, because }: AcsVerdict): void {
    if (known) return;
    this.assume(
      because === 'single-function'
        ? `${device} is taken as single-function, its header type is not known`
        : `ACS of ${device} is not known, taken as ${enabled ? 'isolating' : 'not isolating'}`,
    );
  }

  assume(what: string): void {
    this.#assumed.add(what);
  }

  /** The search ends in a group that exists: that of `through`, met in the last step. */
  join(group: G, through: Device, step: Step['step']): Decision<G> {
    return { group, reason: this.#reason({ through: through.name, step }) };
  }

  /** The search ends with nothing found: the caller allocates. */
  alone(): Decision<G> {
    return { reason: this.#reason(null) };
  }

  #reason(joined: Reason['joined']): Reason {
    return {
      device: this.#device.name,
      policy: this.#policy,
      // A copy has just the length it needs; there is one for every device.
      steps: [...this.steps],
      joined,
      assumed: [...this.#assumed],
    };
  }
}
