/**
 * The VFIO container calls that /dev/iommu and /dev/vfio/vfio answer (vfio_compat.c), one function each. Requests are
 * plain objects with the fields of the structs; what the kernel copies back is written into them.
 *
 * `VFIO_IOMMU_DIRTY_PAGES` (117) and all others are ENOTTY, which is for the door to say.
 */

import { Prot } from '../../iommu/domain.ts';
import { KernelError } from '../../kernel/errors.ts';
import { RepliedError } from '../calls/replied-error.ts';
import type { Context } from '../context.ts';
import { UnmapError } from '../unmap-areas.ts';
import { getCompatIoas } from './compat-ioas.ts';
import { DMA_UNMAP_ALL, DmaMapFlag, VFIO_API_VERSION, VfioExtension } from './constants.ts';

/** `struct vfio_iommu_type1_dma_map`. */
export interface VfioDmaMapRequest {
  argsz: number;
  flags: number;
  /** Address in the process's memory. */
  vaddr: bigint;
  iova: bigint;
  /** Bytes. */
  size: bigint;
}

/** `struct vfio_iommu_type1_dma_unmap`. */
export interface VfioDmaUnmapRequest {
  argsz: number;
  flags: number;
  iova: bigint;
  /** Bytes; what was unmapped is written back here. */
  size: bigint;
}

/** `offsetofend` of the last field each call must be given. */
const MAP_SIZE = 32;
const UNMAP_SIZE = 24;

/** `VFIO_GET_API_VERSION`. */
export function vfioGetApiVersion(): number {
  return VFIO_API_VERSION;
}

/**
 * `VFIO_CHECK_EXTENSION` (`iommufd_vfio_check_extension`): 1 or 0.
 *
 * @throws KernelError ENODEV asked for coherent DMA before there is an address space
 */
export function vfioCheckExtension(context: Context, type: number): number {
  switch (type) {
    case VfioExtension.Type1:
    case VfioExtension.Type1v2:
    case VfioExtension.UnmapAll:
      return context.noiommuMode ? 0 : 1;
    case VfioExtension.NoIommu:
      return context.iommufd.noiommu ? 1 : 0;
    case VfioExtension.DmaCoherent:
      return allCoherent(context) ? 1 : 0;
    default:
      return 0;
  }
}

/** `iommufd_vfio_cc_iommu`: true as well while no page table is there. */
function allCoherent(context: Context): boolean {
  using held = getCompatIoas(context);
  for (const hwpt of held.object.hwpts) if (!hwpt.enforceCacheCoherency) return false;
  return true;
}

/**
 * `VFIO_SET_IOMMU` (`iommufd_vfio_set_iommu`). Type 1 promises that part of a mapping can be unmapped, so it turns
 * huge pages off.
 *
 * @throws KernelError EPERM noiommu without CAP_SYS_RAWIO; EINVAL another type, or one that does not go with the
 *   groups set; ENODEV no group is set; for type 1 also what turning huge pages off refuses: EINVAL something is
 *   mapped in a page table, EADDRINUSE something is not aligned to pages
 */
export function vfioSetIommu(context: Context, type: number): void {
  const { noiommuMode } = context;
  if (context.iommufd.noiommu && type === VfioExtension.NoIommu && noiommuMode) {
    if (!context.process.capabilities.has('CAP_SYS_RAWIO')) {
      throw new KernelError('EPERM', context.label, 'DMA without an IOMMU needs CAP_SYS_RAWIO');
    }
    return;
  }
  if ((type !== VfioExtension.Type1 && type !== VfioExtension.Type1v2) || noiommuMode) {
    throw new KernelError(
      'EINVAL',
      context.label,
      `IOMMU type ${type} is not for ${noiommuMode ? 'groups without an IOMMU' : 'this container'}`,
      noiommuMode ? 'set type 8' : 'set type 1 or 3',
    );
  }
  using held = getCompatIoas(context);
  if (type === VfioExtension.Type1) held.object.iovas.disableLargePages();
}

/**
 * `VFIO_IOMMU_MAP_DMA` (`iommufd_vfio_map_dma`): at the address given; neither reading nor writing need be allowed.
 *
 * @throws KernelError EINVAL `argsz` below 32 or an unknown flag; ENODEV no address space; else as `IOMMU_IOAS_MAP`
 *   at a fixed address
 */
export function vfioMapDma(context: Context, request: VfioDmaMapRequest): void {
  checkHeader(context, 'VFIO_IOMMU_MAP_DMA', request, MAP_SIZE, DmaMapFlag.Read | DmaMapFlag.Write);
  let prot: number = Prot.Cache;
  if ((request.flags & DmaMapFlag.Read) !== 0) prot |= Prot.Read;
  if ((request.flags & DmaMapFlag.Write) !== 0) prot |= Prot.Write;
  using held = getCompatIoas(context);
  const { memory } = context.process;
  held.object.iovas.mapUserPages(memory, request.vaddr, request.size, prot, { iova: request.iova });
}

/**
 * `VFIO_IOMMU_UNMAP_DMA` (`iommufd_vfio_unmap_dma`): whole mappings inside the range; with huge pages off (type 1)
 * mappings that stick out are cut first. Nothing mapped there is a success of 0 bytes.
 *
 * @throws KernelError EINVAL `argsz` below 24, an unknown flag, or flag ALL with address or size; ENODEV no address
 *   space; what cutting refuses
 * @throws RepliedError once the range was looked at, with the bytes unmapped so far in `size`: EINVAL size 0,
 *   EOVERFLOW past 2^64-1, ENOENT a mapping sticks out, EDEADLK somebody does not let go
 */
export function vfioUnmapDma(context: Context, request: VfioDmaUnmapRequest): void {
  checkHeader(context, 'VFIO_IOMMU_UNMAP_DMA', request, UNMAP_SIZE, DMA_UNMAP_ALL);
  using held = getCompatIoas(context);
  const { iovas } = held.object;
  if ((request.flags & DMA_UNMAP_ALL) !== 0) {
    if (request.iova !== 0n || request.size !== 0n) {
      throw new KernelError('EINVAL', context.label, 'unmapping everything takes no address and no size');
    }
    unmap(request, () => iovas.unmapAll());
    return;
  }
  if (iovas.largePagesDisabled) iovas.cut(edges(request));
  unmap(request, () => iovas.unmap(request.iova, request.size));
}

/** Last bytes of what stays whole: of the range, and of what lies before it. They wrap as the kernel's do. */
function edges({ iova, size }: VfioDmaUnmapRequest): bigint[] {
  const last = BigInt.asUintN(64, iova + size - 1n);
  return iova === 0n ? [last] : [last, iova - 1n];
}

/** The size is written back whatever comes of it. */
function unmap(request: VfioDmaUnmapRequest, work: () => bigint): void {
  try {
    request.size = work();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    request.size = error instanceof UnmapError ? error.unmapped : 0n;
    throw RepliedError.from(error);
  }
}

/** What every call with a struct begins with: `argsz` covers it, and no flag is unknown. */
export function checkHeader(
  owner: { readonly label: string },
  call: string,
  request: { argsz: number; flags?: number },
  size: number,
  flags = 0xffff_ffff,
): void {
  if (request.argsz < size) {
    throw new KernelError('EINVAL', owner.label, `${call} with argsz ${request.argsz}, below ${size} bytes`);
  }
  if (((request.flags ?? 0) & ~flags) !== 0) {
    throw new KernelError(
      'EINVAL',
      owner.label,
      `${call} with unknown flags in 0x${(request.flags ?? 0).toString(16)}`,
    );
  }
}
