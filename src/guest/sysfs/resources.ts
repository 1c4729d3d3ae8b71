/** Memory and I/O regions of one function, as its file `resource` lists them. */

import type { PciFacts } from '../../host/snapshot.ts';

/** `struct resource`. Numbers in the list: 0 to 5 BARs, 6 ROM, 7 to 12 virtual functions' BARs, 13 on windows. */
export interface Resource {
  start: bigint;
  /** Inclusive. */
  end: bigint;
  flags: bigint;
  /** Bytes. */
  size: bigint;
  io: boolean;
  prefetchable: boolean;
  wide: boolean;
}

export const ROM = 6;
/** `PCI_IOV_RESOURCES`. */
export const FIRST_VIRTUAL = 7;
/** `PCI_BRIDGE_RESOURCES`, and with a bus behind it `DEVICE_COUNT_RESOURCE`. */
const LINES = 13;
const BRIDGE_LINES = 17;

const IO = 0x100n;
const MEMORY = 0x200n;
const PREFETCHABLE = 0x2000n;
const WIDE = 0x10_0000n;

/** By number; a region that is not there is `undefined`. */
export function resourcesOf(facts: PciFacts | undefined): (Resource | undefined)[] {
  return (facts?.resources ?? []).map(({ start, end, flags }) =>
    resource(BigInt(start), BigInt(end), BigInt(flags)),
  );
}

function resource(start: bigint, end: bigint, flags: bigint): Resource | undefined {
  const io = (flags & IO) !== 0n;
  if (end < start || (start === 0n && end === 0n) || (!io && (flags & MEMORY) === 0n)) return undefined;
  return {
    start,
    end,
    flags,
    size: end - start + 1n,
    io,
    prefetchable: (flags & PREFETCHABLE) !== 0n,
    wide: (flags & WIDE) !== 0n,
  };
}

/** The file `resource`. */
export function resourceText(resources: PciFacts['resources'], bridge: boolean): string {
  const none = '0x0000000000000000 0x0000000000000000 0x0000000000000000\n';
  const lines = (resources ?? []).map(({ start, end, flags }) => `${start} ${end} ${flags}\n`);
  return lines
    .concat(Array<string>(Math.max(0, (bridge ? BRIDGE_LINES : LINES) - lines.length)).fill(none))
    .join('');
}

/** Regions of virtual function `index`: its share of each of the physical function's (`pci_iov_add_virtfn`). */
export function virtualResources(
  facts: PciFacts | undefined,
  totalVfs: number,
  index: number,
): NonNullable<PciFacts['resources']> {
  const shares = resourcesOf(facts).slice(FIRST_VIRTUAL, FIRST_VIRTUAL + 6);
  return shares.map((all) => {
    if (all === undefined || totalVfs === 0) return { start: hex16(0n), end: hex16(0n), flags: hex16(0n) };
    const size = all.size / BigInt(totalVfs);
    const start = all.start + size * BigInt(index);
    return { start: hex16(start), end: hex16(start + size - 1n), flags: hex16(all.flags) };
  });
}

function hex16(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}
