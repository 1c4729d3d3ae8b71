/** The VT-d driver (`intel_iommu_ops`): what it asks of the core for each device, and what it offers user processes. */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { ExtendedId, extendedCapabilities } from '../../pci/capabilities.ts';
import { PciDevice } from '../../pci/device.ts';
import { hasClass, Vendor } from '../../pci/numbers.ts';
import { type Domain, type DomainOps, DomainType, type WantedType } from '../domain.ts';
import type { Capability, HwInfo, UserDomainFlags } from '../driver.ts';
import type { GroupingPolicy } from '../grouping/policy.ts';
import { VtdSecondLevel } from '../pagetable/vtd-second-level.ts';
import { RegionType, type ReservedRegion } from '../reserved-region.ts';
import type { UserData } from '../user-data.ts';
import { HardwareDriver } from './hardware.ts';
import { bitOf } from './input.ts';
import type { VtdCoverage } from './vtd-coverage.ts';
import { assertStage1Fits, DATA_VTD_S1, readStage1, VtdNestedDomain, VtdParentTable } from './vtd-nested.ts';
import { Ecap, type UnitRegisters } from './vtd-registers.ts';
import { secondLevelFor } from './vtd-tables.ts';

/** Pages of 4 KiB, 2 MiB and 1 GiB. */
const PAGE_SIZES = 0x4020_1000n;
/** Message signalled interrupts of x86. */
const MSI_WINDOW: ReservedRegion = { start: 0xfee0_0000n, last: 0xfeef_ffffn, type: RegionType.Msi };
/** Floppy controllers behind ISA bridges reach the first 16 MiB (`CONFIG_INTEL_IOMMU_FLOPPY_WA`). */
const ISA_WINDOW: ReservedRegion = { start: 0n, last: 0xff_ffffn, type: RegionType.DirectRelaxable };

const CLASS_ISA_BRIDGE = 0x0601;
const CLASS_USB = 0x0c03;
const DISPLAY = 0x03;

/** `IOMMU_HW_INFO_TYPE_INTEL_VTD`; flags@0 reserved@4 cap_reg@8(8) ecap_reg@16(8). */
const HW_INFO_VTD = 1;
const HW_INFO_VTD_SIZE = 24;
/** `IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17`, which this kernel claims of all: no read-only mappings in parents. */
const ERRATA_772415 = 1;

export interface VtdDriverInit {
  pciPolicy: GroupingPolicy;
  /** Absent: no table tells. */
  coverage: VtdCoverage | undefined;
  /** `intel_iommu=igfx_off` and what is broken. */
  bypassGraphics: boolean;
  registers: UnitRegisters;
  /** `intel_iommu=sm_on`, on unless told. */
  scalableMode: boolean;
}

export class VtdDriver extends HardwareDriver {
  readonly #init: VtdDriverInit;
  protected override readonly pagingOps: DomainOps = {
    enforceCacheCoherency: ({ pageTable }) => pageTable instanceof VtdSecondLevel && forceSnooping(pageTable),
  };

  constructor(init: VtdDriverInit) {
    super({
      name: 'intel',
      pageSizes: PAGE_SIZES,
      pciPolicy: init.pciPolicy,
      statics: { identity: true, blocked: true, release: true },
      capabilities: ['cache-coherency', 'deferred-flush'],
    });
    this.#init = init;
  }

  /** `device_def_domain_type` */
  defDomainType(device: Device): WantedType {
    if (bitOf(this.#init.registers.of(device, 'ecap'), Ecap.PassThrough) === false) return DomainType.Dma;
    const integrated = device instanceof PciDevice && device.vendor === Vendor.Intel && device.pciBus.isRoot;
    return this.#init.bypassGraphics && integrated && isClass(device, DISPLAY) ? DomainType.Identity : 0;
  }

  /** `intel_iommu_get_resv_regions` */
  getResvRegions(device: Device): ReservedRegion[] {
    if (!(device instanceof PciDevice)) return [MSI_WINDOW];
    const relaxable = isClass(device, DISPLAY) || hasClass(device.class, CLASS_USB);
    const type = relaxable ? RegionType.DirectRelaxable : RegionType.Direct;
    const ranges = this.#init.coverage?.reservedFor(device) ?? [];
    const regions: ReservedRegion[] = ranges.map(({ start, last }) => ({ start, last, type }));
    if (hasClass(device.class, CLASS_ISA_BRIDGE)) regions.push(ISA_WINDOW);
    regions.push(MSI_WINDOW);
    return regions;
  }

  /** `intel_iommu_capable`. What a unit can do that nobody recorded is taken as not there. */
  override capable(device: Device, capability: Capability): boolean {
    if (capability === 'enforce-cache-coherency') return this.#has(device, Ecap.SnoopControl);
    if (capability === 'dirty-tracking') return this.#tracksDirty(device);
    return super.capable(device, capability);
  }

  /**
   * `intel_iommu_hw_info`
   *
   * @throws KernelError ENODEV the unit's registers were not recorded, where a kernel would read them
   */
  hwInfo(device: Device): HwInfo {
    const { registers } = this.#init;
    const [cap, ecap] = [registers.of(device, 'cap'), registers.of(device, 'ecap')];
    if (cap === undefined || ecap === undefined) {
      throw new KernelError('ENODEV', device.name, 'the registers of its VT-d unit were not recorded');
    }
    const data = new DataView(new ArrayBuffer(HW_INFO_VTD_SIZE));
    data.setUint32(0, ERRATA_772415, true);
    data.setBigUint64(8, cap, true);
    data.setBigUint64(16, ecap, true);
    return { type: HW_INFO_VTD, data: new Uint8Array(data.buffer) };
  }

  /**
   * `intel_iommu_domain_alloc_user`
   *
   * @throws KernelError EOPNOTSUPP the unit nests no tables or tracks no dirty pages, data without a parent, a flag with
   *   one, or data that is not `VTD_S1`; EINVAL the parent was not made as one, or the data is of another length; EFAULT
   */
  domainAllocUser(device: Device, flags: UserDomainFlags, parent?: Domain, userData?: UserData): Domain {
    if (parent !== undefined) {
      const flagged = flags.nestParent || flags.dirtyTracking || flags.pasid;
      const nests = this.#nests(device) && !flagged && userData?.type === DATA_VTD_S1;
      if (!nests) throw unsupported(device, 'nested tables');
      if (!(parent.pageTable instanceof VtdParentTable) || parent.owner !== this) {
        throw new KernelError(
          'EINVAL',
          parent.label,
          'was not made as a parent of guest tables by this driver',
        );
      }
      return new VtdNestedDomain(parent, parent.pageTable, readStage1(userData), this.ops);
    }
    if (flags.pasid || userData !== undefined) throw unsupported(device, 'such page tables');
    if (flags.nestParent && !this.#nests(device)) throw unsupported(device, 'nested tables');
    if (flags.dirtyTracking && !this.#tracksDirty(device)) throw unsupported(device, 'dirty tracking');
    return this.pagingDomain(DomainType.Unmanaged, device, flags);
  }

  /**
   * `intel_iommu_enable_iopf`
   *
   * @throws KernelError ENODEV device or unit has no page requests
   */
  enableFeature(device: Device): void {
    const can =
      this.#has(device, Ecap.PageRequests) && device instanceof PciDevice && makesPageRequests(device);
    if (!can) throw new KernelError('ENODEV', device.name, 'device or VT-d unit has no page requests');
  }

  disableFeature(): void {}

  /** `intel_iommu_page_response`: into a queue of hardware that is not modelled. */
  pageResponse(): void {}

  protected override makePageTable(device?: Device, flags: UserDomainFlags = {}): VtdSecondLevel {
    const { registers } = this.#init;
    const caps = device ? [registers.of(device, 'cap')] : registers.all('cap');
    const options = { ...secondLevelFor(caps), pool: this.tablePool };
    return flags.nestParent ? new VtdParentTable(options) : new VtdSecondLevel(options);
  }

  /** `prepare_domain_attach_device`, and for nested domains `intel_nested_attach_dev`. */
  protected override assertFits(domain: Domain, device: Device): void {
    const { registers } = this.#init;
    const unit = secondLevelFor([registers.of(device, 'cap')]);
    if (domain instanceof VtdNestedDomain) {
      const { levels } = domain.parentTable;
      if (unit.levels < levels) {
        throw new KernelError(
          'ENODEV',
          device.name,
          `its VT-d unit has tables of ${unit.levels} levels, the parent ${levels}`,
        );
      }
      this.assertFits(domain.parent, device);
      assertStage1Fits(domain.stage1, device, registers);
      return;
    }
    const table = domain.pageTable;
    if (!(table instanceof VtdSecondLevel)) return;
    const refuse = (problem: string) => new KernelError('EINVAL', device.name, `its VT-d unit ${problem}`);
    if (table.forceSnooping && !this.#has(device, Ecap.SnoopControl)) throw refuse('cannot enforce snooping');
    if (domain.dirtyOps !== undefined && !this.#tracksDirty(device)) throw refuse('tracks no dirty pages');
    const beyond = 1n << BigInt(unit.width);
    if (beyond > table.lastAddress) return;
    for (const _ of table.leaves(beyond, table.lastAddress)) {
      throw refuse(`translates ${unit.width} bits of address, and more is mapped`);
    }
  }

  #nests(device: Device): boolean {
    return this.#scalable(device) && this.#has(device, Ecap.Nesting);
  }

  /** `ssads_supported` */
  #tracksDirty(device: Device): boolean {
    return (
      this.#scalable(device) &&
      this.#has(device, Ecap.SecondLevelDirty) &&
      this.#has(device, Ecap.PageWalkCoherency)
    );
  }

  /** `sm_supported` */
  #scalable(device: Device): boolean {
    return this.#init.scalableMode && this.#has(device, Ecap.ScalableMode);
  }

  #has(device: Device, bit: bigint): boolean {
    return bitOf(this.#init.registers.of(device, 'ecap'), bit) === true;
  }
}

/** `intel_iommu_enforce_cache_coherency`: the bit is in the entries, so it is settled before there are any. */
function forceSnooping(table: VtdSecondLevel): boolean {
  if (!table.forceSnooping && table.tables > 0) return false;
  table.forceSnooping = true;
  return true;
}

function makesPageRequests(device: PciDevice): boolean {
  if (device.facts.ats?.enabled !== true || device.config === undefined) return false;
  const { entries } = extendedCapabilities(device.config, true);
  return entries.some(({ id }) => id === ExtendedId.PageRequest);
}

function unsupported(device: Device, what: string): KernelError {
  return new KernelError('EOPNOTSUPP', device.name, `its VT-d unit or driver has no ${what}`);
}

function isClass(device: PciDevice, base: number): boolean {
  return device.class !== undefined && device.class >>> 16 === base;
}
