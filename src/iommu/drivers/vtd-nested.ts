/**
 * Nested translation of VT-d: a guest's own first-level table, in the guest's memory, and under every address of it, the
 * tables themselves included, the second-level table of the parent.
 */

import type { Device } from '../../device/device.ts';
import { KernelError } from '../../kernel/errors.ts';
import { type DmaTranslation, Domain, type DomainOps, DomainType, Prot } from '../domain.ts';
import type { FrameRuns } from '../frame-runs.ts';
import { VtdSecondLevel } from '../pagetable/vtd-second-level.ts';
import type { PhysicalMemory } from '../physical-memory.ts';
import { copyStructFromUser, type UserData, type UserDataArray } from '../user-data.ts';
import { translateFirstLevel } from './first-level.ts';
import { bitOf } from './input.ts';
import { Cap, Ecap, type UnitRegisters } from './vtd-registers.ts';

/** `IOMMU_HWPT_DATA_VTD_S1`; flags@0(8) pgtbl_addr@8(8) addr_width@16 reserved@20. */
export const DATA_VTD_S1 = 1;
const DATA_VTD_S1_SIZE = 24;
/** `IOMMU_HWPT_INVALIDATE_DATA_VTD_S1`; addr@0(8) npages@8(8) flags@16 reserved@20. */
const INVALIDATE_VTD_S1 = 0;
const INVALIDATE_VTD_S1_SIZE = 24;
const INVALIDATE_LEAF = 1;
const EVERY_PAGE = 0xffff_ffff_ffff_ffffn;
const PAGE_MASK = 0xfffn;

/** `IOMMU_VTD_S1_*` */
const Stage1Flag = { SupervisorRequests: 1n, ExtendedAccessFlag: 2n } as const;
const WIDTH_4_LEVELS = 48;
const WIDTH_5_LEVELS = 57;

/** `struct iommu_hwpt_vtd_s1` */
export interface Stage1 {
  flags: bigint;
  /** Where the guest has its top table, in its own addresses. */
  pageTable: bigint;
  /** Bits of address. */
  width: number;
}

/** @throws KernelError EINVAL other data or of another length, EFAULT */
export function readStage1(userData: UserData): Stage1 {
  const data = copyStructFromUser(userData, DATA_VTD_S1, DATA_VTD_S1_SIZE);
  return {
    flags: data.getBigUint64(0, true),
    pageTable: data.getBigUint64(8, true),
    width: data.getUint32(16, true),
  };
}

/**
 * `intel_pasid_setup_nested`, its checks; only an attach shows them.
 *
 * @throws KernelError EINVAL a width there is not, or a feature the device's unit lacks
 */
export function assertStage1Fits(stage1: Stage1, device: Device, registers: UnitRegisters): void {
  const { width, flags } = stage1;
  const refuse = (problem: string) => new KernelError('EINVAL', device.name, problem);
  if (width !== WIDTH_4_LEVELS && width !== WIDTH_5_LEVELS) {
    throw refuse(`a first-level table of ${width} bits there is not; 48 and 57 there are`);
  }
  const ecap = registers.of(device, 'ecap');
  if (width === WIDTH_5_LEVELS && bitOf(registers.of(device, 'cap'), Cap.FirstLevel5) !== true) {
    throw refuse('its VT-d unit has no first-level tables of 57 bits');
  }
  if ((flags & Stage1Flag.SupervisorRequests) !== 0n && bitOf(ecap, Ecap.SupervisorRequests) !== true) {
    throw refuse('its VT-d unit has no supervisor requests');
  }
  if ((flags & Stage1Flag.ExtendedAccessFlag) !== 0n && bitOf(ecap, Ecap.ExtendedAccessFlag) !== true) {
    throw refuse('its VT-d unit has no extended access flag');
  }
}

/** A second-level table that guest tables can be nested on. */
export class VtdParentTable extends VtdSecondLevel {
  override map(iova: bigint, paddr: bigint, size: bigint, prot: number): void {
    assertWritable(prot);
    super.map(iova, paddr, size, prot);
  }

  override mapRuns(
    iova: bigint,
    runs: FrameRuns,
    skip: number,
    size: bigint,
    prot: number,
    small: boolean,
  ): void {
    assertWritable(prot);
    super.mapRuns(iova, runs, skip, size, prot, small);
  }
}

/** @throws KernelError EINVAL; erratum 772415: hardware may write to the tables even where it must not */
function assertWritable(prot: number): void {
  if ((prot & Prot.Write) !== 0) return;
  throw new KernelError(
    'EINVAL',
    'parent of guest tables',
    'takes no read-only mappings (ERRATA_772415_SPR17)',
  );
}

/** `intel_nested_domain_ops` */
export class VtdNestedDomain extends Domain {
  readonly parent: Domain;
  readonly parentTable: VtdParentTable;
  readonly stage1: Stage1;

  constructor(parent: Domain, table: VtdParentTable, stage1: Stage1, ops: DomainOps) {
    super({
      type: DomainType.Nested,
      name: 'nested VT-d',
      ops: {
        ...ops,
        cacheInvalidateUser: (domain, array) => invalidate(domain, array),
        translateDma: (_domain, iova, write, physical) => this.#translate(iova, write, physical),
        free: () => {},
      },
    });
    this.parent = parent;
    this.parentTable = table;
    this.stage1 = stage1;
  }

  #translate(iova: bigint, write: boolean, physical: PhysicalMemory): DmaTranslation {
    return translateFirstLevel(
      { root: this.stage1.pageTable, width: this.stage1.width },
      iova,
      write,
      (address, writes) => this.parentTable.access(address, writes),
      physical,
    );
  }
}

/**
 * `intel_nested_cache_invalidate_user`: every access walks the tables afresh here, so there is nothing cached to drop.
 *
 * @throws KernelError EINVAL data of another type or length, an address inside a page, or every page from somewhere on;
 *   EOPNOTSUPP an unknown flag, or reserved; EFAULT
 */
function invalidate(domain: Domain, array: UserDataArray): void {
  if (array.type !== INVALIDATE_VTD_S1) {
    throw new KernelError('EINVAL', domain.label, `is not invalidated by data of type ${array.type}`);
  }
  while (array.processed < array.entries) {
    const entry = copyStructFromUser(array.entry(array.processed), INVALIDATE_VTD_S1, INVALIDATE_VTD_S1_SIZE);
    const [address, pages] = [entry.getBigUint64(0, true), entry.getBigUint64(8, true)];
    if ((entry.getUint32(16, true) & ~INVALIDATE_LEAF) !== 0 || entry.getUint32(20, true) !== 0) {
      throw new KernelError('EOPNOTSUPP', domain.label, `entry ${array.processed} has flags nobody knows`);
    }
    if ((address & PAGE_MASK) !== 0n || (pages === EVERY_PAGE && address !== 0n)) {
      throw new KernelError('EINVAL', domain.label, `entry ${array.processed} is no range of pages`);
    }
    array.processed++;
  }
}
