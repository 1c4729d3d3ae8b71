/** `IOMMU_IOAS_COPY`. */

import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { convertCopySource } from '../selftest/syzkaller.ts';
import { checkBelowMax, checkMapAccess, checkMapFlags, convIommuProt, placementOf } from './map-flags.ts';

/** `struct iommu_ioas_copy`. */
export interface IoasCopyRequest {
  /** `MapFlag` bits. */
  flags: number;
  dstIoasId: number;
  srcIoasId: number;
  /** Bytes. */
  length: bigint;
  /** In with `MapFlag.FixedIova`; out always. */
  dstIova: bigint;
  srcIova: bigint;
}

/**
 * `iommufd_ioas_copy`: what is mapped in one address space appears in another, or again in the same, over the same
 * pinned pages. Part of a mapping will do, and several that lie side by side.
 *
 * @throws KernelError EOPNOTSUPP an unknown flag; EOVERFLOW an address or the length is 2^64-1; EINVAL neither
 *   readable nor writeable; ENOENT no such source, or part of it is not mapped, or no such destination; else as
 *   `IovaSpace.mapPages`
 */
export function ioasCopy(context: Context, request: IoasCopyRequest): void {
  const { label, objects } = context;
  convertCopySource(context, request);
  checkMapFlags(label, request.flags);
  checkBelowMax(label, request.length, request.srcIova, request.dstIova);
  checkMapAccess(label, request.flags);
  using list = (() => {
    using source = objects.use<Ioas>(request.srcIoasId, 'ioas');
    return source.object.iovas.getPages(request.srcIova, request.length);
  })();
  using destination = objects.use<Ioas>(request.dstIoasId, 'ioas');
  request.dstIova = destination.object.iovas.mapPages(
    list,
    request.length,
    convIommuProt(request.flags),
    placementOf(request.flags, request.dstIova),
  );
}
