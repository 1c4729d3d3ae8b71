/** What every address, length and offset of an address space has to be a multiple of (`iova_alignment`). */

import type { Domain } from '../iommu/domain.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import { isAligned, rangeWords } from './iova-range.ts';
import { PAGE_BYTES } from './limits.ts';

/** Who wants an alignment; all but `pageWise` in bytes, powers of two. */
export interface AlignmentWishes {
  readonly domains: Iterable<Domain>;
  /** `iova_alignment` of each access. */
  readonly accesses: Iterable<bigint>;
  /** Large pages are off: everything is mapped page by page. */
  readonly pageWise: boolean;
}

/** The rule of `iopt_calculate_iova_alignment`: the largest anybody wants, else 1. */
export function wantedAlignment(wishes: AlignmentWishes): bigint {
  let alignment = wishes.pageWise ? PAGE_BYTES : 1n;
  for (const { smallestPage } of wishes.domains) if (smallestPage > alignment) alignment = smallestPage;
  for (const wanted of wishes.accesses) if (wanted > alignment) alignment = wanted;
  return alignment;
}

/**
 * `iopt_check_iova_alignment`: whether everything that is mapped would do with a larger alignment.
 *
 * @throws KernelError EADDRINUSE a mapping does not
 */
export function checkAreasAligned(name: string, areas: Iterable<Area>, alignment: bigint): void {
  for (const area of areas) {
    if (isAligned(area.iova | area.length | BigInt(area.pageOffset), alignment)) continue;
    throw new KernelError(
      'EADDRINUSE',
      name,
      `what is mapped at ${rangeWords(area.iova, area.last)} does not lie on multiples of ${alignment} bytes`,
      'unmap it first',
    );
  }
}
