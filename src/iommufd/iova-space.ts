/**
 * An I/O address space: what is mapped where, for the page tables and in-kernel users that see it (`struct
 * io_pagetable`, io_pagetable.c).
 *
 * Addresses and lengths are bytes. The whole of 0 to 2^64-1 is there; ranges are kept with an inclusive end.
 */

import { Prot } from '../iommu/domain.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';
import { KernelError } from '../kernel/errors.ts';
import type { PinAccount } from './account.ts';
import { AllowedIovas } from './allowed-iovas.ts';
import type { Area } from './area.ts';
import { contiguousPieces } from './contiguous-areas.ts';
import { cutAreas } from './cut-areas.ts';
import type { IovaBoundsInit } from './iova-bounds.ts';
import { lastOf, rangeWords } from './iova-range.ts';
import { IovaUsers } from './iova-users.ts';
import { PAGE_BYTES, ULONG_MAX } from './limits.ts';
import { mapAreas } from './map-areas.ts';
import { PageList } from './page-list.ts';
import { allocPages } from './source-pages.ts';
import { unmapAreas } from './unmap-areas.ts';
import { type PageSource, pagesOf, type UserMemory } from './user-memory.ts';

export type { IovaUser } from './iova-users.ts';

export interface IovaSpaceInit extends IovaBoundsInit {
  readonly physical: PhysicalMemory;
  /** Asked at every map: where the pages are to be charged. */
  readonly account: () => PinAccount;
  /** `CONFIG_TRANSPARENT_HUGEPAGE`: automatic placement aligns up to 2 MiB, else to a page at most. */
  readonly transparentHugePages: boolean;
}

/** Where a mapping goes: at `iova`, or wherever there is room. */
export interface Placement {
  readonly iova?: bigint;
}

export class IovaSpace extends IovaUsers {
  readonly transparentHugePages: boolean;
  readonly #physical: PhysicalMemory;
  readonly #account: () => PinAccount;

  constructor(init: IovaSpaceInit) {
    super(init);
    this.#physical = init.physical;
    this.#account = init.account;
    this.transparentHugePages = init.transparentHugePages;
  }

  /**
   * `iopt_map_user_pages`: memory of a process appears here, in every page table or nowhere. Without a page table it
   * is not looked at yet.
   *
   * @param userVa where it begins in the process
   * @param prot `Prot` bits
   * @returns where it begins here
   * @throws KernelError EINVAL no length; EOVERFLOW the memory wraps around; ENOMEM; else as `mapPages`
   */
  mapUserPages(
    memory: UserMemory,
    userVa: bigint,
    length: bigint,
    prot: number,
    place: Placement = {},
  ): bigint {
    return this.#mapSource(pagesOf(memory), userVa, length, prot, place, true);
  }

  /**
   * `iopt_map_file_pages`: as `mapUserPages`, of a file from byte `start` on.
   *
   * @throws KernelError EOVERFLOW the end is not below 2^64; else as `mapUserPages`
   */
  mapFilePages(file: PageSource, start: bigint, length: bigint, prot: number, place: Placement = {}): bigint {
    return this.#mapSource(file, start, length, prot, place, false);
  }

  /**
   * `iopt_map_pages`: what `getPages` gave appears here, one area for each slice, side by side.
   *
   * @returns where it begins
   * @throws KernelError EINVAL no length, or it, the address or an offset in a page is not aligned, or the address meets
   *   a reserved range; EOVERFLOW it ends past 2^64-1, or is too long to look for a place; EEXIST something is mapped
   *   there; ENOSPC no place is left; EPERM it is to be written to and was mapped read-only; EFAULT, ENOMEM pinning
   *   failed; else a page table's refusal. Nothing has changed then
   */
  mapPages(list: PageList, length: bigint, prot: number, place: Placement = {}): bigint {
    return mapAreas(this, list.slices, length, prot, place.iova);
  }

  /**
   * `iopt_get_pages`: the page sets behind `length` bytes.
   *
   * @throws KernelError EINVAL no length; EOVERFLOW past 2^64-1; ENOENT not all of it is mapped; ENOMEM
   */
  getPages(iova: bigint, length: bigint): PageList {
    if (length === 0n) throw new KernelError('EINVAL', this.name, 'no bytes are asked for');
    const end = lastOf(this.name, iova, length);
    const list = new PageList();
    try {
      let next = iova;
      for (const { area, start, last } of contiguousPieces((at) => this.areaAt(at), iova, end)) {
        this.faults.step('page list');
        list.push({ pages: area.pages, startByte: area.startByte(start), length: last - start + 1n });
        next = last + 1n;
      }
      if (next <= end) {
        throw new KernelError(
          'ENOENT',
          this.name,
          `nothing is mapped at 0x${next.toString(16)}`,
          'map it first',
        );
      }
    } catch (error) {
      list[Symbol.dispose]();
      throw error;
    }
    return list;
  }

  /**
   * `iopt_unmap_iova`: takes away the mappings in a range, each as a whole, and asks their in-kernel users first.
   *
   * @returns bytes that were mapped, 0n for none
   * @throws KernelError EINVAL no length; EOVERFLOW past 2^64-1
   * @throws UnmapError as `unmapAreas`; what it took away before stays away
   */
  unmap(iova: bigint, length: bigint): bigint {
    if (length === 0n) throw new KernelError('EINVAL', this.name, 'no bytes are to be unmapped');
    return unmapAreas(this, iova, lastOf(this.name, iova, length));
  }

  /** `iopt_unmap_all`: as `unmap` of everything; no error where nothing is mapped. */
  unmapAll(): bigint {
    return unmapAreas(this, 0n, ULONG_MAX);
  }

  /**
   * Empties an area nobody uses any more, and forgets it.
   *
   * @throws KernelError EBUSY its pages stay pinned without a user
   */
  removeArea(area: Area): void {
    area.pages.unfillDomains(area, this.domains);
    this.areas.delete(area.iova);
    area.pages.put();
  }

  /** `iopt_cut_iova`: each address becomes the last of an area, where it was inside one. Refusals as `cutAreas`. */
  cut(addresses: readonly bigint[]): void {
    cutAreas(this, addresses);
  }

  /**
   * `iopt_destroy_table`, with everything that is mapped.
   *
   * @throws KernelError EBUSY a page table, an in-kernel user or a reservation is left: somebody leaked it
   */
  destroy(): void {
    this.unmapAll();
    this.removeReserved(null);
    this.setAllowed(new AllowedIovas());
    const left = [
      ...this.domains.map(({ label }) => label),
      ...[...this.accesses.keys()].map(({ name }) => name),
    ];
    for (const { owner, start, last } of this.reserved) {
      left.push(`the reservation ${rangeWords(start, last)} of ${owner?.name}`);
    }
    if (left.length > 0) throw new KernelError('EBUSY', this.name, `is destroyed with ${left.join(', ')}`);
  }

  #mapSource(
    source: PageSource,
    start: bigint,
    length: bigint,
    prot: number,
    place: Placement,
    isAddress: boolean,
  ): bigint {
    const pages = allocPages({
      name: this.name,
      source,
      start,
      length,
      writable: (prot & Prot.Write) !== 0,
      isAddress,
      account: this.#account,
      faults: this.faults,
      physical: this.#physical,
    });
    const startByte = start & (PAGE_BYTES - 1n);
    try {
      return mapAreas(this, [{ pages, startByte, length }], length, prot, place.iova);
    } finally {
      pages.put();
    }
  }
}
