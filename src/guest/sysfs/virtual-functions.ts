/** Switching virtual functions on and off, as writing `sriov_numvfs` does (drivers/pci/iov.c). */

import { KernelError } from '../../kernel/errors.ts';
import type { Machine } from '../../machine/machine.ts';
import { formatAddress } from '../../pci/address.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { SriovFacts } from '../../pci/facts.ts';
import type { ConfigRegisters } from './config-registers.ts';
import type { FactsByAddress } from './facts-by-address.ts';
import { virtualFunctionFacts } from './virtual-function-facts.ts';

export interface VirtualFunctionsInit {
  machine: Machine;
  facts: FactsByAddress;
  registers: ConfigRegisters;
  /** `pci_sriov_get_totalvfs`: drivers can limit what the capability offers. */
  totalOf(device: PciDevice, offered: number): number;
  /** Whether a driver has `sriov_configure`. */
  configures(driver: string): boolean;
}

export class VirtualFunctions {
  readonly #init: VirtualFunctionsInit;

  constructor(init: VirtualFunctionsInit) {
    this.#init = init;
  }

  /** `num_VFs`. */
  countOf(device: PciDevice): number {
    const { sriov } = device.facts;
    return sriov?.enabled === true ? sriov.numVfs : 0;
  }

  /** Those that are there, with their numbers. */
  *of(device: PciDevice): Generator<[index: number, function_: PciDevice]> {
    const { sriov } = device.facts;
    if (!sriov || device.isVirtual) return;
    for (let index = 0; index < this.countOf(device); index++) {
      const found = this.at(device, sriov, index);
      if (found !== undefined) yield [index, found];
      else if (sriov.stride === 0) return;
    }
  }

  /** Virtual function `index`, if it is there. */
  at(device: PciDevice, sriov: SriovFacts, index: number): PciDevice | undefined {
    const found = this.#init.machine.pci.find(addressOf(device, sriov, index));
    return found?.physfn === device ? found : undefined;
  }

  /**
   * `sriov_numvfs_store`.
   *
   * @throws KernelError ERANGE more than there can be; ENOENT no driver, or one that cannot do it; EBUSY some are on
   *   already; EIO, ENOMEM the capability makes no sense or their buses are not led to, and then nothing has changed
   */
  configure(device: PciDevice, count: number): void {
    const sriov = this.#capability(device);
    const total = this.#init.totalOf(device, sriov.totalVfs);
    if (count > total) {
      throw new KernelError('ERANGE', device.name, `can have ${total} virtual functions, not ${count}`);
    }
    const now = this.countOf(device);
    if (count === now) return;
    const { driver } = device;
    if (driver === undefined) {
      throw new KernelError(
        'ENOENT',
        device.name,
        'has no driver to switch virtual functions on',
        'bind one first',
      );
    }
    if (!this.#init.configures(driver.name)) {
      throw new KernelError('ENOENT', device.name, `${driver.name} does not configure SR-IOV`);
    }
    if (count === 0) this.disable(device);
    else if (now > 0) {
      throw new KernelError('EBUSY', device.name, `${now} virtual functions are on`, 'write 0 first');
    } else this.#enable(device, sriov, count);
  }

  /** `pci_disable_sriov`: nothing happens where none is on. */
  disable(device: PciDevice): void {
    const { sriov } = device.facts;
    if (!sriov || this.countOf(device) === 0) return;
    for (const [, found] of [...this.of(device)]) this.#init.machine.unplug(found.address);
    this.#set(device, sriov, 0);
  }

  /** `sriov_enable`. */
  #enable(device: PciDevice, sriov: SriovFacts, count: number): void {
    this.#assertPlace(device, sriov, count);
    const { machine, facts } = this.#init;
    this.#set(device, sriov, count);
    let index = 0;
    try {
      for (; index < count; index++) {
        const address = addressOf(device, sriov, index);
        machine.plug(virtualFunctionFacts({ device, sriov, index, address, facts }));
      }
    } catch (error) {
      while (index-- > 0) machine.unplug(addressOf(device, sriov, index));
      this.#set(device, sriov, 0);
      throw error;
    }
  }

  #assertPlace(device: PciDevice, sriov: SriovFacts, count: number): void {
    if (sriov.offset === 0 || (sriov.stride === 0 && count > 1)) {
      throw new KernelError('EIO', device.name, 'its SR-IOV capability has no offset or stride');
    }
    const last = device.rid + sriov.offset + (count - 1) * sriov.stride;
    const bus = last >>> 8;
    const led = device.upstreamBridge?.facts.bridge?.subordinate ?? 0xff;
    if (bus > led) {
      const word = bus.toString(16).padStart(2, '0');
      throw new KernelError(
        'ENOMEM',
        device.name,
        `${count} virtual functions reach bus ${word}, which nothing leads to`,
      );
    }
  }

  #set(device: PciDevice, sriov: SriovFacts, count: number): void {
    device.facts.sriov = { ...sriov, enabled: count > 0, numVfs: count };
    this.#init.registers.setVirtualFunctions(device, count);
  }

  #capability(device: PciDevice): SriovFacts {
    const { sriov } = device.facts;
    if (!sriov) throw new KernelError('ENOENT', device.name, 'has no SR-IOV capability');
    return sriov;
  }
}

function addressOf(device: PciDevice, sriov: SriovFacts, index: number): string {
  const id = device.rid + sriov.offset + index * sriov.stride;
  return formatAddress({ domain: device.domain, bus: id >>> 8, devfn: id & 0xff });
}
