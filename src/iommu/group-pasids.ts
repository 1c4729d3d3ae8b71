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

export abstract class GroupPasids extends GroupDefault {
  /** Attachments by PASID; `undefined` holds the place of an attachment made without a handle. */
  #pasids: Map<number, AttachHandle | undefined> | undefined;

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
    this.#insert(NO_PASID, handle);
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
   * @throws KernelError EINVAL no domain given; else a driver's refusal, and then nothing has changed
   */
  replaceDomainHandle(domain: Domain | undefined, handle: AttachHandle | undefined): void {
    this.alive('replacing its domain');
    if (domain === undefined) throw new KernelError('EINVAL', this.describe(), 'no domain to replace with');
    using _ = this.lock.hold('iommu_replace_group_handle');
    if (handle) handle.domain = domain;
    this.setDomain(domain);
    if (handle) this.#table().set(NO_PASID, handle);
    else this.#pasids?.delete(NO_PASID);
  }

  /**
   * `iommu_attach_handle_get`.
   *
   * @param type the domain type wanted; absent: any
   * @throws KernelError ENOENT no handle there, EBUSY it is of a domain of another type
   */
  attachHandleGet(pasid: number, type?: DomainType): AttachHandle {
    const handle = this.#pasids?.get(pasid);
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
    const setDevPasid = domain.ops.setDevPasid;
    if (setDevPasid === undefined) {
      throw new KernelError('EOPNOTSUPP', domain.label, 'cannot be attached to a PASID');
    }
    const driver = this.stateOf(device).instance?.driver;
    if (driver === undefined) throw new KernelError('EINVAL', device.name, 'has no IOMMU');
    if (driver !== domain.owner) {
      throw new KernelError('EINVAL', device.name, `is behind ${driver.name}, ${domain.label} is not`);
    }
    if (pasid === NO_PASID)
      throw new KernelError('EINVAL', device.name, 'PASID 0 is the DMA without a PASID');

    using _ = this.lock.hold('iommu_attach_device_pasid');
    const capable = this.#pasidCapable();
    for (const member of capable) {
      const { maxPasids } = this.stateOf(member);
      if (pasid >= maxPasids) {
        throw new KernelError('EINVAL', member.name, `PASID ${pasid} is beyond the ${maxPasids} it can use`);
      }
    }
    if (handle) handle.domain = domain;
    this.#insert(pasid, handle);

    const done: Device[] = [];
    try {
      for (const member of capable) {
        setDevPasid.call(domain.ops, domain, member, pasid);
        done.push(member);
      }
    } catch (error) {
      this.#removePasid(done, pasid, domain);
      this.#pasids?.delete(pasid);
      throw error;
    }
  }

  /** `iommu_detach_device_pasid`. */
  detachPasid(domain: Domain, pasid: number): void {
    this.alive('detaching a PASID');
    using _ = this.lock.hold('iommu_detach_device_pasid');
    this.#removePasid(this.#pasidCapable(), pasid, domain);
    this.#pasids?.delete(pasid);
  }

  #pasidCapable(): Device[] {
    return this.devices.filter((device) => this.stateOf(device).maxPasids > 0);
  }

  #removePasid(devices: Device[], pasid: number, domain: Domain): void {
    for (const device of devices)
      this.stateOf(device).instance?.driver.removeDevPasid?.(device, pasid, domain);
  }

  /** `xa_insert`. */
  #insert(pasid: number, handle: AttachHandle | undefined): void {
    if (this.#pasids?.has(pasid)) {
      throw new KernelError('EBUSY', this.describe(), `something is attached at PASID ${pasid} already`);
    }
    this.#table().set(pasid, handle);
  }

  /** Few groups ever have one. */
  #table(): Map<number, AttachHandle | undefined> {
    this.#pasids ??= new Map();
    return this.#pasids;
  }
}
