/** A domain that groups share: what the IOMMU made, and who uses it. */

import type { IsolationGroup } from './group.ts';
import type { IsolationManager } from './manager.ts';
import type { IsolationIommuOps } from './provider.ts';

export class IsolationDomain {
  readonly ops: IsolationIommuOps;
  /** What `domainInit` answered. */
  readonly handle: unknown;
  /** In the order they joined; with the last one the domain goes. Only the isolation core changes it. */
  readonly groups = new Set<IsolationGroup>();

  constructor(ops: IsolationIommuOps, handle: unknown) {
    this.ops = ops;
    this.handle = handle;
  }

  /** Who has groups in it: one instance, or nobody. Its other groups are nobody's, and only this owner may take them. */
  get owner(): IsolationManager | undefined {
    for (const { manager } of this.groups) if (manager) return manager;
    return undefined;
  }
}
