/** What second-level page tables VT-d units can walk, from their capability registers. */

import type { VtdSecondLevelOptions } from '../pagetable/vtd-second-level.ts';

/** `DEFAULT_DOMAIN_ADDRESS_WIDTH`: no wider than 57 bits, five levels. */
const MOST_AGAW = 3;
const PAGE_4K = 1n << 12n;
const PAGE_2M = 1n << 21n;
const PAGE_1G = 1n << 30n;

/**
 * `iommu_calculate_agaw`, `domain_update_iommu_superpage`: what all the units have in common. A unit whose register was
 * not recorded is taken for the usual kind: four levels, leaves of every size.
 */
export function secondLevelFor(
  caps: readonly (bigint | undefined)[],
): Required<Pick<VtdSecondLevelOptions, 'levels' | 'width' | 'pageSizes'>> {
  const units = caps.length === 0 ? [undefined] : caps;
  const each = units.map((cap) => (cap === undefined ? { levels: 4, width: 48, sizes: 3 } : unit(cap)));
  const sizes = each.reduce((common, { sizes }) => common & sizes, 3);
  return {
    levels: Math.min(...each.map(({ levels }) => levels)),
    width: Math.min(...each.map(({ width }) => width)),
    // The driver takes a unit with leaves of 1 GiB to have those of 2 MiB too.
    pageSizes: PAGE_4K | (sizes >= 1 ? PAGE_2M : 0n) | (sizes >= 2 ? PAGE_1G : 0n),
  };
}

function unit(cap: bigint): { levels: number; width: number; sizes: number } {
  const sagaw = field(cap, 8n, 5n);
  let agaw = MOST_AGAW;
  while (agaw > 0 && (sagaw & (1 << agaw)) === 0) agaw--;
  return {
    levels: agaw + 2,
    width: Math.min(30 + 9 * agaw, field(cap, 16n, 6n) + 1),
    sizes: field(cap, 34n, 2n),
  };
}

function field(register: bigint, shift: bigint, bits: bigint): number {
  return Number((register >> shift) & ((1n << bits) - 1n));
}
