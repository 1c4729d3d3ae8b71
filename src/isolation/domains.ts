/** The part of the isolation core that attaches groups to domains. Either every device is attached, or none. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { IsolationDomain } from './domain.ts';
import type { IsolationGroup } from './group.ts';
import type { IsolationManager } from './manager.ts';
import type { IsolationIommuOps } from './provider.ts';
import { IsolationState } from './state.ts';

export abstract class IsolationDomains extends IsolationState {
  /**
   * `isolation_group_set_iommu_ops`: who translates the group's DMA, said once.
   *
   * @throws KernelError EBUSY it was said before
   */
  setIommuOps(group: IsolationGroup, ops: IsolationIommuOps): void {
    this.assertLive(group, 'setting its IOMMU operations');
    if (group.ops !== undefined) {
      throw new KernelError(
        'EBUSY',
        group.describe(),
        `has the IOMMU operations of ${group.ops.name} already`,
      );
    }
    group.ops = ops;
  }

  /**
   * `isolation_group_init_iommu_domain`: a domain of its own, with every device attached in list order. A manager
   * has one domain: its other groups are attached too, or if one of them has a domain, that is this group's as well.
   *
   * @throws KernelError EINVAL no operations or no devices; EBUSY it has a domain; ENOMEM; EIO a group of the same
   *   manager has other operations; else the driver's refusal. Nothing is attached and no domain left then
   */
  initIommuDomain(group: IsolationGroup): void {
    this.assertLive(group, 'initialising its domain');
    using _ = this.lock.hold(`initialising the domain of ${group.describe()}`);
    const { ops } = group;
    const [first] = group.devices;
    if (ops === undefined || first === undefined) {
      const problem = ops === undefined ? 'has no IOMMU operations' : 'has no devices';
      throw new KernelError('EINVAL', group.describe(), `${problem}, so it can have no domain`);
    }
    if (group.domain !== undefined) throw new KernelError('EBUSY', group.describe(), 'has a domain already');
    const siblings = [...(group.manager?.groups ?? [group])];
    const shared = siblings.find((sibling) => sibling.domain !== undefined)?.domain;
    if (shared !== undefined) {
      this.attachGroups(shared, [group]);
      return;
    }
    this.step('domain');
    const domain = new IsolationDomain(ops, ops.domainInit(first));
    try {
      this.attachGroups(domain, siblings);
    } catch (error) {
      ops.domainDestroy(domain.handle);
      throw error;
    }
  }

  /**
   * `isolation_group_free_iommu_domain`: its devices are detached; the last group takes the domain with it, and so
   * does its owner's last group, since those that are left must not keep the owner's mappings.
   */
  freeIommuDomain(group: IsolationGroup): void {
    this.assertLive(group, 'freeing its domain');
    using _ = this.lock.hold(`freeing the domain of ${group.describe()}`);
    this.leaveDomain(group);
  }

  /**
   * `isolation_group_iommu_domain_add_group`: `joining` uses the domain of `holder` from now on.
   *
   * @throws KernelError EINVAL `holder` has no domain, `joining` has one or is empty; EBUSY the domain is another
   *   manager's than that of `joining`, or that one has another domain; EIO their operations differ; else the
   *   driver's refusal, and then no device of `joining` is attached
   */
  iommuDomainAddGroup(holder: IsolationGroup, joining: IsolationGroup): void {
    this.assertLive(holder, 'sharing its domain');
    this.assertLive(joining, `joining the domain of ${holder.describe()}`);
    using _ = this.lock.hold(`adding ${joining.describe()} to a domain`);
    if (holder.domain === undefined)
      throw new KernelError('EINVAL', holder.describe(), 'has no domain to share');
    if (joining.domain !== undefined)
      throw new KernelError('EINVAL', joining.describe(), 'has a domain already');
    if (joining.size === 0) throw new KernelError('EINVAL', joining.describe(), 'has no devices');
    this.#assertManagersDomain(holder.domain, joining);
    this.attachGroups(holder.domain, [joining]);
  }

  /**
   * All devices of all groups, or none.
   *
   * @throws KernelError EIO a group's operations are not the domain's; else the driver's refusal
   */
  protected attachGroups(domain: IsolationDomain, groups: readonly IsolationGroup[]): void {
    const { ops, handle } = domain;
    const attached: Device[] = [];
    try {
      for (const group of groups) {
        if (group.ops !== ops) {
          const own =
            group.ops === undefined ? 'no IOMMU operations' : `the IOMMU operations of ${group.ops.name}`;
          throw new KernelError('EIO', group.describe(), `has ${own}, the domain has those of ${ops.name}`);
        }
        for (const device of group.devices) {
          ops.attachDev(handle, device);
          attached.push(device);
        }
      }
    } catch (error) {
      for (const device of attached.reverse()) ops.detachDev(handle, device);
      throw error;
    }
    for (const group of groups) {
      group.domain = domain;
      domain.groups.add(group);
    }
  }

  /** Nothing without a domain. Before the group is anybody else's, or nobody's. */
  protected leaveDomain(group: IsolationGroup): void {
    const { domain } = group;
    if (domain === undefined) return;
    const { owner } = domain;
    this.#detachGroup(domain, group);
    if (owner !== undefined && domain.owner === undefined) {
      for (const sharer of [...domain.groups]) this.#detachGroup(domain, sharer);
    }
    if (domain.groups.size === 0) domain.ops.domainDestroy(domain.handle);
  }

  /**
   * A domain's groups have one owner, or none.
   *
   * @throws KernelError EBUSY `manager` would be the second
   */
  protected assertOneOwner(
    { owner }: IsolationDomain,
    group: IsolationGroup,
    manager: IsolationManager,
    how: string,
  ): void {
    if (owner === undefined || owner === manager) return;
    throw new KernelError(
      'EBUSY',
      group.describe(),
      `is ${how} by ${manager.name}, and the domain is that of ${owner.name}`,
    );
  }

  /** @throws KernelError EBUSY the group's manager, if it has one, cannot have it in that domain */
  #assertManagersDomain(domain: IsolationDomain, group: IsolationGroup): void {
    const { manager } = group;
    if (manager === undefined) return;
    this.assertOneOwner(domain, group, manager, 'managed');
    for (const { domain: its } of manager.groups) {
      if (its === undefined || its === domain) continue;
      throw new KernelError(
        'EBUSY',
        group.describe(),
        `is managed by ${manager.name}, which has another domain`,
      );
    }
  }

  #detachGroup(domain: IsolationDomain, group: IsolationGroup): void {
    for (const device of group.devices) domain.ops.detachDev(domain.handle, device);
    group.domain = undefined;
    domain.groups.delete(group);
  }
}
