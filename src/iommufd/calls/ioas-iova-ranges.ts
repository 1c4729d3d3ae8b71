/** `IOMMU_IOAS_IOVA_RANGES`. */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { writeRange } from './iova-range-bytes.ts';
import { RepliedError } from './replied-error.ts';

/** `struct iommu_ioas_iova_ranges`. */
export interface IoasIovaRangesRequest {
  ioasId: number;
  /** In: how many fit at `allowedIovas`; out: how many there are. */
  numIovas: number;
  reserved: number;
  /** Where the process wants the ranges. */
  allowedIovas: bigint;
  outIovaAlignment: bigint;
}

/**
 * `iommufd_ioas_iova_ranges`: what no device and no page table reserves, ascending. What is mapped does not count.
 *
 * @throws KernelError EOPNOTSUPP `reserved`; ENOENT no such IOAS; EFAULT
 * @throws RepliedError EMSGSIZE there are more than fit; the request is answered, as many as fit are written
 */
export function ioasIovaRanges(context: Context, request: IoasIovaRangesRequest): void {
  if (request.reserved !== 0) throw new KernelError('EOPNOTSUPP', context.label, 'a reserved field is not 0');
  using held = context.objects.use<Ioas>(request.ioasId, 'ioas');
  const { iovas } = held.object;
  const ranges = iovas.usableRanges();
  const room = request.numIovas;
  const { memory } = context.process;
  ranges.slice(0, room).forEach((range, index) => {
    writeRange(memory, request.allowedIovas, index, range);
  });
  request.numIovas = ranges.length;
  request.outIovaAlignment = iovas.iovaAlignment;
  if (ranges.length > room) {
    throw new RepliedError('EMSGSIZE', held.object.label, `${ranges.length} ranges, room for ${room}`);
  }
}
