/** Address spaces as calls may find them: with page tables or without, pinned in part, with huge pages or without. */

import { Access } from '../../../src/iommufd/access.ts';
import { ioasMap } from '../../../src/iommufd/calls/ioas-map.ts';
import type { IommufdDevice } from '../../../src/iommufd/device.ts';
import { DeviceFlag } from '../../../src/iommufd/selftest/numbers.ts';
import { map, mapRequest, mockDomain, newIoas, setHugePages } from '../calls.ts';
import { Machine, type MachineOptions, PAGE } from '../machine.ts';

export interface Situation {
  name: string;
  /** Mock devices of the selftest, each with a page table of its own; then group G, in one of another kind. */
  mocks?: number;
  hugeMocks?: boolean;
  group?: boolean;
  /** An access has pinned some pages in the middle. */
  pinned?: boolean;
  noHugePages?: boolean;
}

export const SITUATIONS: Situation[] = [
  { name: 'no page table' },
  { name: 'one page table', mocks: 1 },
  { name: 'two page tables, huge pages', mocks: 2, hugeMocks: true },
  { name: 'a group of two devices', group: true },
  { name: 'no page table, pages pinned', pinned: true },
  { name: 'two page tables, pages pinned', mocks: 1, group: true, pinned: true },
  { name: 'two page tables, huge pages off', mocks: 1, group: true, noHugePages: true },
];

/** Where the areas are; each but the last ends where the next begins. */
export const AREAS = {
  /** Four pages that follow each other in memory. */
  even: 0x100_0000n,
  /** Three that do not. */
  scattered: 0x100_4000n,
  /** Two that may only be read. */
  readOnly: 0x100_7000n,
  end: 0x100_9000n,
} as const;

/** From here on nothing is mapped. */
export const FREE = 0x140_0000n;

/** The machine in one of the situations. */
export class IoasStage extends Machine {
  readonly ioas: number;
  readonly other: number;
  readonly access: Access;
  readonly even: bigint;
  readonly scattered: bigint;
  readonly huge: bigint;
  readonly scratch: bigint;
  readonly bound: IommufdDevice[] = [];
  readonly stdevs: number[] = [];
  #pins: [iova: bigint, length: bigint][] = [];

  constructor(situation: Situation, options: MachineOptions = {}) {
    super(options);
    const { context, memory } = this;
    this.even = memory.mmap(8, { name: 'even' }).base;
    this.scattered = memory.mmap(8, { name: 'scattered', frames: 'scattered' }).base;
    this.huge = memory.mmap(1024, { name: 'huge', base: 0x7f80_0000_0000n, align: 512 }).base;
    this.scratch = memory.mmap(2, { name: 'scratch' }).base;
    this.ioas = newIoas(context);
    this.other = newIoas(context);
    if (situation.noHugePages) setHugePages(context, this.ioas, false);
    this.access = Access.create(context, { needsPinPages: true, unmap: (...range) => this.#unpin(range) });
    map(context, this.ioas, this.even, 4n * PAGE, AREAS.even);
    map(context, this.ioas, this.scattered, 3n * PAGE, AREAS.scattered);
    ioasMap(context, {
      ...mapRequest(this.ioas, this.even + 4n * PAGE, 2n * PAGE, AREAS.readOnly),
      flags: 5,
    });
    for (let made = 0; made < (situation.mocks ?? 0); made++) {
      const { stdev } = mockDomain(context, this.ioas, situation.hugeMocks ? DeviceFlag.HugeIova : 0);
      this.stdevs.push(stdev);
    }
    if (situation.group) {
      this.bound.push(this.bind('Ga'), this.bind('Gb'));
      for (const bound of this.bound) bound.attach(this.ioas);
    }
    this.access.attach(this.ioas);
    if (situation.pinned) this.pin(AREAS.even + PAGE, 5n * PAGE);
  }

  /** Pinned until the address space asks for it back. */
  pin(iova: bigint, length: bigint, flags = 0): void {
    this.access.pinPages(iova, length, flags);
    this.#pins.push([iova, length]);
  }

  get pins(): readonly (readonly [iova: bigint, length: bigint])[] {
    return this.#pins;
  }

  override end(): void {
    this.access.release();
    super.end();
  }

  #unpin([iova, length]: [bigint, bigint]): void {
    const met = this.#pins.filter(([start, size]) => start < iova + length && start + size > iova);
    this.#pins = this.#pins.filter((pin) => !met.includes(pin));
    for (const pin of met) this.access.unpinPages(...pin);
  }
}
