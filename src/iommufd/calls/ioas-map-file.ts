/** `IOMMU_IOAS_MAP_FILE` (since 6.13). */

import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import type { OpenFile } from '../open-files.ts';
import type { PageSource } from '../user-memory.ts';
import { checkBelowMax, checkMapAccess, checkMapFlags, convIommuProt, placementOf } from './map-flags.ts';

/** `struct iommu_ioas_map_file`. */
export interface IoasMapFileRequest {
  /** `MapFlag` bits. */
  flags: number;
  ioasId: number;
  fd: number;
  /** Bytes: where in the file, and how much. */
  start: bigint;
  length: bigint;
  /** In with `MapFlag.FixedIova`; out always. */
  iova: bigint;
}

/**
 * `iommufd_ioas_map_file`: part of a file in memory appears in the address space. Without a page table the file is not
 * looked at yet.
 *
 * @throws KernelError EOPNOTSUPP an unknown flag; EOVERFLOW `iova` or `length` is 2^64-1; EINVAL neither readable nor
 *   writeable; ENOENT no such IOAS; EBADF `fd` is not open; else as `IovaSpace.mapFilePages`
 */
export function ioasMapFile(context: Context, request: IoasMapFileRequest): void {
  const { label, process } = context;
  checkMapFlags(label, request.flags);
  checkBelowMax(label, request.iova, request.length);
  checkMapAccess(label, request.flags);
  using held = context.objects.use<Ioas>(request.ioasId, 'ioas');
  const file = process.files.find(request.fd);
  if (file === undefined)
    throw new KernelError('EBADF', process.name, `descriptor ${request.fd} is not open`);
  request.iova = held.object.iovas.mapFilePages(
    isPageSource(file) ? file : pinless(file),
    request.start,
    request.length,
    convIommuProt(request.flags),
    placementOf(request.flags, request.iova),
  );
}

function isPageSource(file: OpenFile): file is OpenFile & PageSource {
  return 'pin' in file && typeof file.pin === 'function';
}

/** Any file can be mapped; that its pages cannot be pinned comes out with the first page table. */
function pinless({ name }: OpenFile): PageSource {
  return {
    name,
    pin() {
      throw new KernelError('EINVAL', name, 'is no file in memory', 'map a memfd');
    },
  };
}
