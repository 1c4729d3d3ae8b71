/**
 * A device given into the hands of a user process (`struct iommufd_device`): the driver that binds it must be one that
 * leaves DMA alone until then (`driver_managed_dma`).
 */

import type { Device } from '../device/device.ts';
import { DeviceDma } from '../iommu/dma.ts';
import type { IommuDriver } from '../iommu/driver.ts';
import { NO_PASID } from '../iommu/group-pasids.ts';
import type { ReservedRegion } from '../iommu/reserved-region.ts';
import { KernelError } from '../kernel/errors.ts';
import { PciDevice } from '../pci/device.ts';
import { detachHwpt } from './attach.ts';
import { changePageTable } from './change-page-table.ts';
import type { Context } from './context.ts';
import { IommufdGroup } from './group.ts';
import { IommufdObject } from './object.ts';
import { isMockDevice } from './selftest/mock-device.ts';
import type { Vdevice } from './vdevice.ts';

export class IommufdDevice extends IommufdObject {
  readonly device: Device;
  readonly group: IommufdGroup;
  /** `enforce_cache_coherency`: page tables made for it keep devices from getting around the processor's caches. */
  readonly enforceCacheCoherency: boolean;
  /** What a guest knows of it (since 6.17). */
  vdevice: Vdevice | undefined;
  readonly #dma = new Map<number, DeviceDma>();
  #iopfUsers = 0;

  private constructor(context: Context, device: Device, group: IommufdGroup) {
    super(context, 'device');
    this.device = device;
    this.group = group;
    this.enforceCacheCoherency = context.iommufd.iommu.deviceCapable(device, 'enforce-cache-coherency');
  }

  /**
   * `iommufd_device_bind`: nobody but this context decides about the device's DMA from now on. All of it is blocked
   * until it is attached. `unbind` gives it back.
   *
   * @throws KernelError EINVAL its DMA is not coherent, or firmware wants memory mapped 1:1 for a member of its group;
   *   ENODEV no group; EPERM a member's interrupts are not isolated, or somebody else uses or owns the group; EBUSY the
   *   group is attached elsewhere; ENOMEM. Nothing has changed then
   */
  static override bind(context: Context, device: Device): IommufdDevice {
    const { iommu } = context.iommufd;
    // There is no way for user space to make memory coherent again, so it has to stay coherent.
    if (!iommu.deviceCapable(device, 'cache-coherency')) {
      throw new KernelError('EINVAL', device.name, 'its DMA is not coherent with the processors');
    }
    const group = IommufdGroup.get(context, device);
    try {
      assertIsolatedMsi(context, device, group);
      claim(context, device);
    } catch (error) {
      group.put();
      throw error;
    }
    const bound = new IommufdDevice(context, device, group);
    try {
      context.objects.reserve(bound);
    } catch (error) {
      iommu.deviceReleaseDmaOwner(device);
      group.put();
      throw error;
    }
    if (!isMockDevice(device)) context.get();
    // The calling driver, until it unbinds.
    bound.users++;
    context.objects.publish(bound);
    return bound;
  }

  /** Its IOMMU's driver; there as long as it is bound. */
  get driver(): IommuDriver {
    return this.context.iommufd.iommu.instanceOf(this.device)!.driver;
  }

  /** DMA as the device makes it now, without a PASID. */
  get dma(): DeviceDma {
    return this.dmaWithPasid(NO_PASID);
  }

  /** DMA as the device makes it when it marks it with `pasid`; the same object each time. */
  dmaWithPasid(pasid: number): DeviceDma {
    const { iommu, physical } = this.context.iommufd;
    const dma = this.#dma.get(pasid) ?? new DeviceDma(iommu, this.device, physical, pasid);
    this.#dma.set(pasid, dma);
    return dma;
  }

  /** `iommu_get_resv_regions` */
  reservedRegions(): readonly ReservedRegion[] {
    return this.driver.getResvRegions?.(this.device) ?? [];
  }

  /**
   * `iommufd_device_unbind`: with the last device of its group DMA is the kernel's again.
   *
   * @throws KernelError EBUSY it is attached, or a call works on it; nothing has changed then
   */
  unbind(): void {
    // Table and driver: nobody else is in the way.
    if (this.users === 2) this.vdevice?.forceAway();
    this.context.objects.destroyOwned(this);
  }

  /**
   * `iommufd_device_attach`
   *
   * @param ptId an HWPT, or an IOAS of which an automatic HWPT is found or made
   * @returns id of the HWPT
   * @throws KernelError ENOENT no such object; EINVAL of another kind, the group is on another HWPT, or device and
   *   table do not go together; EBUSY it is attached; EADDRINUSE something is mapped or allowed where the device has
   *   a reserved region; what mapping or the driver refused. Nothing has changed then
   */
  attach(ptId: number): number {
    return this.#attach(NO_PASID, ptId);
  }

  /**
   * `iommufd_device_replace`: as detach and attach for the whole group at once, without a moment of blocked DMA where
   * the driver can do that.
   *
   * @returns id of the HWPT
   * @throws KernelError EINVAL it is not attached; else as `attach`
   */
  replace(ptId: number): number {
    return changePageTable(this, NO_PASID, ptId, 'replace');
  }

  /**
   * `iommufd_device_detach`: after the last device of the group its DMA is blocked. An automatic HWPT goes with its
   * last user.
   *
   * @throws KernelError EINVAL it is not attached
   */
  detach(): void {
    this.#detach(NO_PASID);
  }

  /**
   * `iommufd_device_attach` with a PASID (since 6.15): DMA marked with it has its own page table.
   *
   * @throws KernelError EOPNOTSUPP the driver has no PASIDs; EINVAL beyond what the device has, or a table not made for
   *   PASIDs; else as `attach`
   */
  pasidAttach(pasid: number, ptId: number): number {
    return this.#attach(pasid, ptId);
  }

  /** `iommufd_device_replace` with a PASID. @throws KernelError as `replace` and `pasidAttach` */
  pasidReplace(pasid: number, ptId: number): number {
    return changePageTable(this, pasid, ptId, 'replace');
  }

  /** `iommufd_device_detach` with a PASID. @throws KernelError EINVAL nothing of the device is attached there */
  pasidDetach(pasid: number): void {
    this.#detach(pasid);
  }

  /**
   * `iommufd_fault_iopf_enable`: the device may ask for pages, until as many `disableIopf`.
   *
   * @throws KernelError EINVAL a virtual function; ENODEV device or IOMMU cannot
   */
  enableIopf(): void {
    const { iommu, faults } = this.context.iommufd;
    if (this.device instanceof PciDevice && this.device.isVirtual) {
      throw new KernelError(
        'EINVAL',
        this.label,
        'is a virtual function, which shares its page request interface with the physical one',
      );
    }
    if (this.#iopfUsers === 0) {
      faults.step('page requests');
      iommu.devEnableFeature(this.device, 'iopf');
    }
    this.#iopfUsers++;
  }

  /** `iommufd_fault_iopf_disable`. */
  disableIopf(): void {
    if (--this.#iopfUsers === 0) this.context.iommufd.iommu.devDisableFeature(this.device, 'iopf');
  }

  /** `iommufd_device_destroy`. */
  override destroy(): void {
    this.context.iommufd.iommu.deviceReleaseDmaOwner(this.device);
    this.group.put();
    if (!isMockDevice(this.device)) this.context.put();
  }

  #attach(pasid: number, ptId: number): number {
    const id = changePageTable(this, pasid, ptId, 'attach');
    this.users++;
    return id;
  }

  #detach(pasid: number): void {
    detachHwpt(this, pasid).put();
    this.users--;
  }
}

/** Interrupts are memory writes: where they are not remapped, a device's DMA can raise any, whatever it is attached to. */
function assertIsolatedMsi({ iommufd }: Context, device: Device, { group }: IommufdGroup): void {
  if (isMockDevice(device) || group.hasIsolatedMsi()) return;
  const problem = 'the platform does not isolate interrupts of its group';
  if (!iommufd.allowUnsafeInterrupts) {
    throw new KernelError(
      'EPERM',
      device.name,
      problem,
      'switch interrupt remapping on, or allow_unsafe_interrupts',
    );
  }
  iommufd.iommu.messages.warn(device.name, `${problem}; bound all the same, as allow_unsafe_interrupts says`);
}

function claim(context: Context, device: Device): void {
  context.iommufd.faults.step('DMA ownership');
  context.iommufd.iommu.deviceClaimDmaOwner(device, context);
}
