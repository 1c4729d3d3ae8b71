/** `VFIO_IOMMU_GET_INFO`: page sizes, and a chain of capabilities behind the struct as far as the buffer reaches. */

import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import { PAGE_BYTES, ULONG_MAX } from '../limits.ts';
import { checkHeader } from './calls.ts';
import { getCompatIoas } from './compat-ioas.ts';
import { IommuInfoCapability, IommuInfoFlag } from './constants.ts';

/** `struct vfio_iommu_type1_info`, and what is written behind it. */
export interface VfioIommuInfoRequest {
  /** In: bytes of the buffer. Out: bytes that hold everything. */
  argsz: number;
  flags: number;
  /** Bit n set: pages of 2^n bytes. */
  iovaPgsizes: bigint;
  /** Where the first capability is; 0 unless all of them fit. */
  capOffset: number;
  /**
   * Out: what the kernel wrote behind the struct, in order of place. Complete where `capOffset` is set; else what
   * happened to fit, which a program does not look at.
   */
  caps?: Type1InfoCapability[];
}

/** `struct vfio_info_cap_header`, and where it lies. */
interface CapabilityHeader {
  /** Bytes from the beginning of the struct. */
  offset: number;
  version: 1;
  /** Offset of the next one, 0 for the last. */
  next: number;
}

/** `struct vfio_iommu_type1_info_dma_avail`: how many mappings can be made. */
export interface DmaAvailCapability extends CapabilityHeader {
  id: typeof IommuInfoCapability.DmaAvail;
  avail: number;
}

/** `struct vfio_iommu_type1_info_cap_iova_range`: addresses that can be mapped, ends inclusive. */
export interface IovaRangeCapability extends CapabilityHeader {
  id: typeof IommuInfoCapability.IovaRange;
  nrIovas: number;
  /** Those that were written; all `nrIovas` of them if the header was. */
  iovaRanges: { start: bigint; end: bigint }[];
  /** Whether header and count were written too. */
  complete: boolean;
}

export type Type1InfoCapability = DmaAvailCapability | IovaRangeCapability;

/** Up to `iova_pgsizes`; the whole struct; a capability's header; counts behind headers; one range. */
const MIN_SIZE = 16;
const INFO_SIZE = 24;
const DMA_AVAIL_SIZE = 12;
const RANGES_SIZE = 16;
const RANGE_SIZE = 16;
/** iommufd limits by memory, not by number; U16_MAX, VFIO's own default, would be too few for some. */
const DMA_AVAIL = 0xffff_ffff;

/**
 * `iommufd_vfio_iommu_get_info`. Of the struct itself, the door copies back as many bytes as `argsz` said, 24 at
 * most.
 *
 * @throws KernelError EINVAL `argsz` below 16; ENODEV no address space
 */
export function vfioIommuGetInfo(context: Context, request: VfioIommuInfoRequest): void {
  checkHeader(context, 'VFIO_IOMMU_GET_INFO', request, MIN_SIZE);
  using held = getCompatIoas(context);
  const given = request.argsz;
  const ranges = held.object.iovas.usableRanges();
  const second = INFO_SIZE + align8(DMA_AVAIL_SIZE);
  const rangesSize = RANGES_SIZE + RANGE_SIZE * ranges.length;
  const total = second + align8(rangesSize);

  const caps: Type1InfoCapability[] = [];
  if (given - INFO_SIZE >= DMA_AVAIL_SIZE) {
    const next = given >= second ? second : 0;
    caps.push({ id: IommuInfoCapability.DmaAvail, version: 1, offset: INFO_SIZE, next, avail: DMA_AVAIL });
  }
  const room = given - second;
  const fitting = Math.min(ranges.length, Math.floor((room - RANGES_SIZE) / RANGE_SIZE));
  if (fitting > 0 || room >= rangesSize) {
    caps.push({
      id: IommuInfoCapability.IovaRange,
      version: 1,
      offset: second,
      next: 0,
      nrIovas: ranges.length,
      iovaRanges: ranges.slice(0, fitting).map(({ start, last }) => ({ start, end: last })),
      complete: room >= rangesSize,
    });
  }
  request.caps = caps;
  request.flags = IommuInfoFlag.PageSizes | IommuInfoFlag.Capabilities;
  request.iovaPgsizes = pageSizes(held.object);
  request.capOffset = given >= total ? INFO_SIZE : 0;
  request.argsz = total;
}

/**
 * `iommufd_get_pagesizes`: what every page table can do, with everything below a page counted as one page. The
 * larger of that bitmap and the alignment, as numbers: the kernel compares them so.
 */
function pageSizes({ iovas }: Ioas): bigint {
  let sizes = ULONG_MAX;
  for (const domain of iovas.domains) sizes &= domain.pageSizes;
  const belowPage = PAGE_BYTES - 1n;
  if ((sizes & belowPage) !== 0n) sizes = (sizes & ~belowPage) | PAGE_BYTES;
  return sizes > iovas.iovaAlignment ? sizes : iovas.iovaAlignment;
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}
