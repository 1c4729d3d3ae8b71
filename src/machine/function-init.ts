/** One recorded function, as the PCI model takes it. */

import { configOf, factsOf } from '../host/facts.ts';
import type { PciFacts } from '../host/snapshot.ts';
import type { PciFunctionInit } from '../pci/device.ts';

export function functionInit(device: PciFacts): PciFunctionInit {
  return {
    address: device.address,
    facts: factsOf(device),
    vendor: device.vendor,
    device: device.device,
    subsystemVendor: device.subsystemVendor,
    subsystemDevice: device.subsystemDevice,
    class: device.class,
    revision: device.revision,
    path: device.path,
    physfn: device.physfn,
    // Not the one the facts were decoded from: this one stays text, unless a quirk asks it.
    config: configOf(device),
    untrusted: device.removable === 'removable',
  };
}
