/**
 * Domains of isolation groups on a machine with an IOMMU subsystem. Isolation groups attach device by device, the
 * subsystem attaches whole IOMMU groups and wants them owned first: this keeps account between the two.
 */

import type { Device } from '../device/device.ts';
import type { Domain } from '../iommu/domain.ts';
import type { Group } from '../iommu/group.ts';
import type { Iommu } from '../iommu/iommu.ts';
import { KernelError } from '../kernel/errors.ts';
import type { IsolationIommuOps } from './provider.ts';

/** An IOMMU group in a domain, and which of its devices have been attached. */
interface Attached {
  domain: Domain;
  devices: Set<Device>;
}

/** For all groups behind one IOMMU driver. */
export class IommuGroupOps implements IsolationIommuOps<Domain> {
  readonly name: string;
  readonly #iommu: Iommu;
  readonly #attached = new Map<Group, Attached>();

  constructor(iommu: Iommu, name: string) {
    this.#iommu = iommu;
    this.name = name;
  }

  /** @throws KernelError ENODEV no IOMMU; else the driver's refusal */
  domainInit(device: Device): Domain {
    return this.#iommu.pagingDomainAlloc(device);
  }

  domainDestroy(domain: Domain): void {
    domain.free();
  }

  /**
   * With the first device of an IOMMU group its DMA is claimed and all of it attached. A device without one does no
   * DMA of its own, or in the name of the device above it.
   *
   * @throws KernelError EPERM a driver of the host uses the group's DMA; EBUSY it is in another domain; else the
   *   driver's refusal
   */
  attachDev(domain: Domain, device: Device): void {
    const group = this.#iommu.groupOf(device);
    if (group === undefined) return;
    const attached = this.#attached.get(group);
    if (attached === undefined) {
      this.#claim(domain, group);
      this.#attached.set(group, { domain, devices: new Set([device]) });
    } else if (attached.domain === domain) {
      attached.devices.add(device);
    } else {
      throw new KernelError(
        'EBUSY',
        device.name,
        `${group.describe()} is in the domain of another isolation group`,
      );
    }
  }

  /** With the last device of an IOMMU group it is the host's again. */
  detachDev(domain: Domain, device: Device): void {
    const group = this.#iommu.groupOf(device);
    const attached = group && this.#attached.get(group);
    if (group === undefined || attached?.domain !== domain) return;
    attached.devices.delete(device);
    if (attached.devices.size > 0) return;
    this.#attached.delete(group);
    group.detachDomain();
    group.releaseDmaOwner();
  }

  #claim(domain: Domain, group: Group): void {
    group.claimDmaOwner(domain);
    try {
      group.attachDomain(domain);
    } catch (error) {
      group.releaseDmaOwner();
      throw error;
    }
  }
}
