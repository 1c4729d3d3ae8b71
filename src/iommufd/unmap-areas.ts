/** Taking areas away, after asking whoever still uses their pages (`iopt_unmap_iova_range`). */

import { type ErrnoName, KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import type { AreaMap } from './area-map.ts';
import { rangeWords } from './iova-range.ts';

/** How often in-kernel users of an area are asked to let go before the unmap gives up. */
const MOST_REQUESTS = 100;

/** An unmap that was refused on its way. What it had unmapped until then stays unmapped. */
export class UnmapError extends KernelError {
  /** Bytes. */
  readonly unmapped: bigint;

  constructor(unmapped: bigint, ...refusal: ConstructorParameters<typeof KernelError>) {
    super(...refusal);
    this.unmapped = unmapped;
  }
}

/** What an unmap needs of the address space. */
export interface UnmapHost {
  readonly name: string;
  readonly areas: AreaMap<Area>;
  /** Areas that are still being filled. */
  readonly unsettled: ReadonlySet<Area>;
  /** `iommufd_access_notify_unmap`. */
  notifyUnmap(iova: bigint, length: bigint): void;
  /** Empties an area nobody uses any more, and forgets it. */
  removeArea(area: Area): void;
}

/**
 * `iopt_unmap_iova_range`: takes away every area in `start … last`.
 *
 * @returns bytes that were mapped there, 0n for none; 64 bits as the kernel counts
 * @throws UnmapError EBUSY an area is still being filled, or holds a hardware queue; ENOENT an area reaches out of the
 *   range; EDEADLK an in-kernel user did not let go, however often it was asked; the area lets nobody in any more then
 */
export function unmapAreas(host: UnmapHost, start: bigint, last: bigint): bigint {
  let from = start;
  let unmapped = 0n;
  let requests = 0;
  const refuse = (code: ErrnoName, problem: string, remedy: string) =>
    new UnmapError(BigInt.asUintN(64, unmapped), code, host.name, problem, remedy);

  for (let area = host.areas.firstIn(from, last); area !== undefined; area = host.areas.firstIn(from, last)) {
    if (host.unsettled.has(area)) {
      throw refuse('EBUSY', `${wordsOf(area)} is still being mapped`, 'wait for that call');
    }
    if (area.iova < from || area.last > last) {
      throw refuse('ENOENT', `${wordsOf(area)} is only partly in the range`, 'unmap it as a whole');
    }
    if (area.locks > 0) throw refuse('EBUSY', `${wordsOf(area)} holds a hardware queue`, 'destroy the queue');
    if (area.iova !== from) requests = 0;
    if (area.accesses > 0) {
      from = area.iova;
      area.preventAccess = true;
      host.notifyUnmap(area.iova, area.length);
      if (++requests > MOST_REQUESTS) {
        throw refuse(
          'EDEADLK',
          `${wordsOf(area)} is pinned by a user that does not let go`,
          'its driver is at fault',
        );
      }
      continue;
    }
    host.removeArea(area);
    unmapped += area.length;
    if (area.last >= last) break;
    from = area.last + 1n;
  }
  return BigInt.asUintN(64, unmapped);
}

function wordsOf(area: Area): string {
  return `what is mapped at ${rangeWords(area.iova, area.last)}`;
}
