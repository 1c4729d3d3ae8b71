/** Policies for which one value decides: devices of equal key share, whatever order they come in. */

import type { Device } from '../../device/device.ts';
import { SharedBy } from './members.ts';
import type { GroupingPolicy } from './policy.ts';
import type { Step } from './reason.ts';
import type { Decision } from './search.ts';

export abstract class KeyedGrouping implements GroupingPolicy {
  readonly name: string;
  readonly #shared = new SharedBy<string>();

  constructor(name: string) {
    this.name = name;
  }

  /** What devices share by, and the step that says so. */
  protected abstract keyOf(device: Device): { key: string; step: Step };

  deviceGroup<G>(device: Device, groupOf: (device: Device) => G | undefined): Decision<G> {
    const { key, step } = this.keyOf(device);
    const found = this.#shared.join(key, device, groupOf);
    if ('grouped' in step) step.grouped = found !== undefined;
    const reason = { device: device.name, policy: this.name, steps: [step], assumed: [] };
    return found
      ? {
          group: found.group,
          reason: { ...reason, joined: { through: found.through.name, step: step.step } },
        }
      : { reason: { ...reason, joined: null } };
  }
}
