/** What a group needs of the subsystem it lives in. */

import type { Device } from '../device/device.ts';
import type { Ida } from '../kernel/ida.ts';
import type { Kobject } from '../kernel/kobject.ts';
import type { NotifierChain } from '../kernel/notifier.ts';
import type { ReferenceTracker } from '../kernel/reference.ts';
import type { DeviceIommu, DeviceStates } from './device-state.ts';
import type { DomainType } from './domain.ts';
import type { Group } from './group.ts';
import type { GroupEvent } from './group-events.ts';
import type { Messages } from './messages.ts';

export type PosixCapability = 'CAP_SYS_ADMIN' | 'CAP_SYS_RAWIO';

export interface GroupContext {
  readonly ids: Ida;
  /** /kernel/iommu_groups */
  readonly groupsDir: Kobject;
  readonly groups: Map<number, Group>;
  readonly states: DeviceStates;
  /** Hears of all groups what the listeners of each hear of theirs. */
  readonly groupNotifier: NotifierChain<GroupEvent>;
  readonly messages: Messages;
  readonly tracker: ReferenceTracker | undefined;
  /** `iommu_def_domain_type`. */
  readonly defaultType: DomainType;
  /** `iommu_device_unlink`: a device is about to be forgotten by its IOMMU. */
  unlinkInstance(device: Device, state: DeviceIommu): void;
  /** `pdev->untrusted`. */
  untrusted(device: Device): boolean;
  /** `capable`, of whoever writes to a group's files. */
  capable(capability: PosixCapability): boolean;
}
