/**
 * DMA as a device does it: addresses go through whatever the device's group is attached to at that moment, page by
 * page, and bytes are moved in the machine's memory, or nothing is and a fault says why.
 */

import type { Device } from '../device/device.ts';
import { KernelError } from '../kernel/errors.ts';
import { type DmaTranslation, type Domain, DomainFlag, DomainType } from './domain.ts';
import type { Group } from './group.ts';
import { NO_PASID } from './group-pasids.ts';
import type { Iommu } from './iommu.ts';
import type { PhysicalMemory } from './physical-memory.ts';

/**
 * - `no-iommu`: the DMA is marked with a PASID, and nothing there knows PASIDs
 * - `blocked`: the group is attached to a domain that lets nothing through, or to none
 * - `not-mapped`, `not-readable`, `not-writable`: what the page table says
 * - `no-memory`: it leads to a physical address where no memory is
 */
export type DmaFaultReason =
  | 'no-iommu'
  | 'blocked'
  | 'not-mapped'
  | 'not-readable'
  | 'not-writable'
  | 'no-memory';

const BECAUSE: Record<DmaFaultReason, string> = {
  'no-iommu': 'no IOMMU translates it, so its PASID means nothing',
  blocked: 'all its DMA is blocked',
  'not-mapped': 'nothing is mapped there',
  'not-readable': 'mapped write-only',
  'not-writable': 'mapped read-only',
  'no-memory': 'no memory is where that leads',
};

/** One access that came to nothing: `0000:01:00.0 may not write 0x1000: mapped read-only`. */
export class DmaFault extends Error {
  /** First address that could not be reached. */
  readonly iova: bigint;
  readonly write: boolean;
  readonly device: Device;
  /** 0 for DMA without a PASID. */
  readonly pasid: number;
  readonly reason: DmaFaultReason;

  constructor(device: Device, pasid: number, iova: bigint, write: boolean, reason: DmaFaultReason) {
    const marked = pasid === NO_PASID ? '' : ` with PASID ${pasid}`;
    super(
      `${device.name} may not ${write ? 'write' : 'read'} 0x${iova.toString(16)}${marked}: ${BECAUSE[reason]}`,
    );
    this.name = 'DmaFault';
    this.device = device;
    this.pasid = pasid;
    this.iova = iova;
    this.write = write;
    this.reason = reason;
  }
}

const PAGE = 4096n;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** One device as a source of DMA, with one PASID or without. */
export class DeviceDma {
  readonly device: Device;
  readonly pasid: number;
  /** Hears of every fault before it is thrown, as the IOMMU's fault log would. */
  onFault: ((fault: DmaFault) => void) | undefined;
  readonly #iommu: Iommu;
  readonly #physical: PhysicalMemory;

  constructor(iommu: Iommu, device: Device, physical: PhysicalMemory, pasid = NO_PASID) {
    this.#iommu = iommu;
    this.device = device;
    this.#physical = physical;
    this.pasid = pasid;
  }

  /**
   * @param length in bytes
   * @throws DmaFault at the first address that cannot be read
   */
  read(iova: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#move(iova, bytes, false);
    return bytes;
  }

  /** @throws DmaFault at the first address that cannot be written; pages before it are written, as by hardware */
  write(iova: bigint, bytes: Uint8Array): void {
    this.#move(iova, bytes, true);
  }

  #move(iova: bigint, bytes: Uint8Array, write: boolean): void {
    const domain = this.#domain(iova, write);
    for (let done = 0; done < bytes.length; ) {
      const at = iova + BigInt(done);
      const paddr = at > LAST_ADDRESS ? 'not-mapped' : this.#translate(domain, at, write);
      if (typeof paddr === 'string') throw this.#fault(at, write, paddr);
      const toPageEnd = Number(PAGE - (at % PAGE));
      const beyond = paddr.last - at + 1n;
      const here = Math.min(bytes.length - done, toPageEnd, beyond < PAGE ? Number(beyond) : toPageEnd);
      this.#access(paddr.paddr, bytes.subarray(done, done + here), at, write);
      done += here;
    }
  }

  #access(paddr: bigint, bytes: Uint8Array, iova: bigint, write: boolean): void {
    try {
      if (write) this.#physical.write(paddr, bytes);
      else this.#physical.read(paddr, bytes);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'EFAULT')
        throw this.#fault(iova, write, 'no-memory');
      throw error;
    }
  }

  /** What the device is attached to; `undefined` where no IOMMU stands between it and memory. */
  #domain(iova: bigint, write: boolean): Domain | undefined {
    const state = this.#iommu.states.find(this.device);
    const group = state?.group;
    if (group === undefined || state?.instance === undefined) {
      if (this.pasid !== NO_PASID) throw this.#fault(iova, write, 'no-iommu');
      return undefined;
    }
    const domain = this.pasid === NO_PASID ? group.domain : this.#pasidDomain(group);
    if (domain === undefined) throw this.#fault(iova, write, 'blocked');
    return domain;
  }

  #pasidDomain(group: Group): Domain | undefined {
    try {
      return group.attachHandleGet(this.pasid).domain;
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #translate(domain: Domain | undefined, iova: bigint, write: boolean): DmaTranslation | DmaFaultReason {
    if (domain === undefined || domain.type === DomainType.Identity)
      return { paddr: iova, last: LAST_ADDRESS };
    if (domain.ops.translateDma) return domain.ops.translateDma(domain, iova, write, this.#physical);
    if ((domain.type & DomainFlag.Paging) === 0 || domain.pageTable === undefined) return 'blocked';
    return domain.pageTable.access(iova, write);
  }

  #fault(iova: bigint, write: boolean, reason: DmaFaultReason): DmaFault {
    const fault = new DmaFault(this.device, this.pasid, iova, write, reason);
    this.onFault?.(fault);
    return fault;
  }
}
