/**
 * Memory that areas map: one page set for each IOAS_MAP, shared by all its copies (`struct iopt_pages`, pages.c).
 *
 * A page is pinned when the first page table or access needs it and unpinned when the last is done with it, once
 * however many there are; the account is charged for exactly the pages that are pinned. Pages are numbered from 0
 * within the set. Whatever fails leaves pins, account and page tables as they were; taking away cannot fail.
 */

import type { Domain } from '../iommu/domain.ts';
import { FrameRuns } from '../iommu/frame-runs.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Area } from './area.ts';
import { PAGE_BYTES, PAGE_SIZE } from './limits.ts';
import { type PageSetInit, PinnedSet } from './pinned-set.ts';
import type { UserMemory } from './user-memory.ts';

/** An access, by its exact range (`struct iopt_pages_access`). */
interface Access {
  first: number;
  last: number;
  users: number;
}

/** Made with one reference, the maker's. */
export class PageSet extends PinnedSet {
  #references = 1;
  #accesses: Map<string, Access> | undefined;

  /** @throws KernelError EBADF the source is a file that is not open any more */
  constructor(init: PageSetInit) {
    super(init);
    this.source.hold?.();
  }

  /** References held: areas, and lists of pages on their way to become areas. */
  get references(): number {
    return this.#references;
  }

  get label(): string {
    return `pages of ${this.source.name}`;
  }

  /** `kref_get`. */
  get(): this {
    this.#references++;
    return this;
  }

  /**
   * `iopt_put_pages`.
   *
   * @throws KernelError EBUSY the last reference goes and pages are pinned: somebody leaked a pin
   */
  put(): void {
    this.#references--;
    if (this.#references > 0) return;
    this.source.release?.();
    if (this.pinnedPages > 0) {
      throw new KernelError('EBUSY', this.label, `are forgotten with ${this.pinnedPages} of them pinned`);
    }
  }

  /**
   * `iopt_area_fill_domains`: a new area into all page tables of its address space; without any nothing is pinned.
   *
   * @param largePages frames that are contiguous may be mapped by one large leaf
   * @throws KernelError EFAULT a page cannot be pinned, ENOMEM over the limit; else the source's or a page table's
   *   refusal. Nothing has changed then
   */
  fillDomains(area: Area, domains: readonly Domain[], largePages = true): void {
    if (domains.length > 0) this.#fill(area, domains, largePages);
  }

  /**
   * `iopt_area_fill_domain`: an area into one more page table.
   *
   * @throws KernelError as `fillDomains`
   */
  fillDomain(area: Area, domain: Domain, largePages = true): void {
    this.#fill(area, [domain], largePages);
  }

  /** `iopt_area_unfill_domain`, or `iopt_area_unmap_domain` while other page tables have the area. */
  unfillDomain(area: Area, domain: Domain): void {
    domain.unmap(area.iova, area.length);
    area.filled--;
    if (area.filled === 0) this.unuse(area.firstPage, area.lastPage);
  }

  /** `iopt_area_unfill_domains`: the area out of all its page tables. Pages that accesses need stay pinned. */
  unfillDomains(area: Area, domains: readonly Domain[]): void {
    if (area.filled === 0) return;
    for (const domain of domains) domain.unmap(area.iova, area.length);
    area.filled = 0;
    // Unpinning must follow unmapping everywhere: a device must not reach a page that is somebody else's by now.
    this.unuse(area.firstPage, area.lastPage);
  }

  /**
   * `iopt_area_add_access`: an in-kernel user of pages `first … last` of the set.
   *
   * @param write the user will write to them
   * @returns their frames, pinned until `removeAccess` of the same range
   * @throws KernelError EPERM `write` and the set is not writable; else as `fillDomains`. Nothing has changed then
   */
  addAccess(area: Area, first: number, last: number, write: boolean): FrameRuns {
    this.#assertAllows(write);
    const key = `${first}-${last}`;
    const known = this.#accesses?.get(key);
    if (known !== undefined) {
      known.users++;
    } else {
      this.faults.step('access');
      this.pin(first, last, () => this.faults.step('frames of the access'));
      this.use(first, last);
      this.#accesses ??= new Map();
      this.#accesses.set(key, { first, last, users: 1 });
    }
    area.accesses++;
    return this.collect(first, last);
  }

  /**
   * `iopt_area_remove_access`: undoes one `addAccess` of exactly these pages.
   *
   * @throws KernelError EINVAL there is none; the kernel warns
   */
  removeAccess(area: Area, first: number, last: number): void {
    const key = `${first}-${last}`;
    const access = this.#accesses?.get(key);
    if (access === undefined) {
      throw new KernelError('EINVAL', this.label, `no access has pages ${first} to ${last}`);
    }
    area.accesses--;
    access.users--;
    if (access.users > 0) return;
    this.#accesses?.delete(key);
    this.unuse(first, last);
  }

  /**
   * `iopt_pages_rw_access`: copies bytes to or from the pages, pinned or not. A write to user memory that is refused
   * may have written what comes before.
   *
   * @param offset in bytes, from the start of page 0
   * @param slow through page frames, as for a caller in another process, even if the user's memory could be copied
   * @throws KernelError EPERM `write` and the set is not writable; EFAULT; ENOMEM
   */
  rw(offset: bigint, bytes: Uint8Array, write: boolean, slow = false): void {
    this.#assertAllows(write);
    if (bytes.length === 0) return;
    const { user } = this.source;
    const first = Number(offset / PAGE_BYTES);
    const last = Number((offset + BigInt(bytes.length) - 1n) / PAGE_BYTES);
    const within = Number(offset % PAGE_BYTES);
    if (user === undefined || user.gone || (slow && first < last)) {
      this.#rwFrames(first, last, within, bytes, write);
    } else if (slow) {
      this.#rwPage(user, first, within, bytes, write);
    } else {
      const address = BigInt(this.firstPage) * PAGE_BYTES + offset;
      if (write) user.write(address, bytes);
      else user.read(address, bytes);
    }
  }

  /** Two areas in the place of one: what the old one had, both have. */
  splitArea(area: Area, left: Area, right: Area): void {
    left.filled = area.filled;
    right.filled = area.filled;
    // Both have the page they were cut in, and each will give up its use of it.
    if (area.filled > 0 && left.lastPage === right.firstPage) this.use(left.lastPage, left.lastPage);
  }

  /** The accesses there are, in the order they came. */
  get accesses(): readonly { first: number; last: number; users: number }[] {
    return this.#accesses === undefined ? [] : [...this.#accesses.values()];
  }

  #fill(area: Area, domains: readonly Domain[], largePages: boolean): void {
    const { iova, length, pageOffset, prot, firstPage, lastPage } = area;
    const done: Domain[] = [];
    const unmap = (): void => {
      for (const domain of done) domain.unmap(iova, length);
    };
    const map = (runs: FrameRuns): void => {
      for (const domain of domains) {
        domain.mapRuns(iova, runs, pageOffset, length, prot, !largePages);
        done.push(domain);
      }
    };
    this.pin(firstPage, lastPage, map, unmap);
    if (area.filled === 0) this.use(firstPage, lastPage);
    area.filled += domains.length;
  }

  /** `iopt_pages_rw_page`: one page, pinned for the moment and only as needed. */
  #rwPage(user: UserMemory, page: number, within: number, bytes: Uint8Array, write: boolean): void {
    const runs = new FrameRuns();
    this.faults.step('pin pages');
    user.pin(BigInt(this.firstPage + page) * PAGE_BYTES, 1, write, runs);
    this.#copy(runs, within, bytes, write);
    this.physical.unpin(runs.first(0), 1);
  }

  /** `iopt_pages_rw_slow`: exactly what a device would see. */
  #rwFrames(first: number, last: number, within: number, bytes: Uint8Array, write: boolean): void {
    try {
      this.#copy(this.gather(first, last).runs, within, bytes, write);
    } finally {
      this.sweep(first, last);
    }
  }

  /** `batch_rw`, from byte `within` of the first page on. */
  #copy(runs: FrameRuns, within: number, bytes: Uint8Array, write: boolean): void {
    let skip = within;
    for (let run = 0, done = 0; done < bytes.length; run++) {
      const length = Math.min(runs.count(run) * PAGE_SIZE - skip, bytes.length - done);
      const address = BigInt(runs.first(run)) * PAGE_BYTES + BigInt(skip);
      const part = bytes.subarray(done, done + length);
      if (write) this.physical.write(address, part);
      else this.physical.read(address, part);
      done += length;
      skip = 0;
    }
  }

  #assertAllows(write: boolean): void {
    if (write && !this.writable) throw new KernelError('EPERM', this.label, 'were mapped read-only');
  }
}
