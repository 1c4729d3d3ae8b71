/** What is read from and written to the files of queues. */

import type { HwptPageResponse, HwptPgfault } from '../iommufd/fault-queue.ts';
import { LOST_EVENTS, type SequencedEvent } from '../iommufd/sequenced-queue.ts';
import { flags, oneOf, u32, u64 } from './fields.ts';
import { Struct } from './struct.ts';

export const HWPT_PGFAULT = new Struct<HwptPgfault>({
  name: 'iommu_hwpt_pgfault',
  size: 40,
  fields: {
    flags: u32(0, flags({ PASID_VALID: 1, LAST_PAGE: 2 })),
    devId: u32(4),
    pasid: u32(8),
    grpid: u32(12),
    perm: u32(16, flags({ READ: 1, WRITE: 2, EXEC: 4, PRIV: 8 })),
    addr: u64(24),
    length: u32(32),
    cookie: u32(36),
  },
});

export const HWPT_PAGE_RESPONSE = new Struct<HwptPageResponse>({
  name: 'iommu_hwpt_page_response',
  size: 8,
  fields: { cookie: u32(0), code: u32(4, oneOf({ SUCCESS: 0, INVALID: 1 })) },
});

export const VEVENT_HEADER = new Struct<Pick<SequencedEvent, 'flags' | 'sequence'>>({
  name: 'iommufd_vevent_header',
  size: 8,
  fields: { flags: u32(0, flags({ LOST_EVENTS })), sequence: u32(4) },
});
