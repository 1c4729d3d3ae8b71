/**
 * Page numbers for addresses. They are exact as `number`: the highest, with pages of 2 KiB, is 2^53 - 1. Big integers
 * are avoided where a `number` holds the address, since each result of theirs is an object.
 */

/** 2^n; faster than asking for the power. */
export const POWER: Float64Array = Float64Array.from({ length: 65 }, (_, n) => 2 ** n);

/** Number of the page that a byte is in. */
export function pageOf(address: bigint, pageShift: number): number {
  const bytes = Number(address);
  return bytes <= Number.MAX_SAFE_INTEGER
    ? Math.floor(bytes / POWER[pageShift]!)
    : Number(address >> BigInt(pageShift));
}

/** Whether an address or length is a multiple of the page. */
export function isAligned(address: bigint, pageShift: number): boolean {
  const bytes = Number(address);
  const pages = bytes / POWER[pageShift]!;
  return bytes <= Number.MAX_SAFE_INTEGER
    ? Math.floor(pages) === pages
    : BigInt.asUintN(pageShift, address) === 0n;
}

/** First byte of a page; the page after the last one starts at 2^64. */
export function addressOf(page: number, pageShift: number): bigint {
  const bytes = page * POWER[pageShift]!;
  return bytes <= Number.MAX_SAFE_INTEGER ? BigInt(bytes) : BigInt(page) << BigInt(pageShift);
}

export function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
