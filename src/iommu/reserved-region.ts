/**
 * Ranges of I/O addresses a device must not use, or must find mapped to themselves
 * (`struct iommu_resv_region`, groups-core.md 6).
 */

/** `enum iommu_resv_type`; the number decides the order of regions with the same start. */
export const RegionType = { Direct: 0, DirectRelaxable: 1, Reserved: 2, Msi: 3, SoftwareMsi: 4 } as const;
export type RegionType = (typeof RegionType)[keyof typeof RegionType];

export interface ReservedRegion {
  readonly start: bigint;
  /** Inclusive. */
  readonly last: bigint;
  readonly type: RegionType;
  /** `Prot` bits of a direct mapping; read and write where absent. */
  readonly prot?: number;
}

const WORDS = ['direct', 'direct-relaxable', 'reserved', 'msi', 'msi'] as const;

/** The word the `reserved_regions` file uses; both kinds of MSI window read `msi`. */
export function regionWord(type: RegionType): string {
  return WORDS[type];
}

/**
 * `iommu_insert_resv_region` for a whole list: sorted by start, then by type; regions of one type that overlap or
 * touch become one, others are left as they are. Nothing joins a region that ends at the very top: the kernel's test
 * for touching wraps around there.
 */
export function mergeRegions(regions: Iterable<ReservedRegion>): ReservedRegion[] {
  const sorted = [...regions].sort((a, b) =>
    a.start === b.start ? a.type - b.type : a.start < b.start ? -1 : 1,
  );
  const merged: ReservedRegion[] = [];
  const newestOfType = new Map<RegionType, number>();
  for (const region of sorted) {
    const at = newestOfType.get(region.type);
    const before = at === undefined ? undefined : merged[at];
    if (at === undefined || before === undefined || region.start > BigInt.asUintN(64, before.last + 1n)) {
      newestOfType.set(region.type, merged.length);
      merged.push(region);
    } else if (region.last > before.last) {
      merged[at] = { ...before, last: region.last };
    }
  }
  return merged;
}

/** One line of the `reserved_regions` file, newline included. */
export function formatRegion(region: ReservedRegion): string {
  return `${hex64(region.start)} ${hex64(region.last)} ${regionWord(region.type)}\n`;
}

/** An address in full, `0x` and 16 digits. */
export function hex64(address: bigint): string {
  return `0x${address.toString(16).padStart(16, '0')}`;
}
