/**
 * The work every contestant of the area benchmark does: areas that are mapped, looked up and unmapped. areas.cpp makes
 * the very same from the same numbers.
 */

export type Pattern = 'random' | 'sequential';

/** Each area has a slot of its own; it takes 1 to 15 pages of the 16, so that holes stay between. */
const SLOT = 0x1_0000;
const PAGE = 0x1000;

/** Operations of each kind at least; small maps are filled and emptied again and again, each time in another order. */
export const OPERATIONS = 1_000_000;

/** Addresses in the order of use, so that no contestant waits for the list of what to do. */
export interface Work {
  size: number;
  /** Fillings one after the other: each `size` numbers of `starts`, `lasts`, `addresses` and `unmapped`. */
  rounds: number;
  starts: number[];
  lasts: number[];
  /** One address a look-up; some are in holes. */
  addresses: number[];
  /** Starts of the areas in the order of unmapping. */
  unmapped: number[];
}

export function work(size: number, pattern: Pattern, operations = OPERATIONS): Work {
  const random = xorshift();
  const rounds = Math.ceil(operations / size);
  const all: Work = { size, rounds, starts: [], lasts: [], addresses: [], unmapped: [] };
  const slots = Array.from({ length: size }, (_, n) => n);
  const reorder = () => {
    if (pattern === 'random') shuffle(slots, random);
  };
  for (let round = 0; round < rounds; round++) {
    reorder();
    for (const slot of slots) {
      const start = slot * SLOT;
      all.starts.push(start);
      all.lasts.push(start + (1 + (random() % 15)) * PAGE - 1);
    }
    reorder();
    for (const slot of slots) all.addresses.push(slot * SLOT + (random() % 16) * PAGE);
    reorder();
    for (const slot of slots) all.unmapped.push(slot * SLOT);
  }
  return all;
}

/** Marsaglia's, 32 bits. */
export function xorshift(): () => number {
  let state = 2463534242;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

export function shuffle(numbers: number[], random: () => number): void {
  for (let n = numbers.length - 1; n > 0; n--) {
    const other = random() % (n + 1);
    const kept = numbers[n]!;
    numbers[n] = numbers[other]!;
    numbers[other] = kept;
  }
}

/** What a child process prints; areas.cpp prints the same. */
export interface Measured {
  /** Nanoseconds an operation. */
  map: number;
  lookup: number;
  unmap: number;
  /** Ours alone: an area put where there is room, one after the other. */
  place?: number;
  /** Bytes for each live area; the area objects themselves count nowhere. */
  bytes: number;
  /** The same for all who did the same. */
  checksum: number;
}
