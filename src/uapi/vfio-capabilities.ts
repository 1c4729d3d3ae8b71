/** Capability chains behind VFIO's information structs (`struct vfio_info_cap_header`): u16 id, u16 version, u32 next. */

import type { UserMemory } from '../iommufd/user-memory.ts';
import { IommuInfoCapability } from '../iommufd/vfio/constants.ts';
import type { VfioIommuInfoRequest } from '../iommufd/vfio/type1-info.ts';

const HEADER_SIZE = 8;
const DMA_AVAIL_SIZE = 12;
const IOVA_RANGE_SIZE = 16;

/**
 * What `VFIO_IOMMU_GET_INFO` writes behind the struct at `arg`.
 *
 * @throws KernelError EFAULT
 */
export function writeType1Capabilities(
  memory: UserMemory,
  arg: bigint,
  { caps }: VfioIommuInfoRequest,
): void {
  for (const capability of caps ?? []) {
    const at = arg + BigInt(capability.offset);
    if (capability.id === IommuInfoCapability.DmaAvail) {
      const bytes = header(capability, DMA_AVAIL_SIZE);
      bytes.setUint32(HEADER_SIZE, capability.avail, true);
      memory.write(at, bytesOf(bytes));
      continue;
    }
    const ranges = new DataView(new ArrayBuffer(capability.iovaRanges.length * IOVA_RANGE_SIZE));
    for (const [index, { start, end }] of capability.iovaRanges.entries()) {
      ranges.setBigUint64(index * IOVA_RANGE_SIZE, start, true);
      ranges.setBigUint64(index * IOVA_RANGE_SIZE + 8, end, true);
    }
    memory.write(at + BigInt(IOVA_RANGE_SIZE), bytesOf(ranges));
    if (!capability.complete) continue;
    const bytes = header(capability, IOVA_RANGE_SIZE);
    bytes.setUint32(HEADER_SIZE, capability.nrIovas, true);
    memory.write(at, bytesOf(bytes));
  }
}

/** A chain of capabilities that are headers and nothing else, the first one at `offset` of its struct. */
export function headerChain(caps: readonly { id: number; version: number }[], offset: number): Uint8Array {
  const chain = new Uint8Array(caps.length * HEADER_SIZE);
  for (const [index, { id, version }] of caps.entries()) {
    const next = index + 1 < caps.length ? offset + (index + 1) * HEADER_SIZE : 0;
    chain.set(bytesOf(header({ id, version, next }, HEADER_SIZE)), index * HEADER_SIZE);
  }
  return chain;
}

function header(
  { id, version, next }: { id: number; version: number; next: number },
  size: number,
): DataView {
  const view = new DataView(new ArrayBuffer(size));
  view.setUint16(0, id, true);
  view.setUint16(2, version, true);
  view.setUint32(4, next, true);
  return view;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}
