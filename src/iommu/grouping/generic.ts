/** `generic_device_group()`: the IOMMU tells every device apart, so each has a group of its own. */

import type { Device } from '../../device/device.ts';
import type { GroupingPolicy } from './policy.ts';
import type { Decision } from './search.ts';

export class GenericGrouping implements GroupingPolicy {
  readonly name = 'generic';

  /** `generic_device_group` */
  deviceGroup<G>(device: Device): Decision<G> {
    return {
      reason: { device: device.name, policy: this.name, steps: [{ step: 'own' }], joined: null, assumed: [] },
    };
  }
}
