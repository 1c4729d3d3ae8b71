/**
 * IOMMU groups: the smallest sets of devices that can be kept apart from all others (`struct iommu_group`).
 *
 * One class in layers, each in its file: members → domains → default domain → PASIDs → what is here, ownership and
 * what is said about the group as a whole.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { GroupContext } from './context.ts';
import { DomainType } from './domain.ts';
import { domainAlloc } from './domain-alloc.ts';
import { GroupPasids } from './group-pasids.ts';
import { GroupDirectory } from './group-sysfs.ts';
import { mergeRegions, type ReservedRegion } from './reserved-region.ts';

export class Group extends GroupPasids {
  /**
   * `iommu_group_alloc`: the lowest free number, a directory in sysfs, and one reference, the caller's.
   *
   * @throws KernelError ENOSPC no number is free, EEXIST and others of sysfs; nothing is left behind then
   */
  static alloc(context: GroupContext): Group {
    const id = context.ids.alloc();
    try {
      const directory = new GroupDirectory(context.groupsDir, id);
      const group = new Group(context, id, directory);
      directory.showing(group);
      context.groups.set(id, group);
      return group;
    } catch (error) {
      context.ids.free(id);
      throw error;
    }
  }

  /** `owner_cnt`: drivers that use the group's DMA, or claims of its one owner. */
  get ownerCount(): number {
    return this.users;
  }

  /** `iommu_group_dma_owner_claimed`: true as well while ordinary drivers are bound. */
  get dmaOwnerClaimed(): boolean {
    return this.users > 0;
  }

  /** The cookie of the claim in force. */
  get dmaOwner(): unknown {
    return this.owner;
  }

  /**
   * `iommu_device_use_default_domain`: a driver will use the group's ordinary DMA.
   *
   * @throws KernelError EPROBE_DEFER no default domain yet; EBUSY the group is in use in another way
   */
  useDefaultDomain(device: Device): void {
    using _ = this.lock.hold('iommu_device_use_default_domain');
    if (this.defaultDomain === undefined) {
      throw new KernelError('EPROBE_DEFER', device.name, `${this.describe()} has no default domain yet`);
    }
    if (this.users > 0 && (this.owner !== undefined || this.#busyElsewhere)) {
      throw new KernelError(
        'EBUSY',
        device.name,
        `${this.describe()} is owned${this.usersInWords()}, so no driver may use its DMA`,
        'release the whole group first',
      );
    }
    this.users++;
  }

  /** `iommu_device_unuse_default_domain`; a warning when nothing was in use. */
  unuseDefaultDomain(): void {
    using _ = this.lock.hold('iommu_device_unuse_default_domain');
    if (this.users === 0 || this.hasPasids) this.warn('a driver gives back DMA that is not in use');
    else this.users--;
  }

  /**
   * `iommu_group_claim_dma_owner`: `owner` alone decides about the group's DMA from now on, all of it blocked.
   *
   * @throws KernelError EINVAL no owner given; EPERM anybody uses or owns the group, this owner included; EBUSY
   *   another domain or a PASID is attached; else what allocating or attaching the blocking domain refused, and
   *   then nothing has changed
   */
  claimDmaOwner(owner: unknown): void {
    this.alive('claiming its DMA');
    this.#assertOwner(owner);
    using _ = this.lock.hold('iommu_group_claim_dma_owner');
    if (this.users > 0) throw this.#inUse();
    this.#takeDmaOwnership(owner);
  }

  /**
   * `iommu_device_claim_dma_owner`, for one device of the group: claims of one owner add up.
   *
   * @throws KernelError EINVAL no owner given; EPERM somebody else uses or owns the group; EBUSY and others as
   *   `claimDmaOwner`
   */
  claimDeviceDmaOwner(owner: unknown): void {
    this.alive('claiming its DMA');
    this.#assertOwner(owner);
    using _ = this.lock.hold('iommu_device_claim_dma_owner');
    if (this.users > 0 && this.owner !== owner) throw this.#inUse();
    if (this.users > 0) this.users++;
    else this.#takeDmaOwnership(owner);
  }

  /** `iommu_group_release_dma_owner`: all claims go, the default domain returns. A warning without a claim. */
  releaseDmaOwner(): void {
    this.alive('releasing its DMA');
    using _ = this.lock.hold('iommu_group_release_dma_owner');
    this.#releaseDmaOwnership();
  }

  /** `iommu_device_release_dma_owner`: one claim goes, with the last the ownership. */
  releaseDeviceDmaOwner(): void {
    this.alive('releasing its DMA');
    using _ = this.lock.hold('iommu_device_release_dma_owner');
    if (this.users > 1) this.users--;
    else this.#releaseDmaOwnership();
  }

  /** `iommu_group_has_isolated_msi`: interrupts of every member are known to be remapped. */
  hasIsolatedMsi(): boolean {
    this.alive('asking for isolated MSI');
    using _ = this.lock.hold('iommu_group_has_isolated_msi');
    return this.devices.every((device) => this.stateOf(device).instance?.isolatedMsi?.(device) === true);
  }

  /** `iommu_get_group_resv_regions`: of all members, merged; stops at a member without an IOMMU. */
  reservedRegions(): ReservedRegion[] {
    this.alive('listing its reserved regions');
    using _ = this.lock.hold('iommu_get_group_resv_regions');
    const regions: ReservedRegion[] = [];
    for (const device of this.members.keys()) {
      const instance = this.stateOf(device).instance;
      if (instance === undefined) break;
      for (const region of instance.driver.getResvRegions?.(device) ?? []) regions.push(region);
    }
    return mergeRegions(regions);
  }

  protected override asGroup(): Group {
    return this;
  }

  get #busyElsewhere(): boolean {
    return (this.domain !== undefined && this.domain !== this.defaultDomain) || this.hasPasids;
  }

  /** `__iommu_take_dma_ownership`. */
  #takeDmaOwnership(owner: unknown): void {
    if (this.#busyElsewhere) {
      throw new KernelError('EBUSY', this.describe(), `is attached to ${this.domain?.label ?? 'a PASID'}`);
    }
    this.#allocBlockingDomain();
    if (this.blockingDomain) this.setDomain(this.blockingDomain);
    this.owner = owner;
    this.users++;
  }

  /** `__iommu_release_dma_ownership`. */
  #releaseDmaOwnership(): void {
    if (this.users === 0 || this.owner === undefined || this.hasPasids) {
      this.warn('is released without being owned, or with a PASID attached');
      return;
    }
    this.users = 0;
    this.owner = undefined;
    this.setDomainNoFail(this.defaultDomain);
  }

  /** `__iommu_group_alloc_blocking_domain`: drivers that cannot block get an empty domain instead. */
  #allocBlockingDomain(): void {
    if (this.blockingDomain !== undefined) return;
    const { driver, device } = this.firstDriver();
    try {
      this.setBlocking(domainAlloc(driver, device, DomainType.Blocked));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.setBlocking(domainAlloc(driver, device, DomainType.Unmanaged));
    }
  }

  #assertOwner(owner: unknown): void {
    if (owner === undefined || owner === null) {
      throw new KernelError('EINVAL', this.describe(), 'cannot be claimed without naming an owner');
    }
  }

  #inUse(): KernelError {
    const remedy = this.owner === undefined ? 'bind them to vfio-pci or unbind them' : 'release it first';
    return new KernelError('EPERM', this.describe(), `is in use${this.usersInWords()}`, remedy);
  }
}
