/** A device that a VFIO driver has, and what iommufd knows of it (`struct vfio_device`, drivers/vfio/iommufd.c). */

import type { Device } from '../../device/device.ts';
import { DeviceDma } from '../../iommu/dma.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { Context } from '../context.ts';
import { IommufdDevice } from '../device.ts';
import type { Iommufd } from '../iommufd.ts';
import { compatIoasGetId } from './compat-ioas.ts';
import type { VfioDeviceOps } from './device-ops.ts';
import type { VfioGroup } from './group.ts';

export interface VfioDeviceInit {
  iommufd: Iommufd;
  device: Device;
  ops: VfioDeviceOps;
  group: VfioGroup;
  index: number;
  /** Told once nobody has it open any more after it was unregistered. */
  released(device: VfioDevice): void;
}

export class VfioDevice {
  readonly device: Device;
  readonly ops: VfioDeviceOps;
  readonly group: VfioGroup;
  /** `vfio0` is the device with index 0. */
  readonly index: number;
  /** `cdev_opened`: its one user came through /dev/vfio/devices. */
  cdevOpened = false;
  readonly #iommufd: Iommufd;
  readonly #released: (device: VfioDevice) => void;
  /** `refcount`: 1 while registered, and one for each open file. */
  #registrations = 1;
  #registered = true;
  #openCount = 0;
  #iommufdDevice: IommufdDevice | undefined;
  #attached = false;
  readonly #pasids = new Set<number>();

  /** Only `Vfio.registerGroupDev` makes one. */
  constructor(init: VfioDeviceInit) {
    this.#iommufd = init.iommufd;
    this.device = init.device;
    this.ops = init.ops;
    this.group = init.group;
    this.index = init.index;
    this.#released = init.released;
  }

  /** As in messages and in `vfio-dev/`: `vfio3`. */
  get name(): string {
    return `vfio${this.index}`;
  }

  /** For messages: the name of the device itself. */
  get label(): string {
    return this.device.name;
  }

  /** Whether a driver has it and new files may be opened. */
  get isRegistered(): boolean {
    return this.#registered;
  }

  /** `open_count`: files through which it may be used. */
  get openCount(): number {
    return this.#openCount;
  }

  /** `iommufd_device`: there while the device is open, but not without an IOMMU. */
  get iommufdDevice(): IommufdDevice | undefined {
    return this.#iommufdDevice;
  }

  /** `iommufd_attached`: its DMA goes through an address space of its user. */
  get isAttached(): boolean {
    return this.#attached;
  }

  /** PASIDs whose DMA goes through an address space, ascending. */
  get pasids(): number[] {
    return [...this.#pasids].sort((a, b) => a - b);
  }

  /** `vfio_device_is_noiommu`. */
  get isNoiommu(): boolean {
    return this.group.type === 'no-iommu';
  }

  /** Moves bytes as the device would: without an IOMMU at physical addresses. None while it is not open. */
  get dma(): DeviceDma | undefined {
    if (!this.isNoiommu || this.#openCount === 0) return this.#iommufdDevice?.dma;
    return new DeviceDma(this.#iommufd.iommu, this.device, this.#iommufd.physical);
  }

  /** `vfio_device_try_get_registration`: whether one more file may keep the device registered. */
  tryGetRegistration(): boolean {
    if (this.#registrations === 0) return false;
    this.#registrations++;
    return true;
  }

  /** `vfio_device_put_registration`. */
  putRegistration(): void {
    if (--this.#registrations === 0) this.#released(this);
  }

  /** The driver lets go: no new files. For `Vfio.unregisterGroupDev` only, which says what happens to open ones. */
  endRegistration(): void {
    this.#registered = false;
    this.putRegistration();
  }

  /**
   * `vfio_df_open`: one more file uses the device; the first binds it to the iommufd and enables it.
   *
   * @param context none without an IOMMU
   * @param exclusive for the device's own file, which suffers no second one
   * @throws KernelError EINVAL it is open already and may be only once; else what binding or enabling refuses, and
   *   then nothing has changed
   */
  open(context: Context | undefined, exclusive: boolean): void {
    if (this.#openCount !== 0 && exclusive) {
      throw new KernelError('EINVAL', this.label, 'is open already', 'close the other file first');
    }
    if (this.#openCount === 0) this.#firstOpen(context);
    this.#openCount++;
  }

  /** `vfio_df_close`: the last file disables the device and unbinds it. */
  close(): void {
    if (this.#openCount === 1) {
      this.ops.closeDevice?.();
      this.#unbind();
    }
    this.#openCount--;
  }

  /** `vfio_df_device_first_open`. */
  #firstOpen(context: Context | undefined): void {
    if (context !== undefined && !this.isNoiommu) {
      this.#iommufdDevice = IommufdDevice.bind(context, this.device);
    }
    try {
      this.ops.openDevice?.();
    } catch (error) {
      this.#unbind();
      throw error;
    }
  }

  /** `vfio_iommufd_physical_unbind`. */
  #unbind(): void {
    const bound = this.#iommufdDevice;
    if (bound === undefined) return;
    for (const pasid of this.pasids) this.detachPasid(pasid);
    this.detachIoas();
    bound.unbind();
    this.#iommufdDevice = undefined;
  }

  /**
   * `vfio_iommufd_compat_attach_ioas`: attaches it where old programs expect it.
   *
   * @throws KernelError ENODEV there is no compatibility IOAS; else as `attachIoas`
   */
  attachCompatIoas(context: Context): void {
    if (!this.isNoiommu) this.attachIoas(compatIoasGetId(context));
  }

  /**
   * `vfio_iommufd_physical_attach_ioas`: attaches the device, or moves it if it is attached.
   *
   * @param ptId an IOAS or a HWPT
   * @returns the HWPT it is attached to
   * @throws KernelError EINVAL it is not bound to an iommufd; else as `IommufdDevice.attach` and `replace`
   */
  attachIoas(ptId: number): number {
    const bound = this.#bound();
    const hwptId = this.#attached ? bound.replace(ptId) : bound.attach(ptId);
    this.#attached = true;
    return hwptId;
  }

  /** `vfio_iommufd_physical_detach_ioas`: nothing happens to a device that is not attached. */
  detachIoas(): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.#bound().detach();
  }

  /**
   * `vfio_iommufd_physical_pasid_attach_ioas` (newer than 6.12): the same for DMA marked with `pasid`.
   *
   * @throws KernelError EINVAL it is not bound to an iommufd; else as `IommufdDevice.pasidAttach`, `pasidReplace`
   */
  attachPasid(pasid: number, ptId: number): number {
    const bound = this.#bound();
    if (this.#pasids.has(pasid)) return bound.pasidReplace(pasid, ptId);
    const hwptId = bound.pasidAttach(pasid, ptId);
    this.#pasids.add(pasid);
    return hwptId;
  }

  /** `vfio_iommufd_physical_pasid_detach_ioas`: nothing happens where nothing is attached. */
  detachPasid(pasid: number): void {
    if (this.#pasids.delete(pasid)) this.#bound().pasidDetach(pasid);
  }

  #bound(): IommufdDevice {
    if (this.#iommufdDevice === undefined) {
      throw new KernelError('EINVAL', this.label, 'is not bound to an iommufd');
    }
    return this.#iommufdDevice;
  }
}
