/** Vendor ids and class codes that more than one place asks for. */

export const Vendor = { Amd: 0x1022, Intel: 0x8086 } as const;

/** Base class and sub-class. */
export const ClassCode = { HostBridge: 0x0600, Iommu: 0x0806 } as const;

/** @param code the 24 bits of the class register; unknown is of no class */
export function hasClass(code: number | undefined, wanted: number): boolean {
  return code !== undefined && code >>> 8 === wanted;
}
