/** The calls of the 2012 proposal (include/linux/isolation.h), the same whether the kernel was built with it or not. */

import type { Bus } from '../device/bus.ts';
import type { Device } from '../device/device.ts';
import type { Driver } from '../device/driver.ts';
import type { IsolationGroup } from './group.ts';
import type { IsolationManager } from './manager.ts';
import type { IsolationIommuOps, IsolationProvider } from './provider.ts';

/** 0 of the kernel is a return, an errno a `KernelError`. */
export interface IsolationInterface {
  createGroup(provider: IsolationProvider, name?: string): IsolationGroup | undefined;
  freeGroup(group: IsolationGroup): void;
  addDev(group: IsolationGroup, device: Device): void;
  delDev(device: Device): void;
  registerNotifier(bus: Bus, provider: IsolationProvider): void;
  unregisterNotifier(bus: Bus, provider: IsolationProvider): void;
  setIommuOps(group: IsolationGroup, ops: IsolationIommuOps): void;
  initIommuDomain(group: IsolationGroup): void;
  freeIommuDomain(group: IsolationGroup): void;
  iommuDomainAddGroup(holder: IsolationGroup, joining: IsolationGroup): void;
  managed(group: IsolationGroup): boolean;
  initManager(group: IsolationGroup, manager: IsolationManager): void;
  freeManager(group: IsolationGroup): void;
  managerAddDriver(group: IsolationGroup, driver: Driver): void;
  managerDelDriver(group: IsolationGroup, driver: Driver): void;
  managerDriver(group: IsolationGroup, driver: Driver): boolean;
  managerLocked(group: IsolationGroup): boolean;
}
