/** The part of a page set that pins pages, keeps count of their users and charges for them. */

import type { FaultInjector } from '../iommu/fault-injector.ts';
import { FrameRuns } from '../iommu/frame-runs.ts';
import type { PhysicalMemory } from '../iommu/physical-memory.ts';
import type { PinAccount } from './account.ts';
import { PinnedPages } from './pinned-pages.ts';
import type { PageSource } from './user-memory.ts';

export interface PageSetInit {
  source: PageSource;
  /** The page of the source that is page 0 of the set. */
  firstPage: number;
  pages: number;
  /** Devices may write to it: pages are pinned for writing. */
  writable: boolean;
  account: PinAccount;
  faults: FaultInjector;
  physical: PhysicalMemory;
  /** Where page 0 is in the memory of the process that mapped it; not for files. */
  userAddress?: bigint;
}

export abstract class PinnedSet {
  readonly source: PageSource;
  readonly firstPage: number;
  /** `npages` */
  readonly pages: number;
  readonly writable: boolean;
  readonly userAddress: bigint | undefined;
  protected readonly faults: FaultInjector;
  protected readonly physical: PhysicalMemory;
  readonly #pinned = new PinnedPages();
  #account: PinAccount;

  constructor(init: PageSetInit) {
    this.source = init.source;
    this.firstPage = init.firstPage;
    this.pages = init.pages;
    this.writable = init.writable;
    this.userAddress = init.userAddress;
    this.faults = init.faults;
    this.physical = init.physical;
    this.#account = init.account;
  }

  /** `npinned`: pages that are pinned. */
  get pinnedPages(): number {
    return this.#pinned.pages;
  }

  /** Who is charged for them. */
  get account(): PinAccount {
    return this.#account;
  }

  /**
   * For IOAS_CHANGE_PROCESS: another process is charged from now on.
   *
   * @throws KernelError ENOMEM it may not lock that many; nothing has changed then
   */
  moveAccount(to: PinAccount): void {
    if (to === this.#account) return;
    if (this.#pinned.pages > 0) to.charge(this.#pinned.pages);
    if (this.#pinned.pages > 0) this.#account.uncharge(this.#pinned.pages);
    this.#account = to;
  }

  /** What is pinned and by how many users, for a picture of the state. */
  stretches(): { first: number; pages: number; frame: number; users: number }[] {
    return [...this.#pinned.stretches()];
  }

  /**
   * Pins what is not pinned of `first … last`, lets `take` have the frames and charges the account; after a failure
   * of any of it nothing new is pinned. On success the caller adds a user at once.
   *
   * The kernel charges last as well: what is too much is pinned and mapped before it is refused.
   *
   * @param undo puts back what `take` did, also if it did only half of it; absent: there is nothing to put back
   */
  protected pin(first: number, last: number, take: (runs: FrameRuns) => void, undo?: () => void): void {
    try {
      const { runs, fresh } = this.gather(first, last);
      take(runs);
      if (fresh > 0) {
        this.faults.step('charge for pinned pages');
        this.#account.charge(fresh);
      }
    } catch (error) {
      undo?.();
      this.sweep(first, last);
      throw error;
    }
  }

  /** The frames of `first … last`; those that were not pinned are now, and have no user yet. */
  protected gather(first: number, last: number): { runs: FrameRuns; fresh: number } {
    this.faults.step('page batch');
    const holes = this.#pinned.holes(first, last);
    let fresh = 0;
    for (let at = 0; at < holes.length; at += 2) {
      const start = holes[at]!;
      const count = holes[at + 1]! - start + 1;
      const pinned = new FrameRuns();
      this.faults.step('pin pages');
      this.source.pin(this.firstPage + start, count, this.writable, pinned);
      this.#pinned.insert(start, pinned);
      fresh += count;
      if (count === last - first + 1) return { runs: pinned, fresh };
    }
    const runs = new FrameRuns();
    this.#pinned.collect(first, last, runs);
    return { runs, fresh };
  }

  /** The frames of `first … last`, all of which are pinned. */
  protected collect(first: number, last: number): FrameRuns {
    const runs = new FrameRuns();
    this.#pinned.collect(first, last, runs);
    return runs;
  }

  /** One more user of `first … last`, all of which are pinned. */
  protected use(first: number, last: number): void {
    this.#pinned.use(first, last);
  }

  /** One user less; what has none left is unpinned. */
  protected unuse(first: number, last: number): void {
    const unpinned = this.#pinned.unuse(first, last, this.physical);
    if (unpinned > 0) this.#account.uncharge(unpinned);
  }

  /** Unpins what was pinned for somebody who did not become a user. */
  protected sweep(first: number, last: number): void {
    this.#pinned.sweep(first, last, this.physical);
  }
}
