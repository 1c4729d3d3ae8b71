/** Sizes the kernel fixes at build time; those of x86-64. */

/** Bytes of a page of memory. */
export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;
/** The same as an address has it. */
export const PAGE_BYTES = 4096n;
/** Highest address there is (`ULONG_MAX`, `U64_MAX`). */
export const ULONG_MAX = 0xffff_ffff_ffff_ffffn;
/** Bytes of the largest page a processor's table maps at once (`HPAGE_SIZE`), and thus of a transparent huge page. */
export const HUGE_PAGE_BYTES = 0x20_0000n;
