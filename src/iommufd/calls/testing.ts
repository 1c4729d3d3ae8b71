/** For tests of address spaces: short forms of the calls, page tables to fill, in-kernel users, and a picture of it all. */

import { Domain, DomainType } from '../../iommu/domain.ts';
import type { FaultInjector } from '../../iommu/fault-injector.ts';
import { IntervalTable } from '../../iommu/pagetable/interval-table.ts';
import { MOCK_PAGE_SIZE, MockTable2K } from '../../iommu/pagetable/mock-table-2k.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Arena } from '../arena.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../ioas.ts';
import type { IovaRange } from '../iova-range.ts';
import type { IovaUser } from '../iova-users.ts';
import { IommufdBench } from '../testing.ts';
import { ioasAlloc } from './ioas-alloc.ts';
import { ioasCopy } from './ioas-copy.ts';
import { ioasMap } from './ioas-map.ts';
import { ioasUnmap } from './ioas-unmap.ts';
import { MapFlag } from './map-flags.ts';

export const PAGE = 4096n;
export const { FixedIova, Writeable, Readable } = MapFlag;
export const READ_WRITE = Readable | Writeable;

/** What the selftest's domains can translate. */
export const MOCK_APERTURE = { start: 1n << 24n, last: (1n << 31n) - 1n };

export interface MockDomainOptions {
  aperture?: { start: bigint; last: bigint };
  /** Asked before every table that is allocated. */
  faults?: FaultInjector;
}

/** A page table as the selftest's devices have: 2 KiB pages, and an aperture. */
export function mockDomain(name = 'mock', options: MockDomainOptions = {}): Domain {
  const { aperture = MOCK_APERTURE, faults } = options;
  const pageTable = new MockTable2K({ onAllocate: () => faults?.step('page table') });
  return new Domain({
    type: DomainType.Unmanaged,
    ops: {},
    name,
    pageTable,
    pageSizes: MOCK_PAGE_SIZE,
    aperture,
  });
}

/** A page table of any page from `smallest` bytes on, over all addresses. */
export function plainDomain(name = 'plain', smallest = PAGE): Domain {
  const pageSizes = BigInt.asUintN(64, -smallest);
  const pageTable = new IntervalTable(pageSizes);
  return new Domain({ type: DomainType.Unmanaged, ops: {}, name, pageTable, pageSizes });
}

/** The code a call is refused with; `undefined` where it is not. */
export function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return undefined;
}

/** A context with one address space and a piece of memory. */
export class IoasBench extends IommufdBench {
  readonly context: Context = this.open();
  readonly ioas: Ioas = this.alloc();
  readonly arena: Arena = this.memory.mmap(64, { base: 0x7000_0000_0000n, align: 512 });

  alloc(): Ioas {
    const request = { flags: 0, outIoasId: 0 };
    ioasAlloc(this.context, request);
    return this.context.objects.peek<Ioas>(request.outIoasId, 'ioas')!;
  }

  /** @returns where it was mapped */
  map(length: bigint, options: { iova?: bigint; userVa?: bigint; flags?: number; ioas?: Ioas } = {}): bigint {
    const { iova, userVa = this.arena.base, flags = READ_WRITE, ioas = this.ioas } = options;
    const request = {
      flags: flags | (iova === undefined ? 0 : FixedIova),
      ioasId: ioas.id,
      reserved: 0,
      userVa,
      length,
      iova: iova ?? 0n,
    };
    ioasMap(this.context, request);
    return request.iova;
  }

  /** @returns where it was mapped */
  copy(
    from: bigint,
    length: bigint,
    options: { to?: bigint; flags?: number; source?: Ioas; destination?: Ioas } = {},
  ): bigint {
    const { to, flags = READ_WRITE, source = this.ioas, destination = this.ioas } = options;
    const request = {
      flags: flags | (to === undefined ? 0 : FixedIova),
      dstIoasId: destination.id,
      srcIoasId: source.id,
      length,
      dstIova: to ?? 0n,
      srcIova: from,
    };
    ioasCopy(this.context, request);
    return request.dstIova;
  }

  /** @returns bytes unmapped */
  unmap(iova: bigint, length: bigint, ioas: Ioas = this.ioas): bigint {
    const request = { ioasId: ioas.id, iova, length };
    ioasUnmap(this.context, request);
    return request.length;
  }

  /** Everything that is left alone by a call that fails. */
  picture(...spaces: Ioas[]): unknown {
    return {
      objects: [...this.context.objects].map(({ label, users }) => `${label}: ${users}`),
      hidden: this.context.objects.hiddenIds,
      spaces: (spaces.length > 0 ? spaces : [this.ioas]).map((ioas) => spacePicture(ioas)),
      pinned: this.physical.pinned,
      charged: [this.process.lockedPages, this.process.pinnedPages, this.process.user.lockedPages],
    };
  }
}

function spacePicture({ iovas }: Ioas): unknown {
  return {
    areas: [...iovas.areas].map(
      ({ value: { iova, last, pages, prot, firstPage, pageOffset, accesses, filled } }) => ({
        ...{ iova, last, prot, firstPage, pageOffset, accesses, filled },
        pages: [pages.references, pages.pinnedPages],
      }),
    ),
    reserved: [...iovas.reserved].map(({ owner, start, last }) => [owner?.name, start, last]),
    allowed: [...iovas.allowed],
    alignment: iovas.iovaAlignment,
    largePagesDisabled: iovas.largePagesDisabled,
    accesses: [...iovas.accesses].map(([{ name }, alignment]) => [name, alignment]),
    domains: iovas.domains.map((domain) => [domain.name, holesOf(domain)]),
    unsettled: iovas.unsettled.size,
  };
}

/** What a page table maps, by what it does not. */
export function holesOf(domain: Domain): IovaRange[] {
  return domain.holes(domain.aperture.start, domain.aperture.last);
}

/** An in-kernel user that pins one range, and lets go of it as soon as it is asked, or after so many times, or never. */
export class PinningUser implements IovaUser {
  readonly name = 'pinning user';
  requests: { iova: bigint; length: bigint }[] = [];
  #release: (() => void) | undefined;
  readonly #patience: number;

  /** @param patience requests it lets pass */
  constructor(patience = 0) {
    this.#patience = patience;
  }

  pin({ iovas }: Ioas, iova: bigint): void {
    const area = iovas.areaAt(iova)!;
    const page = area.pageAt(iova);
    area.pages.addAccess(area, page, page, false);
    this.#release = () => area.pages.removeAccess(area, page, page);
  }

  unmap(iova: bigint, length: bigint): void {
    this.requests.push({ iova, length });
    if (this.requests.length > this.#patience) this.release();
  }

  release(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
