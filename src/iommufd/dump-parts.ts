/** Addresses, ranges and page tables as plain data. Part of dump.ts. */

import type { Domain } from '../iommu/domain.ts';
import type { IovaRange } from './iova-range.ts';
import { ULONG_MAX } from './limits.ts';

export interface TablePicture {
  /** None where the domain has no table of its own. */
  format?: string;
  /** Pages of table memory. */
  tables: number;
  /** `first-last -> physical address, prot`, and whether it is dirty; leaf by leaf. */
  leaves: string[];
}

export function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** `0x1000-0x1fff` */
export function rangeOf({ start, last }: IovaRange): string {
  return `${hex(start)}-${hex(last)}`;
}

/** What a domain's own page table holds. */
export function describeTable(domain: Domain): TablePicture {
  const table = domain.pageTable;
  if (table === undefined) return { tables: 0, leaves: [] };
  const leaves = [...table.leaves(0n, ULONG_MAX)].map(
    ({ iova, paddr, size, prot, dirty }) =>
      `${rangeOf({ start: iova, last: iova + size - 1n })} -> ${hex(paddr)} ${prot}${dirty ? ' dirty' : ''}`,
  );
  return { format: table.format, tables: table.tables, leaves };
}
