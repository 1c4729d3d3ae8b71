/** Whether the ACS control words of a recording are those of a kernel that had switched ACS on, or firmware's. */

import type { Snapshot } from '../host/snapshot.ts';
import type { PciDevice } from '../pci/device.ts';

export interface RecordedAcs {
  mode: 'recorded' | 'enabled';
  /** What was assumed. */
  notes: string[];
}

/**
 * A kernel switches ACS on when it starts to use an IOMMU, and then forms groups. Where the recording tells of
 * groups, or that there were none, this decides. A bare dump tells neither: there a word with bits on was written by
 * such a kernel, since firmware leaves them off.
 */
export function recordedAcs(groups: Snapshot['groups'], devices: readonly PciDevice[]): RecordedAcs {
  if (groups !== undefined) return { mode: groups.length > 0 ? 'recorded' : 'enabled', notes: [] };
  const words = devices.flatMap(({ facts }) => facts.acs ?? []);
  if (words.some(({ control }) => control !== 0)) {
    const taken =
      'ACS is on somewhere in this recording; all its control words are taken as a kernel with IOMMU left them';
    return { mode: 'recorded', notes: [taken] };
  }
  const offered = words.some(({ capability }) => capability !== 0);
  const note = 'ACS is off in this recording; groups are shown as they are once a kernel has switched it on';
  return { mode: 'enabled', notes: offered ? [note] : [] };
}
