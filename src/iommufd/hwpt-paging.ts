/** Page tables that hold what an address space maps (`struct iommufd_hwpt_paging`). */

import type { Domain } from '../iommu/domain.ts';
import { domainAllocUser } from '../iommu/domain-alloc.ts';
import type { UserDomainFlags } from '../iommu/driver.ts';
import type { UserData } from '../iommu/user-data.ts';
import { KernelError } from '../kernel/errors.ts';
import { attachHwpt } from './attach.ts';
import type { Context } from './context.ts';
import type { IommufdDevice } from './device.ts';
import { Hwpt } from './hwpt.ts';
import type { Ioas } from './ioas.ts';

export interface HwptPagingInit {
  ioas: Ioas;
  /** Any device the table could be attached to. */
  device: IommufdDevice;
  flags?: UserDomainFlags;
  userData?: UserData | undefined;
  /** Attaches `device` at this PASID before anything is mapped. */
  attachAt?: number;
}

export class HwptPaging extends Hwpt {
  readonly ioas: Ioas;
  /** `auto_domain`: made by an attach to the IOAS, and gone with its last user. */
  autoDomain = false;
  /** `nest_parent`: guest tables can be nested on it. */
  readonly nestParent: boolean;
  #enforceCacheCoherency = false;
  #msiCookie = false;

  private constructor(context: Context, ioas: Ioas, domain: Domain, flags: UserDomainFlags) {
    super(context, 'hwpt-paging', domain, flags.pasid ?? false);
    this.ioas = ioas;
    this.nestParent = flags.nestParent ?? false;
  }

  /**
   * `iommufd_hwpt_paging_alloc`: a new table filled with everything the IOAS maps, not yet published.
   *
   * @throws KernelError EOPNOTSUPP flags or data and the driver makes no domains for users, or flags the device is not
   *   up to; EINVAL the table's pages are larger than the IOAS or its mappings allow; EADDRINUSE something is mapped
   *   or allowed where the table does not reach; what attaching or mapping refused. Nothing has changed then
   */
  static alloc(context: Context, init: HwptPagingInit): HwptPaging {
    const { ioas, device, attachAt } = init;
    const { objects } = context;
    const flags = init.flags ?? {};
    const domain = allocDomain(context, device, flags, init.userData);
    if (domain.pageTable !== undefined) {
      domain.pageTable.onAllocate = () => context.iommufd.faults.step('page table');
    }
    const hwpt = new HwptPaging(context, ioas, domain, flags);
    try {
      objects.reserve(hwpt);
    } catch (error) {
      domain.free();
      throw error;
    }
    ioas.users++;
    try {
      // Some hardware has a bit per entry for it, so it is settled before anything is mapped, and stays.
      if (device.enforceCacheCoherency) hwpt.#enforceCc();
      const detach = attachAt === undefined ? () => {} : attachHwpt(hwpt, device, attachAt);
      try {
        ioas.iovas.addDomain(domain);
      } catch (error) {
        detach();
        throw error;
      }
    } catch (error) {
      objects.abortAndDestroy(hwpt);
      throw error;
    }
    ioas.hwpts.add(hwpt);
    return hwpt;
  }

  override get paging(): HwptPaging {
    return this;
  }

  /** `enforce_cache_coherency`: devices cannot get around the processor's caches. Settled when it is made. */
  get enforceCacheCoherency(): boolean {
    return this.#enforceCacheCoherency;
  }

  /** `msi_cookie`: the window for interrupt messages is set up. */
  get msiCookie(): boolean {
    return this.#msiCookie;
  }

  /**
   * The table's half of `iommufd_group_setup_msi`: interrupt messages are mapped from `base` on, set up once.
   *
   * @returns what undoes it, for a change that fails later on
   * @throws KernelError ENOMEM
   */
  setupMsi(base: bigint): () => void {
    if (this.#msiCookie) return () => {};
    this.context.iommufd.faults.step('MSI cookie');
    this.domain.getMsiCookie(base);
    this.#msiCookie = true;
    return () => {
      this.domain.putMsiCookie();
      this.#msiCookie = false;
    };
  }

  override put(): void {
    if (this.autoDomain) this.context.objects.putAndTryDestroy(this);
    else super.put();
  }

  /** `iommufd_hwpt_paging_destroy`. */
  override destroy(): void {
    if (this.ioas.hwpts.delete(this)) this.ioas.iovas.removeDomain(this.domain);
    super.destroy();
    this.ioas.users--;
  }

  /**
   * `iommufd_hwpt_paging_enforce_cc`
   *
   * @throws KernelError EINVAL the driver said it could for the device and cannot for the domain
   */
  #enforceCc(): void {
    this.#enforceCacheCoherency = this.domain.ops.enforceCacheCoherency?.(this.domain) ?? false;
    if (!this.#enforceCacheCoherency) {
      throw new KernelError('EINVAL', this.domain.label, 'cannot enforce cache coherency');
    }
  }
}

function allocDomain(
  context: Context,
  device: IommufdDevice,
  flags: UserDomainFlags,
  userData: UserData | undefined,
): Domain {
  const { iommu, faults } = context.iommufd;
  const driver = device.driver;
  const asked = flags.nestParent === true || flags.dirtyTracking === true || flags.pasid === true;
  if ((asked || userData !== undefined) && driver.domainAllocUser === undefined) {
    throw new KernelError('EOPNOTSUPP', device.label, `${driver.name} takes no wishes for page tables`);
  }
  if (flags.dirtyTracking === true && !iommu.deviceCapable(device.device, 'dirty-tracking')) {
    throw new KernelError('EOPNOTSUPP', device.label, 'its IOMMU does not track dirty pages');
  }
  if (flags.pasid === true && iommu.maxPasids(device.device) === 0) {
    throw new KernelError('EOPNOTSUPP', device.label, 'cannot mark its DMA with a PASID');
  }
  faults.step('domain');
  if (driver.domainAllocUser === undefined) return iommu.pagingDomainAlloc(device.device);
  return domainAllocUser(driver, device.device, flags, undefined, userData);
}
