/** What drivers ask about, and of, the group of one device. */

import type { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import { KernelError } from '../kernel/errors.ts';
import type { NoGroup } from './device-state.ts';
import { type Domain, DomainType } from './domain.ts';
import { domainAlloc } from './domain-alloc.ts';
import type { Capability, IommuInstance } from './driver.ts';
import type { Group } from './group.ts';
import { attachDevice } from './group-domains.ts';
import type { AttachHandle } from './group-pasids.ts';
import type { Reason } from './grouping/reason.ts';
import { PageFaultCalls } from './page-fault-calls.ts';

export abstract class DeviceCalls extends PageFaultCalls {
  /**
   * `iommu_group_get`: the device's group with one more reference, which the caller gives back:
   * `using group = iommu.groupGet(device)`.
   */
  groupGet(device: Device): Group | undefined {
    return this.groupOf(device)?.get();
  }

  /** The same without a reference, for looking only. */
  groupOf(device: Device): Group | undefined {
    return this.states.find(device)?.group;
  }

  /** The decisions that led to the device's group; none for groups formed by hand. */
  reasonFor(device: Device): Reason | undefined {
    return this.states.find(device)?.reason;
  }

  /** Which IOMMU translates the device (`dev_has_iommu`). */
  instanceOf(device: Device): IommuInstance | undefined {
    return this.states.find(device)?.instance;
  }

  /** Why the device is in no group, if it is in none. */
  noGroupReason(device: Device): NoGroup | undefined {
    const state = this.states.find(device);
    if (state?.group) return undefined;
    if (state?.noGroup?.because !== 'not-covered') return state?.noGroup ?? { because: 'never-probed' };
    return { because: 'not-covered', details: this.whyNotCovered(device) };
  }

  /**
   * `iommu_device_use_default_domain`; nothing for a device without a group.
   *
   * @throws KernelError EPROBE_DEFER, EBUSY as `Group.useDefaultDomain`
   */
  deviceUseDefaultDomain(device: Device): void {
    this.groupOf(device)?.useDefaultDomain(device);
  }

  /** `iommu_device_unuse_default_domain`. */
  deviceUnuseDefaultDomain(device: Device): void {
    this.groupOf(device)?.unuseDefaultDomain();
  }

  /** The two hooks for `new Bus({ …, ...iommu.dmaHooks })` (`pci_dma_configure` and others' common part). */
  readonly dmaHooks = {
    dmaConfigure: (device: Device, driver: Driver): void => {
      if (!driver.driverManagedDma) this.deviceUseDefaultDomain(device);
    },
    dmaCleanup: (device: Device, driver: Driver): void => {
      if (!driver.driverManagedDma) this.deviceUnuseDefaultDomain(device);
    },
  };

  /**
   * `iommu_device_claim_dma_owner`.
   *
   * @throws KernelError EINVAL no owner given, ENODEV no group; EPERM, EBUSY as `Group.claimDeviceDmaOwner`
   */
  deviceClaimDmaOwner(device: Device, owner: unknown): void {
    if (owner === undefined || owner === null) {
      throw new KernelError('EINVAL', device.name, 'cannot be claimed without naming an owner');
    }
    this.#needGroup(device).claimDeviceDmaOwner(owner);
  }

  /**
   * `iommu_device_release_dma_owner`.
   *
   * @throws KernelError ENODEV no group, where the kernel would crash
   */
  deviceReleaseDmaOwner(device: Device): void {
    this.#needGroup(device).releaseDeviceDmaOwner();
  }

  /**
   * `iommu_attach_device`, for devices alone in their group.
   *
   * @throws KernelError ENODEV no group, EINVAL not alone in it; else as `Group.attachDomain`
   */
  attachDevice(domain: Domain, device: Device): void {
    const group = this.#needGroup(device);
    if (group.size !== 1) {
      throw new KernelError(
        'EINVAL',
        device.name,
        `shares ${group.describe()} with ${group.size - 1} others`,
        'attach the group',
      );
    }
    group.attachDomain(domain);
  }

  /** `iommu_detach_device`. A warning when `domain` is not attached or the device is not alone. */
  detachDevice(domain: Domain, device: Device): void {
    const group = this.groupOf(device);
    if (group === undefined) return;
    if (group.domain === domain && group.size === 1) group.detachDomain();
    else
      this.messages.warn(device.name, `${domain.label} cannot be detached: it is not attached to it alone`);
  }

  /**
   * `iommu_attach_device_pasid`.
   *
   * @throws KernelError EOPNOTSUPP the domain cannot, ENODEV no group; else as `Group.attachPasid`
   */
  attachDevicePasid(domain: Domain, device: Device, pasid: number, handle?: AttachHandle): void {
    if (domain.ops.setDevPasid === undefined) {
      throw new KernelError('EOPNOTSUPP', domain.label, 'cannot be attached to a PASID');
    }
    this.#needGroup(device).attachPasid(domain, device, pasid, handle);
  }

  /**
   * `iommu_replace_device_pasid` (since 6.15).
   *
   * @throws KernelError EOPNOTSUPP the domain cannot, ENODEV no group; else as `Group.replacePasid`
   */
  replaceDevicePasid(domain: Domain, device: Device, pasid: number, handle: AttachHandle): void {
    this.#needGroup(device).replacePasid(domain, device, pasid, handle);
  }

  /**
   * `iommu_detach_device_pasid`.
   *
   * @throws KernelError ENODEV no group, where the kernel would crash
   */
  detachDevicePasid(domain: Domain, device: Device, pasid: number): void {
    this.#needGroup(device).detachPasid(domain, pasid);
  }

  /** `iommu_get_domain_for_dev`. */
  getDomainForDev(device: Device): Domain | undefined {
    return this.groupOf(device)?.domain;
  }

  /**
   * `iommu_deferred_attach`: the device's driver first uses DMA.
   *
   * @throws KernelError the IOMMU driver's refusal
   */
  deferredAttach(device: Device, domain: Domain): void {
    const state = this.states.find(device);
    if (state?.attachDeferred) attachDevice(domain, device, state);
  }

  /** `device_iommu_capable`. */
  deviceCapable(device: Device, capability: Capability): boolean {
    return this.instanceOf(device)?.driver.capable?.(device, capability) ?? false;
  }

  /** Number of PASIDs the device can use, 0 for none (`max_pasids`). */
  maxPasids(device: Device): number {
    return this.states.find(device)?.maxPasids ?? 0;
  }

  /**
   * `iommu_paging_domain_alloc`: an empty UNMANAGED domain that the device could be attached to.
   *
   * @throws KernelError ENODEV no IOMMU; else the driver's refusal
   */
  pagingDomainAlloc(device: Device): Domain {
    const instance = this.instanceOf(device);
    if (instance === undefined) throw new KernelError('ENODEV', device.name, 'has no IOMMU');
    return domainAlloc(instance.driver, device, DomainType.Unmanaged);
  }

  /** What each IOMMU says about a device it does not translate. */
  protected abstract whyNotCovered(device: Device): string[];

  #needGroup(device: Device): Group {
    const group = this.groupOf(device);
    if (group === undefined) throw new KernelError('ENODEV', device.name, 'is in no IOMMU group');
    return group;
  }
}
