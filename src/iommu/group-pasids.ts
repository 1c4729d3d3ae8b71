/** The part of a group that keeps what is attached under which PASID, and the handles of its users. */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import type { Domain, DomainType } from './domain.ts';
import { GroupDefault } from './group-default.ts';

/** `IOMMU_NO_PASID`: DMA without a PASID has the place of PASID 0. */
export const NO_PASID = 0;

/** `struct iommu_attach_handle`: what a user wants back when asked about an attachment, e.g. for page faults. */
export interface AttachHandle {
  /** Set by the attaching call. */
  domain?: Domain;
}

/** `pasid_array`: an entry is a handle, or a domain attached without one. */
interface Attachment {
  domain: Domain;
  handle: AttachHandle | undefined;
}

export abstract class GroupPasids extends GroupDefault {
  #pasids: Map<number, Attachment> | undefined;

  /** Whether anything is attached under a PASID or with a handle (`!xa_empty`). */
  get hasPasids(): boolean {
    return this.#pasids !== undefined && this.#pasids.size > 0;
  }

  /**
   * `iommu_attach_group_handle`: as `attachDomain`, and `handle` is found by `attachHandleGet` from then on.
   *
   * @throws KernelError EBUSY another attachment has this place; else as `attachDomain`
   */
  attachDomainHandle(domain: Domain, handle: AttachHandle | undefined): void {
    this.alive('attaching a domain');
    if (handle) handle.domain = domain;
    using _ = this.lock.hold('iommu_attach_group_handle');
    this.#insert(NO_PASID, { domain, handle });
    try {
      this.attachLocked(domain);
    } catch (error) {
      this.#pasids?.delete(NO_PASID);
      throw error;
    }
  }

  /** `iommu_detach_group_handle`. */
  detachDomainHandle(): void {
    this.alive('detaching a domain');
    using _ = this.lock.hold('iommu_detach_group_handle');
    this.setCoreDomain();
    this.#pasids?.delete(NO_PASID);
  }

  /**
   * `iommu_replace_group_handle`.
   *
   * @param handle takes the place of the one before; none leaves the place empty
   * @throws KernelError EINVAL no domain given, or one of another driver; else a driver's refusal, and then nothing has
   *   changed
   */
  replaceDomainHandle(domain: Domain | undefined, handle: AttachHandle | undefined): void {
    this.alive('replacing its domain');
    if (domain === undefined) throw new KernelError('EINVAL', this.describe(), 'no domain to replace with');
    using _ = this.lock.hold('iommu_replace_group_handle');
    // The kernel leaves this to drivers, each of which would have to tell a stranger's domain from its own.
    this.assertOwned(domain);
    if (handle) handle.domain = domain;
    this.setDomain(domain);
    if (handle) this.#table().set(NO_PASID, { domain, handle });
    else this.#pasids?.delete(NO_PASID);
  }

  /**
   * `iommu_attach_handle_get`.
   *
   * @param type the domain type wanted; absent: any
   * @throws KernelError ENOENT no handle there, EBUSY it is of a domain of another type
   */
  attachHandleGet(pasid: number, type?: DomainType): AttachHandle {
    const handle = this.attachHandle(pasid);
    if (handle === undefined) throw new KernelError('ENOENT', this.describe(), `no handle at PASID ${pasid}`);
    // Type 0 means any to the kernel, so a handle can never be asked for as BLOCKED.
    if (type && handle.domain?.type !== type) {
      throw new KernelError(
        'EBUSY',
        this.describe(),
        `PASID ${pasid} is attached to ${handle.domain?.label}`,
      );
    }
    return handle;
  }

  /** The handle at `pasid`, whatever its domain; none where nothing is attached or without one. */
  attachHandle(pasid: number): AttachHandle | undefined {
    return this.#pasids?.get(pasid)?.handle;
  }

  /**
   * `iommu_attach_device_pasid`: DMA of the group marked with `pasid` goes through `domain`. Members that cannot
   * mark their DMA are left out.
   *
   * @throws KernelError EOPNOTSUPP the domain cannot be attached so; EINVAL the device has no IOMMU, the domain is
   *   another driver's, or `pasid` is 0 or beyond a member's; EBUSY `pasid` is taken; else a driver's refusal, and
   *   then nothing has changed
   */
  attachPasid(domain: Domain, device: Device, pasid: number, handle?: AttachHandle): void {
    this.alive('attaching a PASID');
    this.#assertPasidDomain(domain, device, pasid);
    using _ = this.lock.hold('iommu_attach_device_pasid');
    const capable = this.#pasidCapable(pasid);
    if (handle) handle.domain = domain;
    this.#insert(pasid, { domain, handle });
    try {
      this.#setPasid(capable, domain, pasid);
    } catch (error) {
      this.#pasids?.delete(pasid);
      throw error;
    }
  }

  /**
   * `iommu_replace_device_pasid`: straight from the domain attached at `pasid` to another (since 6.15).
   *
   * @throws KernelError EINVAL nothing is attached at `pasid`, or `handle` is the one attached; else as `attachPasid`,
   *   and then nothing has changed
   */
  replacePasid(domain: Domain, device: Device, pasid: number, handle: AttachHandle): void {
    this.alive('replacing a PASID');
    this.#assertPasidDomain(domain, device, pasid);
    using _ = this.lock.hold('iommu_replace_device_pasid');
    const before = this.#pasids?.get(pasid);
    if (before === undefined) {
      throw new KernelError('EINVAL', this.describe(), `nothing is attached at PASID ${pasid}`);
    }
    if (before.handle === handle) {
      throw new KernelError('EINVAL', this.describe(), `the handle at PASID ${pasid} cannot replace itself`);
    }
    if (before.domain !== domain) this.#setPasid(this.#pasidCapable(pasid), domain, pasid, before.domain);
    handle.domain = domain;
    this.#table().set(pasid, { domain, handle });
  }

  /** `iommu_detach_device_pasid`. */
  detachPasid(domain: Domain, pasid: number): void {
    this.alive('detaching a PASID');
    using _ = this.lock.hold('iommu_detach_device_pasid');
    this.#removePasid(this.#pasidCapable(), pasid, domain);
    this.#pasids?.delete(pasid);
  }

  #assertPasidDomain(domain: Domain, device: Device, pasid: number): void {
    if (domain.ops.setDevPasid === undefined) {
      throw new KernelError('EOPNOTSUPP', domain.label, 'cannot be attached to a PASID');
    }
    const driver = this.stateOf(device).instance?.driver;
    if (driver === undefined) throw new KernelError('EINVAL', device.name, 'has no IOMMU');
    if (driver !== domain.owner) {
      throw new KernelError('EINVAL', device.name, `is behind ${driver.name}, ${domain.label} is not`);
    }
    if (pasid === NO_PASID)
      throw new KernelError('EINVAL', device.name, 'PASID 0 is the DMA without a PASID');
  }

  /** Members that can mark their DMA. @throws KernelError EINVAL `pasid` is beyond one of them */
  #pasidCapable(pasid = NO_PASID): Device[] {
    const capable = this.devices.filter((device) => this.stateOf(device).maxPasids > 0);
    for (const member of capable) {
      const { maxPasids } = this.stateOf(member);
      if (pasid >= maxPasids) {
        throw new KernelError('EINVAL', member.name, `PASID ${pasid} is beyond the ${maxPasids} it can use`);
      }
    }
    return capable;
  }

  /** `__iommu_set_group_pasid`: all of them, or none. */
  #setPasid(devices: Device[], domain: Domain, pasid: number, old?: Domain): void {
    const done: Device[] = [];
    try {
      for (const device of devices) {
        domain.ops.setDevPasid?.(domain, device, pasid, old);
        done.push(device);
      }
    } catch (error) {
      if (old === undefined) this.#removePasid(done, pasid, domain);
      else for (const device of done) this.#putBack(old, device, pasid, domain);
      throw error;
    }
  }

  /** A driver that was attached to `old` before must not refuse it now; where it does, the PASID is blocked. */
  #putBack(old: Domain, device: Device, pasid: number, failed: Domain): void {
    try {
      old.ops.setDevPasid?.(old, device, pasid, failed);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.warn(`a driver refused what must succeed: ${error.message}`);
      this.#removePasid([device], pasid, failed);
    }
  }

  #removePasid(devices: Device[], pasid: number, domain: Domain): void {
    for (const device of devices)
      this.stateOf(device).instance?.driver.removeDevPasid?.(device, pasid, domain);
  }

  /** `xa_insert`. */
  #insert(pasid: number, attachment: Attachment): void {
    if (this.#pasids?.has(pasid)) {
      throw new KernelError('EBUSY', this.describe(), `something is attached at PASID ${pasid} already`);
    }
    this.#table().set(pasid, attachment);
  }

  /** Few groups ever have one. */
  #table(): Map<number, Attachment> {
    this.#pasids ??= new Map();
    return this.#pasids;
  }
}
