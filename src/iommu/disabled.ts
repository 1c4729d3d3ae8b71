/** The interface of a kernel built without IOMMU support: the same functions, and nothing behind them. */

import { KernelError } from '../kernel/errors.ts';
import type { Group } from './group.ts';
import type { GroupInterface } from './legacy.ts';

function noSupport(): never {
  throw new KernelError('ENODEV', 'IOMMU groups', 'this kernel is built without IOMMU support');
}

/** Code written for `LegacyGroups` runs against this unchanged; where a group is needed it gets ENODEV. */
export class DisabledGroups implements GroupInterface {
  /** `iommu_group_alloc`: ENODEV. */
  groupAlloc(): Group {
    return noSupport();
  }

  /** `iommu_group_get`: no device has a group. */
  groupGet(): undefined {}

  /** `iommu_group_put`: nothing to give back. */
  groupPut(): void {}

  /** `iommu_group_id`: ENODEV. */
  groupId(): number {
    return noSupport();
  }

  /** `iommu_group_set_name`: ENODEV. */
  groupSetName(): void {
    noSupport();
  }

  /** `iommu_group_get_iommudata`: nothing is kept. */
  groupGetIommudata(): undefined {}

  /** `iommu_group_set_iommudata`: forgotten at once, its release never called. */
  groupSetIommudata(): void {}

  /** `iommu_group_add_device`: ENODEV. */
  groupAddDevice(): void {
    noSupport();
  }

  /** `iommu_group_remove_device`: nothing. */
  groupRemoveDevice(): void {}

  /** `iommu_group_for_each_dev`: ENODEV. */
  groupForEachDevice(): number {
    return noSupport();
  }

  /** `iommu_group_register_notifier`: ENODEV. */
  groupRegisterNotifier(): void {
    noSupport();
  }

  /** `iommu_group_unregister_notifier`: 0, whatever the callback. */
  groupUnregisterNotifier(): number {
    return 0;
  }

  /** `iommu_attach_group`: ENODEV. */
  attachGroup(): void {
    noSupport();
  }

  /** `iommu_detach_group`: nothing. */
  detachGroup(): void {}
}
