/** Failures of their own accord: memory that is not there from page k on, and limits that are reached at page k. */

import { describe, expect, test } from 'vitest';
import { Access } from '../../../src/iommufd/access.ts';
import type { Arena } from '../../../src/iommufd/arena.ts';
import { hwptAlloc } from '../../../src/iommufd/calls/hwpt-alloc.ts';
import { ioasCopy } from '../../../src/iommufd/calls/ioas-copy.ts';
import { ioasMap } from '../../../src/iommufd/calls/ioas-map.ts';
import { OptionId, OptionOp, option } from '../../../src/iommufd/calls/option.ts';
import type { IommufdDevice } from '../../../src/iommufd/device.ts';
import { copyRequest, hwptRequest, map, mapRequest, mockDomain, newIoas } from '../calls.ts';
import { Machine, type MachineOptions, PAGE } from '../machine.ts';
import { refusedCleanly } from './every-step.ts';

const IOVA = 0x100_0000n;
const PAGES = 6;
const BASE = 0x7f00_0000_0000n;
const LENGTH = BigInt(PAGES) * PAGE;
const EVERY_PAGE = Array.from({ length: PAGES }, (_, page) => page);

/** Two areas of three pages each, of memory whose every page is a mapping of its own. */
class PagewiseMachine extends Machine {
  readonly source: number;
  readonly ioas: number;
  readonly access: Access;
  pinned = false;
  readonly #arenas: Arena[];
  #bound: IommufdDevice | undefined;

  constructor(options: MachineOptions = {}, mode: 'user' | 'process' = 'user') {
    super(options);
    const { context } = this;
    if (mode === 'process') {
      option(context, {
        optionId: OptionId.RlimitMode,
        op: OptionOp.Set,
        reserved: 0,
        objectId: 0,
        val64: 1n,
      });
    }
    this.#arenas = Array.from({ length: PAGES }, (_, page) => this.memory.mmap(1, { base: addressOf(page) }));
    this.source = newIoas(context);
    this.ioas = newIoas(context);
    map(context, this.source, BASE, 3n * PAGE, IOVA);
    map(context, this.source, BASE + 3n * PAGE, 3n * PAGE, IOVA + 3n * PAGE);
    this.access = Access.create(context, { needsPinPages: true, unmap: () => this.#unpin() });
    this.access.attach(this.source);
  }

  /** In the other IOMMU's group H. */
  get bound(): IommufdDevice {
    this.#bound ??= this.bind('Ha');
    return this.#bound;
  }

  pin(): void {
    this.access.pinPages(IOVA, LENGTH, 1);
    this.pinned = true;
  }

  lose(page: number): void {
    this.memory.munmap(this.#arenas[page]!);
  }

  override end(): void {
    this.access.release();
    super.end();
  }

  #unpin(): void {
    if (this.pinned) this.access.unpinPages(IOVA, LENGTH);
    this.pinned = false;
  }
}

function addressOf(page: number): bigint {
  return BASE + BigInt(page) * PAGE;
}

/** Calls that need the pages; each pins all of them. */
const CALLS: [name: string, prepare: (on: PagewiseMachine) => () => unknown][] = [
  [
    'MAP into one page table',
    (on) => {
      mockDomain(on.context, on.ioas);
      const request = on.watch(mapRequest(on.ioas, BASE, LENGTH, IOVA));
      return () => ioasMap(on.context, request);
    },
  ],
  [
    'MAP into two page tables',
    (on) => {
      mockDomain(on.context, on.ioas);
      on.bound.attach(on.ioas);
      const request = on.watch(mapRequest(on.ioas, BASE, LENGTH, IOVA));
      return () => ioasMap(on.context, request);
    },
  ],
  [
    'COPY of both areas',
    (on) => {
      mockDomain(on.context, on.ioas);
      const request = copyRequest({ ioas: on.source, iova: IOVA }, { ioas: on.ioas, iova: IOVA }, LENGTH);
      on.watch(request);
      return () => ioasCopy(on.context, request);
    },
  ],
  [
    'attach to the IOAS',
    (on) => {
      const bound = on.bound;
      return () => bound.attach(on.source);
    },
  ],
  [
    'replace by the IOAS',
    (on) => {
      const bound = on.bound;
      bound.attach(on.ioas);
      return () => bound.replace(on.source);
    },
  ],
  [
    'HWPT_ALLOC',
    (on) => {
      const request = on.watch(hwptRequest(on.bound.id, on.source));
      return () => hwptAlloc(on.context, request);
    },
  ],
  ['a new mock device', (on) => () => mockDomain(on.context, on.source)],
  ['pinning by an access', (on) => () => on.pin()],
];

describe.each(CALLS)('%s', (_, prepare) => {
  test.each(EVERY_PAGE)('EFAULT where page %i is not there; nothing has changed', (page) => {
    const on = new PagewiseMachine();
    const act = prepare(on);
    on.lose(page);
    refusedCleanly(on, act, 'EFAULT');
    on.memory.mmap(1, { base: addressOf(page) });
    act();
    on.end();
  });

  test.each(EVERY_PAGE)('EFAULT where page %i cannot be written; nothing has changed', (page) => {
    const on = new PagewiseMachine();
    const act = prepare(on);
    on.lose(page);
    on.memory.mmap(1, { base: addressOf(page), writable: false });
    refusedCleanly(on, act, 'EFAULT');
    on.end();
  });

  test.each(['user', 'process'] as const)('ENOMEM below the limit of the %s; nothing has changed', (mode) => {
    for (let limit = 0; limit <= PAGES; limit++) {
      const memlockLimit = BigInt(limit) * PAGE + 4095n;
      const on = new PagewiseMachine({ process: { capabilities: ['CAP_SYS_RESOURCE'], memlockLimit } }, mode);
      const act = prepare(on);
      if (limit < PAGES) refusedCleanly(on, act, 'ENOMEM');
      else act();
      on.base.process.memlockLimit = BigInt(PAGES) * PAGE;
      if (limit < PAGES) act();
      const { process } = on.base;
      const locked = mode === 'user' ? process.user.lockedPages : process.lockedPages;
      expect([locked, process.pinnedPages]).toEqual([PAGES, PAGES]);
      on.end();
    }
  });
});
