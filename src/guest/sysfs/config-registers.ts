/** Configuration space of each function as it stands: what was recorded, and what has been written since. */

import { RegisterBytes } from '../../iommufd/vfio/pci/register-bytes.ts';
import type { Machine } from '../../machine/machine.ts';
import { isIntelSptPort } from '../../pci/acs-control.ts';
import type { CapabilityChain } from '../../pci/capabilities.ts';
import { conventionalCapabilities, ExtendedId, extendedCapabilities } from '../../pci/capabilities.ts';
import { CONVENTIONAL_SPACE, ConfigSpace, EXTENDED_SPACE } from '../../pci/config-space.ts';
import type { PciDevice } from '../../pci/device.ts';
import { type ConfigMasks, configMasks } from './config-masks.ts';
import { describeConfig } from './describe-config.ts';
import type { FactsByAddress } from './facts-by-address.ts';
import { resourcesOf } from './resources.ts';

const EXPRESS = 0x10;
/** Of the SR-IOV capability: control, its bits, and how many functions are on. */
const SRIOV_CONTROL = 0x08;
const SRIOV_ENABLE = 0x09;
const SRIOV_NUM_VFS = 0x10;
const ACS_CONTROL = 0x06;
/** Of Intel's root ports with 32-bit words. */
const ACS_WIDE_CONTROL = 0x08;

export class ConfigRegisters {
  readonly #machine: Machine;
  readonly #facts: FactsByAddress;
  readonly #functions = new WeakMap<PciDevice, FunctionRegisters>();

  constructor(machine: Machine, facts: FactsByAddress) {
    this.#machine = machine;
    this.#facts = facts;
  }

  of(device: PciDevice): FunctionRegisters {
    let registers = this.#functions.get(device);
    if (registers === undefined) {
      const resources = resourcesOf(this.#facts.get(device.address));
      const sizes = resources.slice(0, 7).map((resource) => resource?.size ?? 0n);
      registers = new FunctionRegisters(
        device,
        device.config === undefined ? describeConfig(device, resources) : undefined,
        sizes,
      );
      this.#functions.set(device, registers);
      this.#takeAcs(device, registers);
    }
    return registers;
  }

  /** `pci_write_config`: hardware keeps the bits that can be changed; the model hears of those it decides by. */
  write(device: PciDevice, offset: number, bytes: Uint8Array): void {
    const registers = this.of(device);
    registers.write(offset, bytes);
    const acs = registers.findExtended(ExtendedId.Acs);
    if (acs === undefined) return;
    const wide = isIntelSptPort(device);
    const at = acs + (wide ? ACS_WIDE_CONTROL : ACS_CONTROL);
    const width = wide ? 4 : 2;
    if (offset >= at + width || offset + bytes.length <= at) return;
    this.#machine.acsContext.control.write(device, registers.bytes.read(at, width));
    this.#machine.acsContext.invalidate();
  }

  /** What `sriov_enable` and `sriov_disable` leave in the registers. */
  setVirtualFunctions(device: PciDevice, count: number): void {
    const { bytes, findExtended } = this.of(device);
    const at = findExtended(ExtendedId.Sriov);
    if (at === undefined) return;
    const control = bytes.read(at + SRIOV_CONTROL, 2) & ~SRIOV_ENABLE;
    bytes.write(at + SRIOV_CONTROL, 2, count > 0 ? control | SRIOV_ENABLE : control);
    bytes.write(at + SRIOV_NUM_VFS, 2, count);
  }

  /** The control word as the kernel of the model left it, where the recorded one is firmware's. */
  #takeAcs(device: PciDevice, registers: FunctionRegisters): void {
    const at = registers.findExtended(ExtendedId.Acs);
    const { control } = this.#machine.acsContext;
    if (at === undefined) return;
    if (isIntelSptPort(device)) {
      const words = control.wideWords(device);
      if (words) registers.bytes.write(at + ACS_WIDE_CONTROL, 4, words.control);
    } else {
      const words = control.words(device);
      if (words) registers.bytes.write(at + ACS_CONTROL, 2, words.control);
    }
  }
}

export class FunctionRegisters {
  readonly bytes: RegisterBytes;
  /** How far the space is known; nobody can read on. */
  readonly readable: number;
  readonly capabilities: CapabilityChain['entries'];
  readonly extended: CapabilityChain['entries'];
  readonly #masks: ConfigMasks;

  /** @param made the bytes, where none were recorded */
  constructor(device: PciDevice, made: Uint8Array | undefined, barSizes: readonly bigint[]) {
    const { config } = device;
    const size = config?.size ?? (device.isPcie === true ? EXTENDED_SPACE : CONVENTIONAL_SPACE);
    this.bytes = new RegisterBytes(
      made ?? Uint8Array.from({ length: size }, (_, at) => config?.byte(at) ?? 0),
    );
    this.readable = Math.min(made?.length ?? config?.read ?? size, size);
    const space = new ConfigSpace(this.bytes.bytes, this.bytes.bytes.length, this.bytes.bytes.length);
    const headerType = this.bytes.read(0x0e, 1) & 0x7f;
    this.capabilities = conventionalCapabilities(space, headerType).entries;
    const express = this.capabilities.some(({ id }) => id === EXPRESS);
    this.extended = extendedCapabilities(space, express).entries;
    this.#masks = configMasks(this.bytes, {
      bridge: headerType === 1,
      isVirtual: device.isVirtual,
      capabilities: this.capabilities,
      extended: this.extended,
      barSizes,
      wideAcs: isIntelSptPort(device),
    });
  }

  /** `cfg_size`. */
  get size(): number {
    return this.bytes.bytes.length;
  }

  /** `pci_find_capability`. */
  readonly find = (id: number): number | undefined => this.capabilities.find((entry) => entry.id === id)?.at;

  /** `pci_find_ext_capability`. */
  readonly findExtended = (id: number): number | undefined =>
    this.extended.find((entry) => entry.id === id)?.at;

  write(offset: number, values: Uint8Array): void {
    const { bytes } = this.bytes;
    const { writable, clears } = this.#masks;
    for (const [index, value] of values.entries()) {
      const at = offset + index;
      if (at >= bytes.length) return;
      bytes[at] = ((bytes[at]! & ~writable[at]!) | (value & writable[at]!)) & ~(value & clears[at]!);
    }
  }
}
