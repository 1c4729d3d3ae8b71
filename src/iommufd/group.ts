/**
 * What iommufd keeps beside an IOMMU group (`struct iommufd_group`): which page table its devices are attached to and
 * which of them are. All devices of the group that are bound in a context share one; it goes with the last of them.
 */

import type { Device } from '../device/device.ts';
import type { Group } from '../iommu/group.ts';
import { NO_PASID } from '../iommu/group-pasids.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Context } from './context.ts';
import type { IommufdDevice } from './device.ts';
import type { Hwpt } from './hwpt.ts';

/** `struct iommufd_attach`: what is attached at one PASID of the group, and for which of its devices. */
export interface GroupAttachment {
  hwpt: Hwpt;
  /** In the order they were attached; never empty. */
  readonly devices: Set<IommufdDevice>;
  /** The device whose page requests were switched on for it: the one the hardware was attached for. */
  asks: IommufdDevice | undefined;
}

const NOBODY: ReadonlySet<IommufdDevice> = new Set();

export class IommufdGroup {
  readonly context: Context;
  readonly group: Group;
  /** `pasid_attach`; DMA without a PASID has the place of PASID 0. */
  readonly attachments = new Map<number, GroupAttachment>();
  /**
   * `sw_msi_start`: where a device of the group wants its interrupt messages mapped. Global to the group, since its
   * devices share one page table.
   */
  swMsiStart: bigint | undefined;
  /** Devices bound (`ref`). */
  #references = 1;

  private constructor(context: Context, group: Group) {
    this.context = context;
    this.group = group;
  }

  /**
   * `iommufd_get_group`: the one for the device's group, made for the first.
   *
   * @throws KernelError ENODEV the device is in no group; ENOMEM
   */
  static get(context: Context, device: Device): IommufdGroup {
    const { iommu, faults } = context.iommufd;
    const group = iommu.groupGet(device);
    if (group === undefined) {
      throw new KernelError(
        'ENODEV',
        device.name,
        'is in no IOMMU group',
        'only what an IOMMU translates can be bound',
      );
    }
    const found = context.groups.get(group);
    if (found !== undefined) {
      group.put();
      found.#references++;
      return found;
    }
    try {
      faults.step('iommufd group');
    } catch (error) {
      group.put();
      throw error;
    }
    const made = new IommufdGroup(context, group);
    context.groups.set(group, made);
    return made;
  }

  /** `iommufd_put_group`. */
  put(): void {
    if (--this.#references > 0) return;
    this.context.groups.delete(this.group);
    this.group.put();
  }

  /** Devices of the group that are bound. */
  get references(): number {
    return this.#references;
  }

  /** What the group's DMA goes through; none while no device is attached. */
  get hwpt(): Hwpt | undefined {
    return this.attachments.get(NO_PASID)?.hwpt;
  }

  /** `device_list`: attached devices, in the order they were attached. */
  get devices(): ReadonlySet<IommufdDevice> {
    return this.attachments.get(NO_PASID)?.devices ?? NOBODY;
  }

  get label(): string {
    return this.group.describe();
  }
}
