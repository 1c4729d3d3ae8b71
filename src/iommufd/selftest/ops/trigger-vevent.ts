/** TRIGGER_VEVENT (later than 6.12): the mock IOMMU reports something about a device to the guest that has it. */

import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import { Viommu } from '../../viommu.ts';
import type { MockViommu } from '../mock-viommu.ts';
import { VEVENTQ_TYPE_SELFTEST } from '../numbers.ts';
import type { TriggerVeventRequest } from '../requests.ts';
import { useMockIdev } from '../use-idev.ts';

/** Bytes of `struct iommu_viommu_event_selftest`: virt_id@0. */
const EVENT_SIZE = 4;

/**
 * `iommufd_test_trigger_vevent`: the event says what the guest calls the device.
 *
 * @throws KernelError ENOENT no such device, or it is not attached to a domain of a vIOMMU; EINVAL it is no mock
 *   device; EOPNOTSUPP nobody reads such events; ENOMEM
 */
export function triggerVevent(context: Context, request: TriggerVeventRequest): void {
  using held = useMockIdev(context, request.devId);
  const { name, viommu } = held.device;
  if (viommu === undefined) {
    throw new KernelError('ENOENT', name, 'is not attached to a page table of a guest', 'attach it to one');
  }
  const event = new DataView(new ArrayBuffer(EVENT_SIZE));
  event.setUint32(0, Number(viommu.virtId), true);
  viommuOf(context, viommu.mock).reportEvent(VEVENTQ_TYPE_SELFTEST, new Uint8Array(event.buffer));
}

function viommuOf(context: Context, slice: MockViommu): Viommu {
  for (const object of context.objects) {
    if (object instanceof Viommu && object.slice === slice) return object;
  }
  throw new KernelError('ENOENT', context.label, 'the vIOMMU is gone');
}
