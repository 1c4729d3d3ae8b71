/** The AMD-Vi driver: what it knows of ids and devices, and what it asks of the core for each. */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { forEachDmaAlias } from '../../pci/alias.ts';
import { addDmaAlias } from '../../pci/alias-rules.ts';
import { PciDevice } from '../../pci/device.ts';
import { type Domain, type DomainOps, DomainType, Prot, type WantedType } from '../domain.ts';
import type { Capability, IommuInstance, UserDomainFlags } from '../driver.ts';
import { type IvhdBlock, type IvmdBlock, type Ivrs, unitsOfIvrs } from '../firmware/ivrs.ts';
import { AcpiHidGrouping } from '../grouping/acpi-hid.ts';
import type { GroupingPolicy } from '../grouping/policy.ts';
import { AMD_V1_PAGE_SIZES, AmdV1 } from '../pagetable/amd-v1.ts';
import { RegionType, type ReservedRegion } from '../reserved-region.ts';
import type { UserData } from '../user-data.ts';
import { acpiHidEntries, type HidEntry, hidEntryOf } from './amdvi-hid.ts';
import { SegmentIds } from './amdvi-ids.ts';
import { HardwareDriver } from './hardware.ts';
import { bitOf } from './input.ts';

const MSI_WINDOW: ReservedRegion = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };
/** Addresses HyperTransport keeps for itself. */
const HT_WINDOW: ReservedRegion = {
  start: 0xfd_0000_0000n,
  last: 0xff_ffff_ffffn,
  type: RegionType.Reserved,
};

const PAGE = 4096n;
/** Host translations have accessed and dirty bits (`FEATURE_HDSUP`). */
const FEATURE_DIRTY = 1n << 52n;

/** What the driver knows of the whole machine once IVRS is read. */
export class AmdTables {
  readonly units: readonly IvhdBlock[];
  readonly memory: readonly IvmdBlock[];
  readonly hids: readonly HidEntry[];
  readonly #segments = new Map<number, SegmentIds>();

  constructor(ivrs: Ivrs) {
    this.units = unitsOfIvrs(ivrs);
    this.memory = ivrs.memory.filter((block) => block.unity || block.exclusion);
    this.hids = acpiHidEntries(this.units);
    for (const { segment } of this.units) {
      if (!this.#segments.has(segment)) this.#segments.set(segment, new SegmentIds(this.units, segment));
    }
  }

  segment(domain: number): SegmentIds | undefined {
    return this.#segments.get(domain);
  }

  /** Segment and id the IOMMU sees of a device (`get_device_sbdf_id`). */
  idOf(device: Device): { segment: number; id: number } | undefined {
    if (device instanceof PciDevice) return { segment: device.domain, id: device.rid };
    const entry = hidEntryOf(this.hids, device.name);
    return entry && { segment: entry.segment, id: entry.id };
  }

  /** `check_device` and `rlookup_amd_iommu` */
  unitOf(device: Device): number | undefined {
    const where = this.idOf(device);
    const ids = where && this.segment(where.segment);
    return where === undefined || ids === undefined || where.id > ids.lastId
      ? undefined
      : ids.unitOf(where.id);
  }
}

/** `amd_iommu_ops`. */
export class AmdDriver extends HardwareDriver {
  readonly #tables: AmdTables | undefined;
  readonly #identityForPasid: boolean;
  readonly #tracksDirty: boolean;
  protected override readonly pagingOps: DomainOps = {
    // Entries force coherency anyway.
    enforceCacheCoherency: () => true,
  };

  /**
   * @param tables what IVRS says; absent: no table was recorded
   * @param features of the IOMMUs (extended feature register); absent: not known
   */
  constructor(
    pciPolicy: GroupingPolicy,
    tables: AmdTables | undefined,
    identityForPasid: boolean,
    features?: bigint,
  ) {
    super({
      name: 'amd',
      pageSizes: AMD_V1_PAGE_SIZES,
      pciPolicy,
      otherPolicy: new AcpiHidGrouping((device) => tables && hidEntryOf(tables.hids, device.name)?.key),
      statics: { identity: false, blocked: true, release: true },
      capabilities: ['cache-coherency', 'enforce-cache-coherency', 'deferred-flush'],
    });
    this.#tables = tables;
    this.#identityForPasid = identityForPasid;
    this.#tracksDirty = bitOf(features, FEATURE_DIRTY) === true;
  }

  /** `amd_iommu_capable` */
  override capable(device: Device, capability: Capability): boolean {
    return capability === 'dirty-tracking' ? this.#tracksDirty : super.capable(device, capability);
  }

  /**
   * `amd_iommu_domain_alloc_user`
   *
   * @throws KernelError EOPNOTSUPP anything but dirty tracking is wanted, or the hardware does not track it
   */
  domainAllocUser(device: Device, flags: UserDomainFlags, parent?: Domain, userData?: UserData): Domain {
    const other = flags.nestParent || flags.pasid || parent !== undefined || userData !== undefined;
    if (other || (flags.dirtyTracking && !this.#tracksDirty)) {
      throw new KernelError('EOPNOTSUPP', device.name, 'its AMD IOMMU or driver has no such page tables');
    }
    return this.pagingDomain(DomainType.Unmanaged, device, flags);
  }

  /** `amd_iommu_dev_enable_feature`: PRI is switched on when a device is attached, where there is any. */
  enableFeature(): void {}

  disableFeature(): void {}

  /** `amd_iommu_page_response`: into a queue of hardware that is not modelled. */
  pageResponse(): void {}

  /** `iommu_init_device`: aliases of the table become those of the device, before it is grouped. */
  probeDevice(device: Device, _instance: IommuInstance): void {
    if (!(device instanceof PciDevice)) return;
    const ids = this.#tables?.segment(device.domain);
    const unit = ids?.unitOf(device.rid);
    if (ids === undefined || unit === undefined) return;
    const alias = ids.aliasOf(device.rid);
    if (alias !== device.rid && alias >> 8 === device.pciBus.number)
      addDmaAlias(device, alias & 0xff, 1, 'IVRS');
    // DMA under another id is translated alike, even on another bus, where it does not join groups.
    if (alias !== device.rid) ids.assign(alias, unit);
    forEachDmaAlias(device, (_owner, id) => {
      if (id !== device.rid) ids.assign(id, unit);
      return undefined;
    });
  }

  protected override makePageTable(): AmdV1 {
    return new AmdV1({ pool: this.tablePool });
  }

  /** `amd_iommu_def_domain_type`. A device of which nobody knows whether it has PASIDs has no wish. */
  defDomainType(device: Device): WantedType {
    if (!(device instanceof PciDevice)) return 0;
    if (device.untrusted) return DomainType.Dma;
    const pasid = (device.physfn ?? device).facts.pasid;
    return this.#identityForPasid && pasid ? DomainType.Identity : 0;
  }

  /**
   * `amd_iommu_get_resv_regions`. Exclusion ranges of single devices come out `direct` like unity maps: the driver
   * maps them for reading and writing since firmware that has several would overwrite the one register for them.
   */
  getResvRegions(device: Device): ReservedRegion[] {
    const regions: ReservedRegion[] = [];
    const where = this.#tables?.idOf(device);
    for (const block of where === undefined ? [] : (this.#tables?.memory ?? [])) {
      const { segment, id } = where!;
      if (block.segment !== segment || id < block.deviceId || id > block.lastDeviceId) continue;
      const region = unityRegion(block);
      if (region) regions.push(region);
    }
    regions.push(MSI_WINDOW, HT_WINDOW);
    return regions;
  }
}

function unityRegion(block: IvmdBlock): ReservedRegion | undefined {
  const start = (block.start + PAGE - 1n) & -PAGE;
  const length = (block.length + PAGE - 1n) & -PAGE;
  const last = start + length - 1n;
  if (length === 0n || last > 0xffff_ffff_ffff_ffffn) return undefined;
  const prot = block.exclusion
    ? Prot.Read | Prot.Write
    : (block.read ? Prot.Read : 0) | (block.write ? Prot.Write : 0);
  return { start, last, type: RegionType.Direct, prot };
}
