/**
 * A slice of an IOMMU for a guest (`struct iommufd_viommu`; since 6.13): what the guest believes to be its IOMMU, above
 * one parent table. From the newer headers and from memory: none of this is in 6.12.
 */

import type { DriverViommu, IommuDriver, IommuInstance } from '../iommu/driver.ts';
import type { UserData } from '../iommu/user-data.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Context } from './context.ts';
import type { IommufdDevice } from './device.ts';
import type { HwptPaging } from './hwpt-paging.ts';
import { IommufdObject } from './object.ts';
import type { Vdevice } from './vdevice.ts';
import type { Veventq } from './veventq.ts';

export class Viommu extends IommufdObject {
  /** `enum iommu_viommu_type`. */
  readonly viommuType: number;
  readonly hwpt: HwptPaging;
  readonly instance: IommuInstance;
  /** What its driver keeps of it. */
  readonly slice: DriverViommu;
  /** By the number the guest knows them by. */
  readonly vdevices = new Map<bigint, Vdevice>();
  /** By type of event. */
  readonly veventqs = new Map<number, Veventq>();

  private constructor(
    context: Context,
    init: { type: number; hwpt: HwptPaging; instance: IommuInstance; slice: DriverViommu },
  ) {
    super(context, 'viommu');
    this.viommuType = init.type;
    this.hwpt = init.hwpt;
    this.instance = init.instance;
    this.slice = init.slice;
  }

  /**
   * `iommufd_viommu_alloc_ioctl`, without its look-ups: not yet published.
   *
   * @throws KernelError EOPNOTSUPP the driver has no slices of this type; ENOMEM; EBUSY no object id is free
   */
  static alloc(device: IommufdDevice, hwpt: HwptPaging, type: number, userData?: UserData): Viommu {
    const { context, driver } = device;
    if (driver.viommuAlloc === undefined) {
      throw new KernelError('EOPNOTSUPP', device.label, `${driver.name} has no slices for guests`);
    }
    context.iommufd.faults.step('vIOMMU');
    const slice = driver.viommuAlloc(device.device, type, hwpt.domain, userData);
    const instance = context.iommufd.iommu.instanceOf(device.device)!;
    const viommu = new Viommu(context, { type, hwpt, instance, slice });
    try {
      context.objects.reserve(viommu);
    } catch (error) {
      slice.destroy?.();
      throw error;
    }
    hwpt.users++;
    return viommu;
  }

  get driver(): IommuDriver {
    return this.instance.driver;
  }

  /**
   * `iommufd_viommu_report_event`: the driver has something for the guest (since 6.15).
   *
   * @throws KernelError EINVAL no data; EOPNOTSUPP nobody reads events of this type; ENOMEM, and the event is lost
   */
  reportEvent(type: number, data: Uint8Array): void {
    if (data.length === 0) throw new KernelError('EINVAL', this.label, 'an event needs data');
    const queue = this.veventqs.get(type);
    if (queue === undefined) {
      throw new KernelError('EOPNOTSUPP', this.label, `has no queue for events of type ${type}`);
    }
    queue.report(data);
  }

  /** `iommufd_viommu_destroy`. */
  override destroy(): void {
    this.slice.destroy?.();
    this.hwpt.users--;
  }
}
