/**
 * A device as a guest's IOMMU knows it (`struct iommufd_vdevice`; since 6.13, one per device since 6.17). From the newer
 * headers and from memory.
 */

import { KernelError } from '../kernel/errors.ts';
import type { IommufdDevice } from './device.ts';
import { IommufdObject } from './object.ts';
import type { Viommu } from './viommu.ts';

export class Vdevice extends IommufdObject {
  readonly viommu: Viommu;
  readonly device: IommufdDevice;
  /** What the guest's IOMMU calls it, e.g. a stream id or a requester id. */
  readonly virtId: bigint;

  private constructor(viommu: Viommu, device: IommufdDevice, virtId: bigint) {
    super(viommu.context, 'vdevice');
    this.viommu = viommu;
    this.device = device;
    this.virtId = virtId;
  }

  /**
   * `iommufd_vdevice_alloc_ioctl`, without its look-ups: not yet published.
   *
   * @throws KernelError EINVAL another IOMMU translates the device; EEXIST the guest knows the device, or another
   *   device by this number; ENOMEM; EBUSY no object id is free; the driver's refusal
   */
  static alloc(viommu: Viommu, device: IommufdDevice, virtId: bigint): Vdevice {
    const { objects, iommufd } = viommu.context;
    if (iommufd.iommu.instanceOf(device.device) !== viommu.instance) {
      throw new KernelError(
        'EINVAL',
        device.label,
        `is not behind ${viommu.instance.name}, as ${viommu.label}`,
      );
    }
    if (device.vdevice !== undefined) {
      throw new KernelError('EEXIST', device.label, `is ${device.vdevice.label} of a guest`, 'destroy that');
    }
    const other = viommu.vdevices.get(virtId);
    if (other !== undefined) {
      throw new KernelError(
        'EEXIST',
        viommu.label,
        `the guest calls ${other.device.label} ${virtId} already`,
      );
    }
    const vdevice = new Vdevice(viommu, device, virtId);
    objects.reserve(vdevice);
    try {
      iommufd.faults.step('vDEVICE');
      viommu.slice.vdeviceInit?.(device.device, virtId);
    } catch (error) {
      objects.abort(vdevice);
      throw error;
    }
    viommu.users++;
    viommu.vdevices.set(virtId, vdevice);
    device.vdevice = vdevice;
    return vdevice;
  }

  /**
   * `iommufd_device_remove_vdev`: the device goes, and its guest's view of it with it; the id finds nothing until the
   * context closes.
   *
   * @throws KernelError EBUSY a call works on it
   */
  forceAway(): void {
    this.users++;
    try {
      this.context.objects.destroyOwned(this, { tombstone: true });
    } catch (error) {
      this.users--;
      throw error;
    }
  }

  /** `iommufd_vdevice_destroy`. */
  override destroy(): void {
    this.viommu.slice.vdeviceDestroy?.(this.device.device, this.virtId);
    this.viommu.vdevices.delete(this.virtId);
    this.device.vdevice = undefined;
    this.viommu.users--;
  }
}
