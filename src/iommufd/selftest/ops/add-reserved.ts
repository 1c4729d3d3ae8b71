/** ADD_RESERVED: addresses of an address space that nothing may be mapped at. */

import { KernelError } from '../../../kernel/errors.ts';
import type { Context } from '../../context.ts';
import type { Ioas } from '../../ioas.ts';
import { lastOf } from '../../iova-range.ts';
import type { AddReservedRequest } from '../requests.ts';

/**
 * `iommufd_test_add_reserved`: they stay reserved as long as the address space lives.
 *
 * @throws KernelError EINVAL no bytes; EOVERFLOW past 2^64-1; ENOENT no such IOAS; EADDRINUSE something is mapped or
 *   allowed there
 */
export function addReserved(context: Context, request: AddReservedRequest): void {
  const { start, length } = request;
  if (length === 0n) throw new KernelError('EINVAL', context.label, 'no bytes are no range to reserve');
  const last = lastOf(context.label, start, length);
  using held = context.objects.use<Ioas>(request.id, 'ioas');
  held.object.iovas.reserve(null, start, last);
}
