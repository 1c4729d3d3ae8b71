/** For tests: page sets, areas and domains of any page table, without an address space around them. */

import { Domain, DomainType } from '../iommu/domain.ts';
import { FaultInjector } from '../iommu/fault-injector.ts';
import { AmdV1 } from '../iommu/pagetable/amd-v1.ts';
import { IntervalTable } from '../iommu/pagetable/interval-table.ts';
import type { IoPageTable } from '../iommu/pagetable/io-page-table.ts';
import { MockTable2K } from '../iommu/pagetable/mock-table-2k.ts';
import { VtdSecondLevel } from '../iommu/pagetable/vtd-second-level.ts';
import { PhysicalMemory } from '../iommu/physical-memory.ts';
import { type AccountMode, accountFor } from './account.ts';
import { Area } from './area.ts';
import { PAGE_BYTES } from './limits.ts';
import { PageSet } from './page-set.ts';
import { makeProcess } from './process.ts';
import { ProcessMemory } from './process-memory.ts';
import { pagesOf } from './user-memory.ts';

/** Every kind of page table there is. */
export const TABLES: Record<string, () => IoPageTable> = {
  'sorted list': () => new IntervalTable(),
  'VT-d': () => new VtdSecondLevel(),
  'AMD v1': () => new AmdV1(),
  'mock, 2 KiB pages': () => new MockTable2K(),
};

export class PageSetBench {
  readonly physical = new PhysicalMemory();
  readonly faults = new FaultInjector();
  readonly memory = new ProcessMemory(this.physical);
  readonly process = makeProcess({ memory: this.memory, memlockLimit: 1n << 40n });

  /** @param make its page table; every table it allocates is a step that can fail */
  domain(make: () => IoPageTable = () => new VtdSecondLevel()): Domain {
    const pageTable = make();
    pageTable.onAllocate = () => this.faults.step('page table');
    return new Domain({ type: DomainType.Unmanaged, ops: {}, pageTable, pageSizes: pageTable.pageSizes });
  }

  /** The pages of the memory from `address` on. */
  pages(address: bigint, pages: number, options: { writable?: boolean; mode?: AccountMode } = {}): PageSet {
    return new PageSet({
      source: pagesOf(this.memory),
      firstPage: Number(address / PAGE_BYTES),
      pages,
      writable: options.writable ?? true,
      account: accountFor(this.process, options.mode ?? 'user'),
      faults: this.faults,
      physical: this.physical,
      userAddress: address,
    });
  }
}

/** `length` bytes of a page set from `startByte` on, all of them unless told, mapped at `iova`; with its reference. */
export function areaOf(pages: PageSet, iova: bigint, startByte = 0n, length?: bigint): Area {
  const bytes = length ?? BigInt(pages.pages) * PAGE_BYTES - startByte;
  return new Area({ iova, last: iova + bytes - 1n, pages, startByte, prot: pages.writable ? 3 : 1 });
}

/** Where `start … start + length - 1` leads, one row for 2 KiB. */
export function mappedAt(domain: Domain, start: bigint, length: bigint): (bigint | undefined)[] {
  const rows: (bigint | undefined)[] = [];
  for (let at = 0n; at < length; at += 2048n) rows.push(domain.iovaToPhys(start + at));
  return rows;
}
