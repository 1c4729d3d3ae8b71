/**
 * Domains: one translation (or none, or everything blocked) that devices are attached to.
 *
 * A domain belongs to the driver that allocated it (`owner`); a device whose IOMMU has another driver cannot be
 * attached to it. Static domains are shared by all devices of a driver and are never freed.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { IommuDriver } from './driver.ts';
import type { FrameRuns } from './frame-runs.ts';
import type { FaultGroup } from './page-faults.ts';
import type { IoPageTable } from './pagetable/io-page-table.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import type { UserDataArray } from './user-data.ts';

/** The flag bits a domain type is made of (`__IOMMU_DOMAIN_*`). */
export const DomainFlag = { Paging: 1, DmaApi: 2, PassThrough: 4, FlushQueue: 8 } as const;

/** `IOMMU_DOMAIN_*`, numbered as in the kernel (groups-core.md 1). */
export const DomainType = {
  Blocked: 0,
  Unmanaged: 1,
  Dma: 3,
  Identity: 4,
  DmaFq: 11,
  Sva: 16,
  Platform: 32,
  Nested: 64,
} as const;
export type DomainType = (typeof DomainType)[keyof typeof DomainType];

/** What a driver or a `type` write can ask for; 0 means no wish (the number of `Blocked`, never asked for). */
export type WantedType = DomainType | 0;

const TYPE_WORDS: Partial<Record<DomainType, string>> = {
  [DomainType.Blocked]: 'blocked',
  [DomainType.Identity]: 'identity',
  [DomainType.Unmanaged]: 'unmanaged',
  [DomainType.Dma]: 'DMA',
  [DomainType.DmaFq]: 'DMA-FQ',
};

/** The word of the group's `type` file: `unknown` for types that file has no word for. */
export function domainTypeWord(type: DomainType | undefined): string {
  return (type === undefined ? undefined : TYPE_WORDS[type]) ?? 'unknown';
}

/** `iommu_is_dma_domain`: DMA and DMA-FQ, the types behind the kernel's DMA API. */
export function isDmaType(type: DomainType): boolean {
  return (type & DomainFlag.DmaApi) !== 0;
}

/** `IOMMU_READ` and friends, as bits of `prot`. */
export const Prot = { Read: 1, Write: 2, Cache: 4, NoExec: 8, Mmio: 16, Privileged: 32 } as const;

/** What a driver does for its domains (`struct iommu_domain_ops`). Each throws `KernelError` to refuse. */
export interface DomainOps {
  /** `attach_dev`: the device's DMA goes through `domain` from now on. */
  attachDev?(domain: Domain, device: Device): void;
  /** `set_dev_pasid`: DMA the device marks with `pasid` goes through `domain`, straight from `old` where one was. */
  setDevPasid?(domain: Domain, device: Device, pasid: number, old?: Domain): void;
  /** `enforce_cache_coherency`: false where the domain cannot, e.g. because something is mapped already. */
  enforceCacheCoherency?(domain: Domain): boolean;
  /**
   * `cache_invalidate_user`, of nested domains: what the guest says it has changed.
   *
   * @throws KernelError EINVAL, EOPNOTSUPP an entry is wrong, EFAULT; `processed` tells how many were done before
   */
  cacheInvalidateUser?(domain: Domain, array: UserDataArray): void;
  /** Not of the kernel: what hardware does with one DMA access where the domain's own page table is not all of it. */
  translateDma?(domain: Domain, iova: bigint, write: boolean, physical: PhysicalMemory): DmaTranslation;
  /** `free`. */
  free?(domain: Domain): void;
}

/** Where an access leads, and the last I/O address for which `paddr + n` goes on; or why it leads nowhere. */
export type DmaTranslation = { paddr: bigint; last: bigint } | 'not-mapped' | 'not-readable' | 'not-writable';

/** `struct iommu_dirty_ops`: which pages devices wrote to. */
export interface DirtyOps {
  /** @throws KernelError the driver's refusal */
  setDirtyTracking(domain: Domain, enable: boolean): void;
  /**
   * `read_and_clear_dirty` of `start … last`.
   *
   * @param clear forget what is reported
   * @param report is called per dirty page table leaf; absent: the bits are only cleared, tracking may be off
   * @throws KernelError EINVAL a report is wanted and tracking is off
   */
  readAndClearDirty(
    domain: Domain,
    start: bigint,
    last: bigint,
    clear: boolean,
    report?: (iova: bigint, size: bigint) => void,
  ): void;
}

export interface DomainInit {
  type: DomainType;
  ops: DomainOps;
  /** Shown in messages. */
  name?: string;
  pageTable?: IoPageTable;
  /** Bit n set: pages of 2^n bytes. Absent: the driver's. */
  pageSizes?: bigint;
  /** First and last address the hardware can translate. */
  aperture?: { start: bigint; last: bigint };
  dirtyOps?: DirtyOps;
}

const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** `struct iommu_domain`. */
export class Domain {
  /** Changes in place on the one DMA → DMA-FQ transition and on the downgrade back. */
  type: DomainType;
  readonly name: string;
  readonly ops: DomainOps;
  readonly pageTable: IoPageTable | undefined;
  readonly aperture: { start: bigint; last: bigint };
  /** Set by the core when the driver's allocation is accepted. */
  owner: IommuDriver | undefined;
  /** `dirty_ops`: there where the domain was made for dirty tracking. */
  readonly dirtyOps: DirtyOps | undefined;
  /**
   * `iopf_handler`: takes charge of page faults of what is attached; set by the domain's user. A refusal is answered
   * with a failure.
   */
  iopfHandler: ((group: FaultGroup) => void) | undefined;
  /** `iova_cookie` of the MSI kind: where the pages of interrupt controllers are mapped from. */
  msiCookie: bigint | undefined;
  pageSizes: bigint;
  /** The DMA API's own data is set up (`iommu_dma_init_domain`), and unmapping is deferred (`fq_domain`). */
  dmaReady = false;
  flushQueue = false;
  freed = false;

  constructor(init: DomainInit) {
    this.type = init.type;
    this.name = init.name ?? domainTypeWord(init.type);
    this.ops = init.ops;
    this.pageTable = init.pageTable;
    this.pageSizes = init.pageSizes ?? 0n;
    this.dirtyOps = init.dirtyOps;
    this.aperture = init.aperture ?? { start: 0n, last: LAST_ADDRESS };
  }

  /** Smallest page in bytes, 0n where the domain has no pages. */
  get smallestPage(): bigint {
    return this.pageSizes & -this.pageSizes;
  }

  get label(): string {
    return `${this.name} domain`;
  }

  /**
   * `iommu_map`: bytes `iova … iova+size-1` lead to `paddr …`. All or nothing.
   *
   * @throws KernelError EINVAL not a paging domain, or any of the three not a multiple of the smallest page, or
   *   past 2^64-1; ENODEV the driver cannot map; else the page table's refusal
   */
  map(iova: bigint, paddr: bigint, size: bigint, prot: number): void {
    const table = this.#tableToMap(iova, paddr | size, size);
    if (paddr + size - 1n > LAST_ADDRESS) {
      throw new KernelError('EINVAL', this.label, 'the memory ends past 2^64-1');
    }
    if (size > 0n) table.map(iova, paddr, size, prot);
  }

  /**
   * `batch_to_domain`: page frames, run by run, from `iova` on. All or nothing.
   *
   * @param skip bytes left out at the start of the first frame, less than PAGE_SIZE
   * @param size bytes in all, more than none; ends somewhere in the last frame
   * @param small map in pieces of PAGE_SIZE, so that any page can be unmapped by itself later
   * @throws KernelError as `map`
   */
  mapRuns(iova: bigint, runs: FrameRuns, skip: number, size: bigint, prot: number, small = false): void {
    const table = this.#tableToMap(iova, BigInt(skip) | size, size);
    table.mapRuns(iova, runs, skip, size, prot, small);
  }

  /** `iommu_unmap`: bytes unmapped from `iova` on, up to the first hole; 0n on misuse, as the kernel answers. */
  unmap(iova: bigint, size: bigint): bigint {
    const page = this.smallestPage;
    if ((this.type & DomainFlag.Paging) === 0 || this.pageTable === undefined || page === 0n) return 0n;
    if (((iova | size) & (page - 1n)) !== 0n) return 0n;
    return size === 0n ? 0n : this.pageTable.unmap(iova, size);
  }

  /** `iommu_iova_to_phys`: identity domains answer the address itself; `undefined` where nothing is mapped. */
  iovaToPhys(iova: bigint): bigint | undefined {
    if (this.type === DomainType.Identity) return iova;
    return this.pageTable?.translate(iova);
  }

  /** The parts of `start … last` (inclusive) where nothing is mapped. */
  holes(start: bigint, last: bigint): { start: bigint; last: bigint }[] {
    return this.pageTable?.holes(start, last) ?? [{ start, last }];
  }

  /**
   * `iommu_get_msi_cookie`: interrupt messages of devices attached here are mapped from `base` on.
   *
   * @throws KernelError EINVAL not an UNMANAGED domain, EBUSY there is one
   */
  getMsiCookie(base: bigint): void {
    if (this.type !== DomainType.Unmanaged) {
      throw new KernelError('EINVAL', this.label, 'takes no window for interrupt messages');
    }
    if (this.msiCookie !== undefined) {
      throw new KernelError('EBUSY', this.label, 'has its window for interrupt messages');
    }
    this.msiCookie = base;
  }

  #tableToMap(iova: bigint, others: bigint, size: bigint): IoPageTable {
    if ((this.type & DomainFlag.Paging) === 0) {
      throw new KernelError('EINVAL', this.label, 'has no page table to map into');
    }
    const table = this.pageTable;
    const page = this.smallestPage;
    if (table === undefined || page === 0n) {
      throw new KernelError('ENODEV', this.label, 'its driver offers no mapping');
    }
    if (((iova | others) & (page - 1n)) !== 0n) {
      throw new KernelError('EINVAL', this.label, `address or size is not a multiple of ${page} bytes`);
    }
    if (iova + size - 1n > LAST_ADDRESS) {
      throw new KernelError('EINVAL', this.label, 'the range ends past 2^64-1');
    }
    return table;
  }

  /** `iommu_put_dma_cookie`. */
  putMsiCookie(): void {
    this.msiCookie = undefined;
  }

  /** `iommu_domain_free`. Static domains have no `free` and stay as they are. */
  free(): void {
    if (this.ops.free === undefined) return;
    if (this.freed) throw new KernelError('EBADF', this.label, 'is freed twice');
    this.ops.free(this);
    this.freed = true;
  }
}
