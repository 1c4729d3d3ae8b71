/**
 * The part of a group that changes domains. All members are always attached to one domain, and a change that one
 * of them refuses leaves all of them where they were (groups-core.md 4).
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { DeviceIommu } from './device-state.ts';
import { type Domain, DomainType } from './domain.ts';
import type { IommuDriver } from './driver.ts';
import { GroupMembers } from './group-members.ts';

export abstract class GroupDomains extends GroupMembers {
  #default: Domain | undefined;
  #blocking: Domain | undefined;
  #current: Domain | undefined;
  /** Cookie of whoever claimed the group's DMA; `users` counts drivers then claims, never both. */
  protected owner: unknown;
  protected users = 0;

  /** `iommu_group_default_domain`: what the kernel's DMA API uses. */
  get defaultDomain(): Domain | undefined {
    return this.#default;
  }

  /** Lets no DMA through; exists from the first claim until the last device leaves. */
  get blockingDomain(): Domain | undefined {
    return this.#blocking;
  }

  /** What the members are attached to (`iommu_get_domain_for_dev`). */
  get domain(): Domain | undefined {
    return this.#current;
  }

  /**
   * `iommu_attach_group`.
   *
   * @throws KernelError EBUSY neither the default nor the blocking domain is attached, even if it is this very one;
   *   EINVAL no members, the first has no IOMMU, or the domain is of another driver; else a driver's refusal, and
   *   then nothing has changed
   */
  attachDomain(domain: Domain): void {
    this.alive('attaching a domain');
    using _ = this.lock.hold('iommu_attach_group');
    this.attachLocked(domain);
  }

  /** `__iommu_attach_group`. */
  protected attachLocked(domain: Domain): void {
    const current = this.#current;
    if (current !== undefined && current !== this.#default && current !== this.#blocking) {
      throw new KernelError('EBUSY', this.describe(), `is attached to ${current.label}`, 'detach that first');
    }
    this.assertOwned(domain);
    this.setDomain(domain);
  }

  /** @throws KernelError EINVAL no members, the first has no IOMMU, or the domain is of another driver */
  protected assertOwned(domain: Domain): void {
    const { driver, device } = this.firstDriver();
    if (driver !== domain.owner) {
      throw new KernelError(
        'EINVAL',
        this.describe(),
        `${domain.label} was made by ${domain.owner?.name ?? 'no driver'}, ${device.name} is behind ${driver.name}`,
      );
    }
  }

  /**
   * `iommu_detach_group`: back to the core's domain. Which domain is being detached does not matter, as in the
   * kernel; a driver that refuses is a warning.
   */
  detachDomain(): void {
    this.alive('detaching a domain');
    using _ = this.lock.hold('iommu_detach_group');
    this.setCoreDomain();
  }

  /**
   * `iommu_group_replace_domain`: straight from one domain to another, without blocking in between.
   *
   * @throws KernelError EINVAL no domain given; else a driver's refusal, and then nothing has changed
   */
  replaceDomain(domain: Domain | undefined): void {
    this.alive('replacing its domain');
    if (domain === undefined) throw new KernelError('EINVAL', this.describe(), 'no domain to replace with');
    using _ = this.lock.hold('iommu_group_replace_domain');
    this.setDomain(domain);
  }

  /** `__iommu_group_set_core_domain`: blocking while somebody owns the group, else the default. */
  protected setCoreDomain(): void {
    this.setDomainNoFail(this.owner === undefined ? this.#default : this.#blocking);
  }

  /**
   * `__iommu_group_set_domain_internal`.
   *
   * @param mustSucceed go on after a refusal: what refuses is blocked if it can be, and the group counts as
   *   attached all the same. The last refusal is thrown at the end.
   */
  protected setDomain(domain: Domain, mustSucceed = false): void {
    this.lock.assertHeld('changing the domain');
    if (this.#current === domain) return;
    const tried: Device[] = [];
    const refusals: unknown[] = [];
    for (const device of this.members.keys()) {
      tried.push(device);
      try {
        this.setDeviceDomain(device, domain, mustSucceed);
      } catch (error) {
        if (!mustSucceed) {
          this.#revert(tried);
          throw error;
        }
        refusals.push(error);
      }
    }
    this.#current = domain;
    if (refusals.length > 0) throw refusals.at(-1);
  }

  /** `__iommu_group_set_domain_nofail`. */
  protected setDomainNoFail(domain: Domain | undefined): void {
    if (domain === undefined) {
      if (this.#current !== undefined) this.warn('has no default domain to go back to');
      return;
    }
    this.#warnOnly(() => this.setDomain(domain, true));
  }

  /**
   * `__iommu_device_set_domain`.
   *
   * @throws KernelError EINVAL blocking a device that needs a 1:1 mapping, or one without an IOMMU; ENODEV the
   *   domain cannot be attached at all; else the driver's refusal
   */
  protected setDeviceDomain(device: Device, domain: Domain, mustSucceed: boolean): void {
    const state = this.stateOf(device);
    if (state.instance === undefined) {
      throw new KernelError('EINVAL', device.name, 'has no IOMMU, so no domain can be attached');
    }
    if (state.requireDirect && (domain.type === DomainType.Blocked || domain === this.#blocking)) {
      const problem = 'firmware wants memory mapped 1:1 for it, so its DMA cannot be blocked';
      this.context.messages.warn(device.name, problem);
      throw new KernelError('EINVAL', device.name, problem, 'only new firmware without that region helps');
    }
    if (state.attachDeferred) {
      if (domain === this.#default) return;
      state.attachDeferred = false;
    }
    try {
      attachDevice(domain, device, state);
    } catch (error) {
      const blocking = this.#blocking;
      if (mustSucceed && blocking !== undefined && blocking !== domain) {
        this.#warnOnly(() => attachDevice(blocking, device, state));
      }
      throw error;
    }
  }

  /**
   * The driver that speaks for the group: that of its first device.
   *
   * @throws KernelError EINVAL no devices, or the first has no IOMMU
   */
  protected firstDriver(): { device: Device; driver: IommuDriver } {
    const device = this.firstDevice;
    if (device === undefined) throw new KernelError('EINVAL', this.describe(), 'has no devices');
    const driver = this.stateOf(device).instance?.driver;
    if (driver === undefined) throw new KernelError('EINVAL', this.describe(), `${device.name} has no IOMMU`);
    return { device, driver };
  }

  protected stateOf(device: Device): DeviceIommu {
    return this.context.states.of(device);
  }

  protected warn(text: string): void {
    this.context.messages.warn(this.describe(), text);
  }

  /** Only where the default domain is chosen. */
  protected setDefault(domain: Domain | undefined): void {
    this.#default = domain;
  }

  /** Only where ownership is taken. */
  protected setBlocking(domain: Domain): void {
    this.#blocking = domain;
  }

  /** `iommu_deinit_device` for the last device. */
  protected freeDomains(): void {
    this.#default?.free();
    this.#blocking?.free();
    this.#default = undefined;
    this.#blocking = undefined;
    this.#current = undefined;
  }

  /** Back to the domain before; none before the first, and then the caller lets go of the devices. */
  #revert(devices: Device[]): void {
    const before = this.#current;
    if (before === undefined) return;
    for (const device of devices) this.#warnOnly(() => this.setDeviceDomain(device, before, true));
  }

  /** Where the kernel says WARN_ON: a driver refused what it may not refuse. */
  #warnOnly(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.warn(`a driver refused what must succeed: ${error.message}`);
    }
  }
}

/** `__iommu_attach_device`. */
export function attachDevice(domain: Domain, device: Device, state: DeviceIommu): void {
  if (domain.ops.attachDev === undefined) {
    throw new KernelError('ENODEV', domain.label, `its driver cannot attach ${device.name}`);
  }
  domain.ops.attachDev(domain, device);
  state.attachDeferred = false;
}
