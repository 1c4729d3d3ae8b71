/**
 * Domains: one translation (or none, or everything blocked) that devices are attached to.
 *
 * A domain belongs to the driver that allocated it (`owner`); a device whose IOMMU has another driver cannot be
 * attached to it. Static domains are shared by all devices of a driver and are never freed.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { IommuDriver } from './driver.ts';
import type { PageTable } from './interval-table.ts';

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
  /** `set_dev_pasid`: DMA the device marks with `pasid` goes through `domain`. */
  setDevPasid?(domain: Domain, device: Device, pasid: number): void;
  /** `free`. */
  free?(domain: Domain): void;
}

export interface DomainInit {
  type: DomainType;
  ops: DomainOps;
  /** Shown in messages. */
  name?: string;
  pageTable?: PageTable;
  /** Bit n set: pages of 2^n bytes. Absent: the driver's. */
  pageSizes?: bigint;
  /** First and last address the hardware can translate. */
  aperture?: { start: bigint; last: bigint };
}

const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** `struct iommu_domain`. */
export class Domain {
  /** Changes in place on the one DMA → DMA-FQ transition and on the downgrade back. */
  type: DomainType;
  readonly name: string;
  readonly ops: DomainOps;
  readonly pageTable: PageTable | undefined;
  readonly aperture: { start: bigint; last: bigint };
  /** Set by the core when the driver's allocation is accepted. */
  owner: IommuDriver | undefined;
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
    if ((this.type & DomainFlag.Paging) === 0) {
      throw new KernelError('EINVAL', this.label, 'has no page table to map into');
    }
    const table = this.pageTable;
    const page = this.smallestPage;
    if (table === undefined || page === 0n) {
      throw new KernelError('ENODEV', this.label, 'its driver offers no mapping');
    }
    if (((iova | paddr | size) & (page - 1n)) !== 0n) {
      throw new KernelError('EINVAL', this.label, `address or size is not a multiple of ${page} bytes`);
    }
    if (iova + size - 1n > LAST_ADDRESS || paddr + size - 1n > LAST_ADDRESS) {
      throw new KernelError('EINVAL', this.label, 'the range ends past 2^64-1');
    }
    if (size > 0n) table.map(iova, paddr, size, prot);
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

  /** `iommu_domain_free`. Static domains have no `free` and stay as they are. */
  free(): void {
    if (this.ops.free === undefined) return;
    if (this.freed) throw new KernelError('EBADF', this.label, 'is freed twice');
    this.ops.free(this);
    this.freed = true;
  }
}
