/**
 * An IOMMU that is whatever a test or an experiment needs: it takes the devices it is told to, keeps account of
 * what is attached where, and fails when told to.
 */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { type DirtyOps, Domain, type DomainOps, DomainType, type WantedType } from '../domain.ts';
import type { Capability, HwInfo, IommuDriver, IommuInstance, UserDomainFlags } from '../driver.ts';
import { FaultInjector } from '../fault-injector.ts';
import { GenericGrouping } from '../grouping/generic.ts';
import type { GroupingPolicy } from '../grouping/policy.ts';
import type { PageResponse } from '../page-faults.ts';
import { IntervalTable } from '../pagetable/interval-table.ts';
import type { ReservedRegion } from '../reserved-region.ts';
import type { UserData } from '../user-data.ts';
import { pageTableDirtyOps } from './dirty-ops.ts';
import { allows, MockNestedDomain, type MockUserDomains } from './mock-user-domains.ts';

/** Pages of 4 KiB, 2 MiB and 1 GiB. */
const PAGE_SIZES = 0x4020_1000n;

export interface MockOptions {
  name?: string;
  /** One group per device unless told. */
  policy?: GroupingPolicy;
  pageSizes?: bigint;
  /** Which of these are static domains. Identity and blocked unless told. */
  statics?: { identity?: boolean; blocked?: boolean; release?: boolean };
  /** The one default domain the driver accepts, static. */
  defaultDomain?: DomainType;
  /** Types without pages that are allocated rather than static. */
  allocates?: readonly DomainType[];
  /** What `capable` answers true to; deferred flushing unless told. */
  capabilities?: readonly Capability[];
  probe?(device: Device): void;
  defDomainType?(device: Device): WantedType;
  resvRegions?(device: Device): readonly ReservedRegion[];
  attachDeferred?(device: Device): boolean;
  maxPasids?(device: Device): number;
  /** Where its steps count; of its own unless told. */
  faults?: FaultInjector;
  /** What user processes can have; absent: the driver has no `domain_alloc_user`. */
  userDomains?: MockUserDomains;
  /** Whether a domain can enforce cache coherency; absent: it has no way to. */
  enforceCacheCoherency?(domain: Domain): boolean;
  /** Whether the device fits a domain; all do unless told. */
  fits?(domain: Domain, device: Device): boolean;
  hwInfo?: HwInfo;
  /** Which devices can ask for pages; absent: the driver takes no page requests. */
  pageRequests?(device: Device): boolean;
}

/** A page table whose `map` counts as a step that can fail. */
class MockTable extends IntervalTable {
  readonly #faults: FaultInjector;

  constructor(faults: FaultInjector) {
    super();
    this.#faults = faults;
  }

  override map(iova: bigint, paddr: bigint, size: bigint, prot: number): void {
    this.#faults.step('map');
    super.map(iova, paddr, size, prot);
  }
}

export class MockDriver implements IommuDriver {
  readonly name: string;
  readonly pageSizes: bigint;
  readonly identityDomain?: Domain;
  readonly blockedDomain?: Domain;
  readonly defaultDomain?: Domain;
  readonly releaseDomain?: Domain;
  /** Every step that may fail: probe, alloc, attach, pasid, map, flush queue. */
  readonly faults: FaultInjector;
  /** What the hardware does with each device's DMA. */
  readonly attached = new Map<Device, Domain>();
  /** The same for DMA with a PASID. */
  readonly pasids = new Map<Device, Map<number, Domain>>();
  /** Devices between `probeDevice` and `releaseDevice`. */
  readonly probed = new Set<Device>();
  /** Allocated and not freed. */
  readonly live = new Set<Domain>();
  /** Devices that may ask for pages. */
  readonly asking = new Set<Device>();
  /** What page requests were answered with. */
  readonly responses: { device: Device; pasid: number; grpid: number; code: PageResponse }[] = [];
  domainAllocUser?: NonNullable<IommuDriver['domainAllocUser']>;
  hwInfo?: () => HwInfo;
  enableFeature?: (device: Device) => void;
  disableFeature?: (device: Device) => void;
  pageResponse?: NonNullable<IommuDriver['pageResponse']>;
  readonly #options: MockOptions;
  readonly #policy: GroupingPolicy;

  constructor(options: MockOptions = {}) {
    this.#options = options;
    this.name = options.name ?? 'mock';
    this.pageSizes = options.pageSizes ?? PAGE_SIZES;
    this.#policy = options.policy ?? new GenericGrouping();
    this.faults = options.faults ?? new FaultInjector();
    const { userDomains, hwInfo, pageRequests } = options;
    if (userDomains) {
      this.domainAllocUser = (_device, flags, parent, userData) =>
        this.#allocUser(userDomains, flags, parent, userData);
    }
    if (hwInfo) this.hwInfo = () => hwInfo;
    if (pageRequests) this.#takePageRequests(pageRequests);
    const { identity = true, blocked = true, release = false } = options.statics ?? {};
    if (identity) this.identityDomain = this.#makeStatic(DomainType.Identity);
    if (blocked) this.blockedDomain = this.#makeStatic(DomainType.Blocked);
    if (release) this.releaseDomain = this.blockedDomain ?? this.#makeStatic(DomainType.Blocked);
    if (options.defaultDomain !== undefined) this.defaultDomain = this.#makeStatic(options.defaultDomain);
  }

  probeDevice(device: Device): void {
    this.faults.step('probe');
    this.#options.probe?.(device);
    this.probed.add(device);
  }

  releaseDevice(device: Device): void {
    this.attached.delete(device);
    this.pasids.delete(device);
    this.probed.delete(device);
  }

  groupingPolicy(): GroupingPolicy {
    return this.#policy;
  }

  domainAllocPaging(): Domain {
    return this.#makePaging();
  }

  domainAlloc(type: DomainType): Domain {
    if (!(this.#options.allocates ?? []).includes(type)) {
      throw new KernelError('EOPNOTSUPP', this.name, `makes no domains of type ${type}`);
    }
    return this.#make(type);
  }

  defDomainType(device: Device): WantedType {
    return this.#options.defDomainType?.(device) ?? 0;
  }

  getResvRegions(device: Device): readonly ReservedRegion[] {
    return this.#options.resvRegions?.(device) ?? [];
  }

  capable(_device: Device, capability: Capability): boolean {
    return (this.#options.capabilities ?? ['deferred-flush']).includes(capability);
  }

  isAttachDeferred(device: Device): boolean {
    return this.#options.attachDeferred?.(device) ?? false;
  }

  maxPasids(device: Device): number {
    return this.#options.maxPasids?.(device) ?? 0;
  }

  removeDevPasid(device: Device, pasid: number): void {
    this.pasids.get(device)?.delete(pasid);
  }

  initFlushQueue(): void {
    this.faults.step('flush queue');
  }

  #allocUser(knows: MockUserDomains, flags: UserDomainFlags, parent?: Domain, userData?: UserData): Domain {
    const nested = parent !== undefined && userData !== undefined && knows.nested === true;
    const refused = parent === undefined ? userData !== undefined : !nested || flags.nestParent;
    if (!allows(knows, flags) || refused) {
      throw new KernelError('EOPNOTSUPP', this.name, 'makes no such domains for users');
    }
    if (!nested) return this.#makePaging(flags.dirtyTracking ? { dirtyOps: pageTableDirtyOps } : {});
    this.faults.step('alloc');
    return this.#alive(new MockNestedDomain(parent, userData, this.#ops(true)));
  }

  #takePageRequests(can: (device: Device) => boolean): void {
    this.enableFeature = (device) => {
      if (!can(device)) throw new KernelError('ENODEV', device.name, 'cannot ask for pages');
      this.asking.add(device);
    };
    this.disableFeature = (device) => void this.asking.delete(device);
    this.pageResponse = (device, _request, response) => void this.responses.push({ device, ...response });
  }

  #attach(domain: Domain, device: Device): void {
    this.faults.step('attach');
    this.#assertOurs(device);
    if (this.#options.fits?.(domain, device) === false) {
      throw new KernelError('EINVAL', device.name, `does not fit ${domain.label}`);
    }
    this.attached.set(device, domain);
  }

  #attachPasid(domain: Domain, device: Device, pasid: number): void {
    this.faults.step('pasid');
    this.#assertOurs(device);
    const table = this.pasids.get(device) ?? new Map<number, Domain>();
    table.set(pasid, domain);
    this.pasids.set(device, table);
  }

  #assertOurs(device: Device): void {
    if (!this.probed.has(device)) throw new KernelError('EINVAL', device.name, `is not behind ${this.name}`);
  }

  #makePaging(extra: { dirtyOps?: DirtyOps } = {}): Domain {
    return this.#make(DomainType.Unmanaged, { pageTable: new MockTable(this.faults), ...extra });
  }

  #make(type: DomainType, extra: { pageTable?: MockTable; dirtyOps?: DirtyOps } = {}): Domain {
    this.faults.step('alloc');
    return this.#alive(new Domain({ type, ops: this.#ops(true), ...extra }));
  }

  #alive(domain: Domain): Domain {
    this.live.add(domain);
    return domain;
  }

  #makeStatic(type: DomainType): Domain {
    return new Domain({ type, ops: this.#ops(false) });
  }

  #ops(freeable: boolean): DomainOps {
    const { enforceCacheCoherency } = this.#options;
    return {
      ...(enforceCacheCoherency && { enforceCacheCoherency }),
      attachDev: (domain, device) => this.#attach(domain, device),
      setDevPasid: (domain, device, pasid) => this.#attachPasid(domain, device, pasid),
      ...(freeable ? { free: (domain: Domain) => void this.live.delete(domain) } : {}),
    };
  }
}

export interface MockIommuOptions {
  name?: string;
  driver?: MockDriver;
  /** Every device unless told. */
  covers?(device: Device): boolean;
  /** None are unless told. */
  isolatedMsi?(device: Device): boolean | undefined;
}

/** One mock IOMMU; several may share a driver, as units of one kind do. */
export class MockIommu implements IommuInstance {
  readonly name: string;
  readonly driver: MockDriver;
  readonly #options: MockIommuOptions;

  constructor(options: MockIommuOptions = {}) {
    this.name = options.name ?? 'mock0';
    this.driver = options.driver ?? new MockDriver();
    this.#options = options;
  }

  covers(device: Device): boolean {
    return this.#options.covers?.(device) ?? true;
  }

  isolatedMsi(device: Device): boolean | undefined {
    return this.#options.isolatedMsi ? this.#options.isolatedMsi(device) : false;
  }
}
