/** Walking a range that areas cover without a gap (`iopt_for_each_contig_area`). */

import type { Area } from './area.ts';

/** Part of an area; ends inclusive. */
export interface AreaPiece {
  readonly area: Area;
  readonly start: bigint;
  readonly last: bigint;
}

/**
 * The pieces that make up `start … last`, ascending, up to the first gap: whoever needs all of it looks whether the
 * last piece ends at `last`.
 *
 * @param areaAt the area that covers an address, if it is there in full
 */
export function* contiguousPieces(
  areaAt: (iova: bigint) => Area | undefined,
  start: bigint,
  last: bigint,
): Generator<AreaPiece, void, undefined> {
  for (let from = start; ; ) {
    const area = areaAt(from);
    if (area === undefined) return;
    const end = area.last < last ? area.last : last;
    yield { area, start: from, last: end };
    if (end === last) return;
    from = end + 1n;
  }
}
