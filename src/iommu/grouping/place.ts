/** Whether it is known where a device sits, and that it is what it is taken for. */

import type { PciDevice } from '../../pci/device.ts';
import type { GroupSearch } from './search.ts';

/** What a search for the group of `device` has to assume before it begins. */
export function notePlace<G>(device: PciDevice, search: GroupSearch<G>): void {
  if (isBlank(device)) search.assume(`nothing could be read of ${device.name} that tells what it is`);
  // A root bus as well: what nothing is known to lead to may have a bridge that was not read.
  for (let bus = (device.physfn ?? device).pciBus; ; bus = bus.parent) {
    // Buses below one whose place is a guess are a guess because of it.
    if (bus.uncertain && bus.parent?.uncertain !== true)
      search.assume(`what bus ${bus.name} hangs from is not known`);
    if (bus.parent === undefined) break;
  }
}

/** Neither ids that quirks could know nor the kind of device. */
function isBlank({ device, class: code, facts }: PciDevice): boolean {
  return (
    device === undefined && code === undefined && facts.headerType === undefined && facts.pcie === undefined
  );
}
