/** Cutting areas in two, the way VFIO type 1 wants to unmap (`iopt_cut_iova`). */

import type { FaultInjector } from '../iommu/fault-injector.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import type { AreaMap } from './area-map.ts';

/** What cutting needs of the address space. */
export interface CutHost {
  readonly faults: FaultInjector;
  readonly areas: AreaMap<Area>;
  readonly iovaAlignment: bigint;
  readonly largePagesDisabled: boolean;
  readonly unsettled: ReadonlySet<Area>;
}

/**
 * `iopt_cut_iova`: makes each address the last of an area; no change where it is the first or last of one, or nothing
 * is mapped. Cuts before one that is refused stay, which changes nothing of what is mapped.
 *
 * @throws KernelError as `Area.split`; EBUSY an area is still being mapped; ENOMEM nothing is cut then
 */
export function cutAreas(host: CutHost, addresses: readonly bigint[]): void {
  for (const last of addresses) {
    if (areaToCut(host, last) === undefined) continue;
    host.faults.step('left area');
    host.faults.step('right area');
  }
  for (const last of addresses) {
    const area = areaToCut(host, last);
    if (area !== undefined) splitAt(host, area, last);
  }
}

function areaToCut({ areas }: CutHost, last: bigint): Area | undefined {
  const area = areas.at(last);
  return area === undefined || last === area.iova || last === area.last ? undefined : area;
}

function splitAt(host: CutHost, area: Area, last: bigint): void {
  if (host.unsettled.has(area)) throw new KernelError('EBUSY', area.label, 'is still being mapped');
  const [left, right] = area.split(last, host.iovaAlignment, !host.largePagesDisabled);
  host.areas.delete(area.iova);
  host.areas.set(left.iova, left.last, left);
  host.areas.set(right.iova, right.last, right);
}
