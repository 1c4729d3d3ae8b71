/** Ranges that firmware wants mapped to themselves, put into a default domain before a device is attached to it. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { DeviceIommu } from './device-state.ts';
import { type Domain, isDmaType, Prot } from './domain.ts';
import { RegionType } from './reserved-region.ts';

/**
 * `iommu_create_device_direct_mappings`: maps what is not mapped yet, of the pages that begin inside each region.
 * Notes whether the device may be blocked at all, whatever the domain's type.
 *
 * Page 0 mapped to itself looks unmapped to the kernel, which asks for address 0, so it maps it again for every
 * further device. Drivers of x86 let that pass; where it is left alone, as here, the outcome is the same.
 *
 * @throws KernelError EINVAL a DMA domain without pages; else the page table's refusal, earlier pages stay mapped
 */
export function createDirectMappings(domain: Domain, device: Device, state: DeviceIommu): void {
  const page = domain.smallestPage;
  const dma = isDmaType(domain.type);
  if (dma && page === 0n) throw new KernelError('EINVAL', domain.label, 'is for DMA but has no page size');

  for (const region of state.instance?.driver.getResvRegions?.(device) ?? []) {
    if (region.type === RegionType.Direct) state.requireDirect = true;
    const direct = region.type === RegionType.Direct || region.type === RegionType.DirectRelaxable;
    if (!direct || !dma) continue;
    const start = alignUp(region.start, page);
    const end = alignUp(region.last + 1n, page);
    for (const hole of end > start ? domain.holes(start, end - 1n) : []) {
      domain.map(hole.start, hole.start, hole.last - hole.start + 1n, region.prot ?? Prot.Read | Prot.Write);
    }
  }
}

/** Wraps at 2^64 as the kernel's does: a region that ends at the very top is mapped nowhere. */
function alignUp(address: bigint, page: bigint): bigint {
  return BigInt.asUintN(64, (address + page - 1n) & -page);
}
