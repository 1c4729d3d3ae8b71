/** The model: which pages are pinned, for whom, and who is charged. */

import {
  type Area,
  type Context,
  type Ioas,
  type Range,
  Refusal,
  type State,
  type Surroundings,
} from './state.ts';

export const PAGE = 4096n;
export const MAX = 0xffff_ffff_ffff_ffffn;
export const SELFTEST_APERTURE = { start: 1n << 24n, last: (1n << 31n) - 1n };

export function refuse(code: string): never {
  throw new Refusal(code);
}

export function meets(a: Range, b: Range): boolean {
  return a.start <= b.last && b.start <= a.last;
}

export function rangeOf({ iova, last }: Area): Range {
  return { start: iova, last };
}

export interface PageRun {
  set: number;
  /** Numbers of pages in the set. */
  first: bigint;
  last: bigint;
}

export function runOf(area: Area): PageRun {
  return {
    set: area.set,
    first: area.startByte / PAGE,
    last: (area.startByte + area.last - area.iova) / PAGE,
  };
}

export abstract class Pages {
  state: State = { contexts: [], sets: new Map(), groups: new Map(), made: 0, fds: new Set() };
  readonly around: Surroundings;
  /** Pages that the call under way has pinned so far. */
  protected pinning: PageRun[] = [];

  constructor(around: Surroundings) {
    this.around = around;
  }

  context(at: number): Context {
    return this.state.contexts[at]!;
  }

  ioas(context: number, id: number): Ioas {
    const thing = this.context(context).things.get(id);
    return thing?.kind === 'ioas' ? thing : refuse('ENOENT');
  }

  /** Lowest id that is free. */
  protected newId(context: number): number {
    const { things } = this.context(context);
    let id = 1;
    while (things.has(id)) id++;
    return id;
  }

  protected newSet(context: number, start: bigint, flags: number, file: boolean): number {
    const set = ++this.state.made;
    const account = this.context(context).mode;
    this.state.sets.set(set, { address: start - (start % PAGE), file, writable: (flags & 2) !== 0, account });
    return set;
  }

  /** Where a page is to be looked for. */
  pageOf(set: number, page: bigint): bigint {
    const { address, file } = this.state.sets.get(set)!;
    return (file ? this.around.fileBase : 0n) + address + page * PAGE;
  }

  /** Pages of a run that are not pinned have to be there and may not exceed the limit. */
  pinRun(run: PageRun): void {
    const { writable, account, file } = this.state.sets.get(run.set)!;
    const pinned = this.pinnedPages();
    const before = pinned.get(run.set) ?? new Set<bigint>();
    let fresh = 0;
    for (let page = run.first; page <= run.last; page++) {
      if (before.has(page)) continue;
      const memory = this.around.pageAt(this.pageOf(run.set, page));
      if (file && memory === undefined) refuse('EINVAL');
      if (memory === undefined || (writable && !memory.writable)) refuse('EFAULT');
      fresh++;
    }
    if (fresh > 0 && this.locked(account, pinned) + fresh > this.around.limit) refuse('ENOMEM');
    this.pinning.push(run);
  }

  /** Pages of each set that are pinned: those of areas in some page table, and those an access has. */
  pinnedPages(): Map<number, Set<bigint>> {
    const pinned = new Map<number, Set<bigint>>();
    for (const run of this.#runs()) {
      const pages = pinned.get(run.set) ?? new Set<bigint>();
      for (let page = run.first; page <= run.last; page++) pages.add(page);
      pinned.set(run.set, pages);
    }
    return pinned;
  }

  locked(account: 'user' | 'process', pinned = this.pinnedPages()): number {
    let pages = 0;
    for (const [set, { size }] of pinned) if (this.state.sets.get(set)!.account === account) pages += size;
    return pages;
  }

  *#runs(): Generator<PageRun> {
    yield* this.pinning;
    for (const { things } of this.state.contexts) {
      for (const thing of things.values()) {
        if (thing.kind === 'ioas' && thing.hwpts.length > 0)
          for (const area of thing.areas) yield runOf(area);
        if (thing.kind === 'access') for (const pin of thing.pins) yield* pin.pages;
      }
    }
  }
}
