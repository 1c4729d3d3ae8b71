/** Regions as `lspci -vv` prints them, into what sysfs has in `resource`. */

import type { PciFacts } from './snapshot.ts';

export type RegionFacts = NonNullable<PciFacts['resources']>[number];

const UNITS: Record<string, bigint> = { '': 1n, K: 1n << 10n, M: 1n << 20n, G: 1n << 30n, T: 1n << 40n };
/** Flag bits as the kernel has them in `resource` (`IORESOURCE_*`). */
const IO = 0x100;
const MEMORY = 0x200;
const PREFETCHABLE = 0x2000;
const WIDE = 0x100000;
const ROM_REGION = 6;

export function takeRegion(regions: Map<number, RegionFacts>, line: string): void {
  const found =
    /^(?:Region (\d)|Expansion ROM)(: I\/O ports|: Memory)? at ([0-9a-f]{1,16}) (.*)\[size=(\d{1,4})([KMGT]?)\]/.exec(
      line,
    );
  if (found === null) return;
  const start = BigInt(`0x${found[3]!}`);
  const size = BigInt(found[5]!) * UNITS[found[6]!]!;
  if (size === 0n) return;
  const words = found[4]!;
  let bits = found[2] === ': I/O ports' ? IO : MEMORY;
  if (/(?<!non-)prefetchable/.test(words)) bits |= PREFETCHABLE;
  if (words.includes('64-bit')) bits |= WIDE;
  regions.set(found[1] === undefined ? ROM_REGION : Number(found[1]), {
    start: hex16(start),
    end: hex16(start + size - 1n),
    flags: hex16(BigInt(bits)),
  });
}

function hex16(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16).padStart(16, '0')}`;
}

/** Regions in their numbers' order, gaps filled as sysfs fills them. */
export function resourcesOf(regions: ReadonlyMap<number, RegionFacts>): RegionFacts[] | undefined {
  if (regions.size === 0) return undefined;
  const none = { start: hex16(0n), end: hex16(0n), flags: hex16(0n) };
  const last = Math.max(...regions.keys());
  return Array.from({ length: last + 1 }, (_, number) => regions.get(number) ?? none);
}
