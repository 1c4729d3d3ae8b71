/** A guest's page table, which translates to addresses that a parent table translates on (`struct iommufd_hwpt_nested`). */

import { type Domain, DomainType } from '../iommu/domain.ts';
import { adopted, domainAllocUser } from '../iommu/domain-alloc.ts';
import type { UserDomainFlags } from '../iommu/driver.ts';
import type { UserData } from '../iommu/user-data.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Context } from './context.ts';
import type { IommufdDevice } from './device.ts';
import { Hwpt } from './hwpt.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import type { Viommu } from './viommu.ts';

export class HwptNested extends Hwpt {
  readonly parent: HwptPaging;
  /** Where it was made through a guest's slice of the IOMMU. */
  readonly viommu: Viommu | undefined;

  private constructor(
    context: Context,
    init: { domain: Domain; parent: HwptPaging; viommu?: Viommu; pasid: boolean },
  ) {
    super(context, 'hwpt-nested', init.domain, init.pasid);
    this.parent = init.parent;
    this.viommu = init.viommu;
  }

  /**
   * `iommufd_hwpt_nested_alloc`: not yet published.
   *
   * @throws KernelError EOPNOTSUPP no data, or the driver cannot; EINVAL the parent is automatic, was not made to be one
   *   or is another driver's, or the data is wrong; EFAULT; ENOMEM; EBUSY no object id is free
   */
  static alloc(
    context: Context,
    parent: HwptPaging,
    device: IommufdDevice,
    flags: UserDomainFlags,
    userData: UserData | undefined,
  ): HwptNested {
    const driver = device.driver;
    if (flags.nestParent === true || flags.dirtyTracking === true) throw noFlags(parent);
    if (userData === undefined) throw noData(parent);
    if (driver.domainAllocUser === undefined) {
      throw new KernelError('EOPNOTSUPP', device.label, `${driver.name} nests no page tables`);
    }
    if (parent.autoDomain || !parent.nestParent) {
      throw new KernelError(
        'EINVAL',
        parent.label,
        'is no parent of guest tables',
        'allocate it with IOMMU_HWPT_ALLOC_NEST_PARENT',
      );
    }
    if (parent.domain.owner !== driver) {
      throw new KernelError(
        'EINVAL',
        parent.label,
        `belongs to another IOMMU driver than ${driver.name} of ${device.label}`,
      );
    }
    context.iommufd.faults.step('nested domain');
    const domain = domainAllocUser(driver, device.device, flags, parent.domain, userData);
    return HwptNested.#finish(context, { domain, parent, pasid: flags.pasid ?? false });
  }

  /**
   * `iommufd_viommu_alloc_hwpt_nested` (since 6.13): the same above a guest's slice of the IOMMU; not yet published.
   *
   * @throws KernelError EOPNOTSUPP flags, no data, or the driver cannot; else as `alloc`
   */
  static allocOnViommu(viommu: Viommu, flags: UserDomainFlags, userData: UserData | undefined): HwptNested {
    const { context, hwpt, driver, slice } = viommu;
    if (flags.nestParent === true || flags.dirtyTracking === true) throw noFlags(viommu);
    if (userData === undefined) throw noData(viommu);
    if (slice.allocDomainNested === undefined) {
      throw new KernelError('EOPNOTSUPP', viommu.label, 'its driver nests no page tables');
    }
    context.iommufd.faults.step('nested domain');
    const domain = adopted(driver, slice.allocDomainNested(userData));
    return HwptNested.#finish(context, { domain, parent: hwpt, viommu, pasid: flags.pasid ?? false });
  }

  static #finish(
    context: Context,
    init: { domain: Domain; parent: HwptPaging; viommu?: Viommu; pasid: boolean },
  ): HwptNested {
    const { domain, parent, viommu } = init;
    const hwpt = new HwptNested(context, init);
    try {
      const invalidates = domain.ops.cacheInvalidateUser !== undefined || viommu !== undefined;
      if (domain.type !== DomainType.Nested || !invalidates) {
        throw new KernelError('EINVAL', domain.label, 'is no nested domain whose caches can be invalidated');
      }
      context.objects.reserve(hwpt);
    } catch (error) {
      domain.free();
      throw error;
    }
    (viommu ?? parent).users++;
    return hwpt;
  }

  override get paging(): HwptPaging {
    return this.parent;
  }

  /** `iommufd_hwpt_nested_destroy`. */
  override destroy(): void {
    super.destroy();
    (this.viommu ?? this.parent).users--;
  }
}

function noFlags(on: { label: string }): KernelError {
  return new KernelError('EOPNOTSUPP', on.label, 'guest tables are neither parents nor track dirty pages');
}

function noData(on: { label: string }): KernelError {
  return new KernelError('EOPNOTSUPP', on.label, 'a guest table needs data that describes it');
}
