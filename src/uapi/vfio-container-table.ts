/** The VFIO container calls that /dev/iommu and /dev/vfio/vfio answer (`iommufd_vfio_ioctl`). */

import { RepliedError } from '../iommufd/calls/replied-error.ts';
import type { Context } from '../iommufd/context.ts';
import type { UserMemory } from '../iommufd/user-memory.ts';
import {
  vfioCheckExtension,
  vfioGetApiVersion,
  vfioMapDma,
  vfioSetIommu,
  vfioUnmapDma,
} from '../iommufd/vfio/calls.ts';
import { VfioExtension } from '../iommufd/vfio/constants.ts';
import { vfioIommuGetInfo } from '../iommufd/vfio/type1-info.ts';
import { KernelError } from '../kernel/errors.ts';
import { type CallShape, ioctlCommand } from './call-shape.ts';
import { oneOf } from './fields.ts';
import type { Struct } from './struct.ts';
import { readStruct, writeStruct } from './user-structs.ts';
import { writeType1Capabilities } from './vfio-capabilities.ts';
import { IOMMU_TYPE1_INFO, TYPE1_DMA_MAP, TYPE1_DMA_UNMAP, type Type1Info } from './vfio-structs.ts';

/** Bytes of `vfio_iommu_type1_info` that every kernel had. */
const INFO_MIN_SIZE = 16;

interface ContainerCall extends CallShape {
  /** @returns what the ioctl returns */
  serve(context: Context, memory: UserMemory, arg: bigint): number;
}

const extensionWords = oneOf({
  VFIO_TYPE1_IOMMU: VfioExtension.Type1,
  VFIO_TYPE1v2_IOMMU: VfioExtension.Type1v2,
  VFIO_DMA_CC_IOMMU: VfioExtension.DmaCoherent,
  VFIO_TYPE1_NESTING_IOMMU: VfioExtension.Type1Nesting,
  VFIO_NOIOMMU_IOMMU: VfioExtension.NoIommu,
  VFIO_UNMAP_ALL: VfioExtension.UnmapAll,
  VFIO_UPDATE_VADDR: VfioExtension.UpdateVaddr,
});

export const CONTAINER_CALLS: readonly ContainerCall[] = [
  { command: ioctlCommand(100), name: 'VFIO_GET_API_VERSION', argument: 'none', serve: vfioGetApiVersion },
  {
    command: ioctlCommand(101),
    name: 'VFIO_CHECK_EXTENSION',
    argument: 'number',
    words: extensionWords,
    serve: (context, _memory, arg) => vfioCheckExtension(context, small(arg)),
  },
  {
    command: ioctlCommand(102),
    name: 'VFIO_SET_IOMMU',
    argument: 'number',
    words: extensionWords,
    serve: (context, _memory, arg) => {
      vfioSetIommu(context, small(arg));
      return 0;
    },
  },
  structCall(112, 'VFIO_IOMMU_GET_INFO', IOMMU_TYPE1_INFO, getInfo),
  structCall(113, 'VFIO_IOMMU_MAP_DMA', TYPE1_DMA_MAP, (context, memory, arg) => {
    vfioMapDma(context, readStruct(memory, TYPE1_DMA_MAP, arg, TYPE1_DMA_MAP.size));
  }),
  structCall(114, 'VFIO_IOMMU_UNMAP_DMA', TYPE1_DMA_UNMAP, unmapDma),
];

const BY_COMMAND = new Map(CONTAINER_CALLS.map((call) => [call.command, call]));

/**
 * `iommufd_vfio_ioctl`.
 *
 * @param arg a number, or where the struct is
 * @returns what the ioctl returns
 * @throws KernelError ENOTTY no such call; EFAULT; else what the call refuses
 */
export function vfioIoctl(context: Context, memory: UserMemory, command: number, arg: bigint): number {
  const call = BY_COMMAND.get(command);
  if (call === undefined) {
    throw new KernelError('ENOTTY', context.label, `has no ioctl 0x${(command >>> 0).toString(16)}`);
  }
  return call.serve(context, memory, arg);
}

function structCall<R>(
  nr: number,
  name: string,
  struct: Struct<R>,
  serve: (context: Context, memory: UserMemory, arg: bigint) => void,
): ContainerCall {
  return {
    command: ioctlCommand(nr),
    name,
    argument: 'struct',
    size: struct.size,
    structOf: () => struct as unknown as Struct<never>,
    serve: (context, memory, arg) => {
      serve(context, memory, arg);
      return 0;
    },
  };
}

/** As much of the struct as `argsz` says is written, and behind it the capabilities that fit. */
function getInfo(context: Context, memory: UserMemory, arg: bigint): void {
  const request = readStruct<Type1Info>(memory, IOMMU_TYPE1_INFO, arg, INFO_MIN_SIZE);
  const length = Math.min(request.argsz, IOMMU_TYPE1_INFO.size);
  const answer = { ...request };
  vfioIommuGetInfo(context, answer);
  writeType1Capabilities(memory, arg, answer);
  writeStruct(memory, IOMMU_TYPE1_INFO, arg, answer, length);
}

/** The size is written whatever comes of it, once the range was looked at. */
function unmapDma(context: Context, memory: UserMemory, arg: bigint): void {
  const request = readStruct(memory, TYPE1_DMA_UNMAP, arg, TYPE1_DMA_UNMAP.size);
  let refusal: RepliedError | undefined;
  try {
    vfioUnmapDma(context, request);
  } catch (error) {
    if (!(error instanceof RepliedError)) throw error;
    refusal = error;
  }
  writeStruct(memory, TYPE1_DMA_UNMAP, arg, request, TYPE1_DMA_UNMAP.size);
  if (refusal !== undefined) throw refusal;
}

/** Numbers are compared as they are; none that means anything is large. */
function small(arg: bigint): number {
  return arg > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(arg);
}
