/** Dirty tracking as drivers with bits in their page tables do it. */

import { KernelError } from '../../kernel/errors.ts';
import type { DirtyOps, Domain } from '../domain.ts';

const tracking = new WeakSet<Domain>();

/** `intel_dirty_ops`, `amd_dirty_ops`: the hardware sets bits in the table, which are read and cleared there. */
export const pageTableDirtyOps: DirtyOps = {
  setDirtyTracking(domain, enable) {
    domain.pageTable?.setDirtyTracking(enable);
    if (enable) tracking.add(domain);
    else tracking.delete(domain);
  },
  readAndClearDirty(domain, start, last, clear, report) {
    if (report !== undefined && !tracking.has(domain)) {
      throw new KernelError('EINVAL', domain.label, 'does not track dirty pages now', 'switch tracking on');
    }
    domain.pageTable?.readAndClearDirty(start, last, clear, report ?? (() => {}));
  },
};
