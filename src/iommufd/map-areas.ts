/** Making areas of slices of page sets: all of them, in all page tables, or none (`iopt_map_pages`). */

import type { Domain } from '../iommu/domain.ts';
import { Prot } from '../iommu/domain.ts';
import type { FaultInjector } from '../iommu/fault-injector.ts';
import { KernelError } from '../kernel/errors.ts';
import { Area } from './area.ts';
import { allocIova, checkIova, type PlacementRules } from './iova-placement.ts';
import { isAligned } from './iova-range.ts';
import { PAGE_BYTES } from './limits.ts';
import type { PageSlice } from './page-list.ts';

/** What mapping needs of the address space. */
export interface MapHost extends PlacementRules {
  readonly faults: FaultInjector;
  readonly domains: readonly Domain[];
  readonly largePagesDisabled: boolean;
  /** Areas that have their place but are not filled yet (`pages == NULL`). */
  readonly unsettled: Set<Area>;
}

/**
 * `iopt_map_pages`
 *
 * @param length of all slices together
 * @param fixed where; absent: wherever there is room
 * @returns where
 * @throws KernelError EINVAL no length, or it or an offset in a page is not aligned; as `checkIova` or `allocIova`;
 *   EPERM it is to be written to and a page set is not writable; as `PageSet.fillDomains`. Nothing has changed then
 */
export function mapAreas(
  host: MapHost,
  slices: readonly PageSlice[],
  length: bigint,
  prot: number,
  fixed: bigint | undefined,
): bigint {
  const { name, areas, unsettled, iovaAlignment } = host;
  for (let slice = 0; slice < slices.length; slice++) host.faults.step('area');
  const [first] = slices;
  if (first === undefined || length === 0n || !isAligned(length, iovaAlignment)) {
    throw new KernelError('EINVAL', name, `${length} bytes are not a multiple of ${iovaAlignment}`);
  }
  const iova = fixed ?? allocIova(host, sourceAddress(first), length);
  if (fixed !== undefined) checkIova(host, fixed, length);
  const made = makeAreas(host, slices, iova, prot);

  for (const area of made) {
    areas.set(area.iova, area.last, area);
    unsettled.add(area);
  }
  const filled: Area[] = [];
  try {
    for (const area of made) {
      area.pages.fillDomains(area, host.domains, !host.largePagesDisabled);
      filled.push(area);
    }
  } catch (error) {
    for (const area of filled) area.pages.unfillDomains(area, host.domains);
    for (const area of made) areas.delete(area.iova);
    throw error;
  } finally {
    for (const area of made) unsettled.delete(area);
  }
  for (const { pages } of made) pages.get();
  return iova;
}

/** The checks of `iopt_insert_area`. */
function makeAreas(host: MapHost, slices: readonly PageSlice[], iova: bigint, prot: number): Area[] {
  let at = iova;
  return slices.map(({ pages, startByte, length }) => {
    if ((prot & Prot.Write) !== 0 && !pages.writable) {
      throw new KernelError(
        'EPERM',
        host.name,
        `${pages.label} were mapped read-only`,
        'map or copy without write',
      );
    }
    const area = new Area({ iova: at, last: at + length - 1n, pages, startByte, prot });
    if (!isAligned(BigInt(area.pageOffset), host.iovaAlignment)) {
      throw new KernelError(
        'EINVAL',
        host.name,
        `memory begins ${area.pageOffset} bytes into a page, which is not a multiple of ${host.iovaAlignment}`,
      );
    }
    at += length;
    return area;
  });
}

/** Where a slice begins for its process, or in its file. */
function sourceAddress({ pages, startByte }: PageSlice): bigint {
  return BigInt(pages.firstPage) * PAGE_BYTES + startByte;
}
