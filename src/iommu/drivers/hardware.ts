/** What all drivers of real hardware have in common: domains with a page table, and devices pointed at them. */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { PciDevice } from '../../pci/device.ts';
import { Domain, DomainFlag, type DomainOps, DomainType } from '../domain.ts';
import type { Capability, IommuDriver, UserDomainFlags } from '../driver.ts';
import { GenericGrouping } from '../grouping/generic.ts';
import type { GroupingPolicy } from '../grouping/policy.ts';
import { IntervalTable } from '../pagetable/interval-table.ts';
import type { IoPageTable } from '../pagetable/io-page-table.ts';
import { TablePool } from '../pagetable/table-pool.ts';
import { pageTableDirtyOps } from './dirty-ops.ts';

export interface HardwareOptions {
  name: string;
  /** Bit n set: pages of 2^n bytes. */
  pageSizes: bigint;
  pciPolicy: GroupingPolicy;
  /** How devices that are not PCI functions are grouped; one group each unless told. */
  otherPolicy?: GroupingPolicy;
  /** Static domains the driver has. Identity domains it has not are allocated. */
  statics: { identity: boolean; blocked: boolean; release?: boolean };
  /** What `capable` answers true to. */
  capabilities: readonly Capability[];
}

export class HardwareDriver implements IommuDriver {
  readonly name: string;
  readonly pageSizes: bigint;
  readonly identityDomain?: Domain;
  readonly blockedDomain?: Domain;
  readonly releaseDomain?: Domain;
  /** Where each device's DMA goes. */
  readonly attached = new WeakMap<Device, Domain>();
  /** Memory of the page tables of all domains. */
  protected readonly tablePool = new TablePool();
  readonly #pciPolicy: GroupingPolicy;
  readonly #otherPolicy: GroupingPolicy;
  readonly #capabilities: readonly Capability[];
  /** What domains with pages can do beside being attached. */
  protected readonly pagingOps: DomainOps = {};
  protected readonly ops: DomainOps = {
    attachDev: (domain, device) => {
      this.assertFits(domain, device);
      this.attached.set(device, domain);
    },
    setDevPasid: (domain, device) => this.assertFits(domain, device),
  };

  constructor(options: HardwareOptions) {
    this.name = options.name;
    this.pageSizes = options.pageSizes;
    this.#pciPolicy = options.pciPolicy;
    this.#otherPolicy = options.otherPolicy ?? new GenericGrouping();
    this.#capabilities = options.capabilities;
    if (options.statics.identity) this.identityDomain = this.#static(DomainType.Identity);
    if (options.statics.blocked) this.blockedDomain = this.#static(DomainType.Blocked);
    if (options.statics.release && this.blockedDomain) this.releaseDomain = this.blockedDomain;
  }

  /** `pci_device_group` for PCI functions. */
  groupingPolicy(device: Device): GroupingPolicy {
    return device instanceof PciDevice ? this.#pciPolicy : this.#otherPolicy;
  }

  /** @throws KernelError EOPNOTSUPP for types no driver makes this way */
  domainAlloc(type: DomainType): Domain {
    if (type & DomainFlag.Paging) {
      return this.pagingDomain(type);
    }
    if (type !== DomainType.Identity) {
      throw new KernelError('EOPNOTSUPP', `IOMMU driver ${this.name}`, `makes no domains of type ${type}`);
    }
    return new Domain({ type, ops: { ...this.ops, free: () => {} } });
  }

  /** A domain with a page table that suits the IOMMU of `device`; absent: every IOMMU of the driver. */
  protected pagingDomain(type: DomainType, device?: Device, flags: UserDomainFlags = {}): Domain {
    const pageTable = this.makePageTable(device, flags);
    return new Domain({
      type,
      ops: { ...this.ops, ...this.pagingOps, free: () => pageTable.free() },
      pageTable,
      pageSizes: pageTable.pageSizes & this.pageSizes,
      aperture: { start: 0n, last: pageTable.lastAddress },
      ...(flags.dirtyTracking && { dirtyOps: pageTableDirtyOps }),
    });
  }

  /** @throws KernelError EINVAL the IOMMU of `device` is not up to the domain */
  protected assertFits(_domain: Domain, _device: Device): void {}

  /** A list, where the format of the hardware is not modelled. */
  protected makePageTable(_device?: Device, _flags?: UserDomainFlags): IoPageTable {
    return new IntervalTable(this.pageSizes);
  }

  capable(_device: Device, capability: Capability): boolean {
    return this.#capabilities.includes(capability);
  }

  releaseDevice(device: Device): void {
    this.attached.delete(device);
  }

  removeDevPasid(): void {}

  initFlushQueue(): void {}

  #static(type: DomainType): Domain {
    const domain = new Domain({ type, ops: this.ops });
    domain.owner = this;
    return domain;
  }
}
