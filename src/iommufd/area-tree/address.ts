/**
 * Addresses of 64 bits as numbers that compare without BigInt arithmetic. An address is a coarse part and a residue:
 *
 * - below 2^53 the coarse part is the address and the residue 0;
 * - above, the coarse part is the address without its low 11 bits, and these are the residue.
 *
 * So the coarse part is always exact, and the residue is 0 for all addresses of pages, and for all others an IOMMU
 * with 53 address bits or fewer knows. The end of an area is kept as the first address after it, for the same reason:
 * 2^64 is a coarse part like any other.
 */

const RESIDUE_BITS = 11;
const RESIDUE_MASK = (1 << RESIDUE_BITS) - 1;
const RESIDUE_STEP = 1 << RESIDUE_BITS;
/** High words from here on belong to addresses of 2^53 and above. */
const WIDE = 0x20_0000;
const WORD = 2 ** 32;
const END = 2 ** 64;

const scratch = new BigUint64Array(1);
const words = new Uint32Array(scratch.buffer);
const LOW = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** Makes `address` the one that the next calls of `coarse` and so on are about. Storing it allocates nothing. */
export function take(address: bigint): void {
  scratch[0] = address;
}

export function coarse(): number {
  const high = words[HIGH]!;
  const low = words[LOW]!;
  return high < WIDE ? high * WORD + low : high * WORD + ((low & ~RESIDUE_MASK) >>> 0);
}

export function residue(): number {
  return words[HIGH]! < WIDE ? 0 : words[LOW]! & RESIDUE_MASK;
}

/** Coarse part of the address after the one taken. */
export function coarseAfter(): number {
  if (words[HIGH]! < WIDE) return coarse() + 1;
  return (words[LOW]! & RESIDUE_MASK) === RESIDUE_MASK ? coarse() + RESIDUE_STEP : coarse();
}

/** Residue of the address after the one taken. */
export function residueAfter(): number {
  return words[HIGH]! < WIDE ? 0 : (words[LOW]! + 1) & RESIDUE_MASK;
}

/** The address of the two parts; 2^64 for the end of everything. */
export function join(coarsePart: number, residuePart: number): bigint {
  if (coarsePart === END) return 2n ** 64n;
  const high = Math.floor(coarsePart / WORD);
  words[HIGH] = high;
  words[LOW] = coarsePart - high * WORD + residuePart;
  return scratch[0]!;
}
