/** The interface of a kernel built without isolation groups: the same functions, and nothing behind them. */

import { KernelError } from '../kernel/errors.ts';
import type { IsolationInterface } from './interface.ts';

function noSupport(): never {
  throw new KernelError('ENOSYS', 'isolation groups', 'this kernel is built without them');
}

/** A provider written for `Isolation` runs against this unchanged; a manager learns at once that there is nothing. */
export class DisabledIsolation implements IsolationInterface {
  /** `isolation_create_group`: nothing. */
  createGroup(): undefined {}

  /** `isolation_free_group`: 0. */
  freeGroup(): void {}

  /** `isolation_group_add_dev`: 0. */
  addDev(): void {}

  /** `isolation_group_del_dev`: 0, in a group or not. */
  delDev(): void {}

  /** `isolation_register_notifier`: 0; nothing is replayed or delivered. */
  registerNotifier(): void {}

  /** `isolation_unregister_notifier`: 0, registered or not. */
  unregisterNotifier(): void {}

  /** `isolation_group_set_iommu_ops`: ENOSYS. */
  setIommuOps(): void {
    noSupport();
  }

  /** `isolation_group_init_iommu_domain`: ENOSYS. */
  initIommuDomain(): void {
    noSupport();
  }

  /** `isolation_group_free_iommu_domain`: nothing. */
  freeIommuDomain(): void {}

  /** `isolation_group_iommu_domain_add_group`: ENOSYS. */
  iommuDomainAddGroup(): void {
    noSupport();
  }

  /** `isolation_group_managed`: false. */
  managed(): boolean {
    return false;
  }

  /** `isolation_group_init_manager`: ENOSYS. */
  initManager(): void {
    noSupport();
  }

  /** `isolation_group_free_manager`: nothing. */
  freeManager(): void {}

  /** `isolation_group_manager_add_driver`: ENOSYS. */
  managerAddDriver(): void {
    noSupport();
  }

  /** `isolation_group_manager_del_driver`: nothing. */
  managerDelDriver(): void {}

  /** `isolation_group_manager_driver`: false. */
  managerDriver(): boolean {
    return false;
  }

  /** `isolation_group_manager_locked`: false. */
  managerLocked(): boolean {
    return false;
  }
}
