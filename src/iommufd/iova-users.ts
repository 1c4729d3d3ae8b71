/** Who looks at an address space: page tables and in-kernel users, and the alignment they ask for. */

import type { Domain } from '../iommu/domain.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import { type DirtyMarks, type DirtyRequest, readAndClearDirty, setDirtyTracking } from './dirty-areas.ts';
import { checkAreasAligned, wantedAlignment } from './iova-alignment.ts';
import { IovaBounds } from './iova-bounds.ts';
import { PAGE_BYTES, ULONG_MAX } from './limits.ts';

/** An in-kernel user of an address space that can be told to let go (`struct iommufd_access`). */
export interface IovaUser {
  readonly name: string;
  /** `iommufd_access_ops.unmap`: unpin everything that meets these bytes, before returning. */
  unmap(iova: bigint, length: bigint): void;
}

export abstract class IovaUsers extends IovaBounds {
  readonly #domains: Domain[] = [];
  readonly #accesses = new Map<IovaUser, bigint>();
  #iovaAlignment = 1n;
  #largePagesDisabled = false;

  /** `iova_alignment`: what addresses, lengths and offsets have to be multiples of, a power of two of at most a page. */
  get iovaAlignment(): bigint {
    return this.#iovaAlignment;
  }

  /** `disable_large_pages`: everything is mapped page by page, so that it can be cut. */
  get largePagesDisabled(): boolean {
    return this.#largePagesDisabled;
  }

  /** Page tables that hold what is mapped here, oldest first. */
  get domains(): readonly Domain[] {
    return this.#domains;
  }

  /** In-kernel users and the alignment each needs, in bytes. */
  get accesses(): ReadonlyMap<IovaUser, bigint> {
    return this.#accesses;
  }

  /**
   * `iopt_table_add_domain`: a page table that holds all mappings from now on.
   *
   * @throws KernelError EEXIST it does already; EINVAL its smallest page is larger than PAGE_SIZE; EADDRINUSE a mapping
   *   is not aligned for it, or something is mapped or allowed outside its aperture; ENOMEM; as `PageSet.fillDomain`.
   *   Nothing has changed then
   */
  addDomain(domain: Domain): void {
    if (this.#domains.includes(domain))
      throw new KernelError('EEXIST', this.name, `${domain.label} is filled already`);
    const smallest = domain.smallestPage;
    const alignment = smallest > this.#iovaAlignment ? smallest : this.#iovaAlignment;
    if (alignment > PAGE_BYTES) {
      throw new KernelError(
        'EINVAL',
        domain.label,
        `its smallest page of ${smallest} bytes is larger than memory's`,
      );
    }
    if (alignment !== this.#iovaAlignment) checkAreasAligned(this.name, this.#everyArea(), alignment);
    try {
      const { start, last } = domain.aperture;
      if (start !== 0n) this.reserve(domain, 0n, start - 1n);
      if (last !== ULONG_MAX) this.reserve(domain, last + 1n, ULONG_MAX);
      this.faults.step('domain entry');
      this.#fillDomain(domain);
    } catch (error) {
      this.removeReserved(domain);
      throw error;
    }
    this.#iovaAlignment = alignment;
    this.#domains.push(domain);
  }

  /**
   * `iopt_table_remove_domain`: the page table is emptied and no longer kept up.
   *
   * @throws KernelError ENOENT it is none of this address space; the kernel warns
   */
  removeDomain(domain: Domain): void {
    const at = this.#domains.indexOf(domain);
    if (at < 0) throw new KernelError('ENOENT', this.name, `does not fill ${domain.label}`);
    this.#domains.splice(at, 1);
    for (const area of this.settledAreas()) area.pages.unfillDomain(area, domain);
    this.removeReserved(domain);
    this.#calculateAlignment();
  }

  /**
   * `iopt_add_access`: an in-kernel user, to be asked before what it may have pinned is unmapped.
   *
   * @param alignment PAGE_SIZE for one that pins, else 1
   * @throws KernelError ENOMEM; EADDRINUSE a mapping is not aligned for it
   */
  addAccess(access: IovaUser, alignment: bigint): void {
    this.faults.step('access entry');
    this.#accesses.set(access, alignment);
    try {
      this.#calculateAlignment();
    } catch (error) {
      this.#accesses.delete(access);
      throw error;
    }
  }

  /** `iopt_remove_access`: it has unpinned everything. */
  removeAccess(access: IovaUser): void {
    if (this.#accesses.delete(access)) this.#calculateAlignment();
  }

  /** `iommufd_access_notify_unmap`: asks every in-kernel user to let go of these bytes. */
  notifyUnmap(iova: bigint, length: bigint): void {
    for (const access of this.#accesses.keys()) access.unmap(iova, length);
  }

  /** `iopt_enable_large_pages`: from now on; what is mapped stays as it is. */
  enableLargePages(): void {
    this.#largePagesDisabled = false;
    this.#calculateAlignment();
  }

  /**
   * `iopt_disable_large_pages`
   *
   * @throws KernelError EINVAL something is mapped in a page table; EADDRINUSE a mapping does not lie on whole pages
   */
  disableLargePages(): void {
    if (this.#largePagesDisabled) return;
    if (this.#domains.length > 0 && this.areas.size > 0) {
      throw new KernelError(
        'EINVAL',
        this.name,
        'large pages may be in use already',
        'disable them before mapping',
      );
    }
    this.#largePagesDisabled = true;
    try {
      this.#calculateAlignment();
    } catch (error) {
      this.#largePagesDisabled = false;
      throw error;
    }
  }

  /** `iopt_set_dirty_tracking`: refusals as `setDirtyTracking` of dirty-areas.ts. */
  setDirtyTracking(domain: Domain, enable: boolean): void {
    setDirtyTracking(this, domain, enable);
  }

  /** `iopt_read_and_clear_dirty_data`: refusals as `readAndClearDirty` of dirty-areas.ts. */
  readAndClearDirty(domain: Domain, request: DirtyRequest, marks: DirtyMarks): void {
    readAndClearDirty(this, domain, request, marks);
  }

  /** `iopt_fill_domain`: every area into a new page table, or none. */
  #fillDomain(domain: Domain): void {
    const filled: Area[] = [];
    try {
      for (const area of this.settledAreas()) {
        area.pages.fillDomain(area, domain, !this.#largePagesDisabled);
        filled.push(area);
      }
    } catch (error) {
      for (const area of filled) area.pages.unfillDomain(area, domain);
      throw error;
    }
  }

  /**
   * `iopt_calculate_iova_alignment`
   *
   * @throws KernelError EADDRINUSE it would rise, and a mapping would not do
   */
  #calculateAlignment(): void {
    const alignment = wantedAlignment({
      domains: this.#domains,
      accesses: this.#accesses.values(),
      pageWise: this.#largePagesDisabled,
    });
    if (alignment > this.#iovaAlignment) checkAreasAligned(this.name, this.#everyArea(), alignment);
    this.#iovaAlignment = alignment;
  }

  *#everyArea(): Generator<Area> {
    for (const { value } of this.areas) yield value;
  }
}
