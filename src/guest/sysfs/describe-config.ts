/** Configuration space of a function of which only words were recorded: made so that decoding it says the same. */

import { RegisterBytes } from '../../iommufd/vfio/pci/register-bytes.ts';
import { CONVENTIONAL_SPACE, EXTENDED_SPACE } from '../../pci/config-space.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { Resource } from './resources.ts';

const POWER = 0x40;
const EXPRESS = 0x48;
const EXPRESS_LENGTH = 0x3c;
const ADVANCED_FEATURES = EXPRESS + EXPRESS_LENGTH;

/** Memory, I/O and bus mastering on, as a driver leaves them. */
const COMMAND_IN_USE = 0x0007;

/** @param resources as sysfs lists them, BARs first */
export function describeConfig(device: PciDevice, resources: readonly (Resource | undefined)[]): Uint8Array {
  const { facts } = device;
  const registers = new RegisterBytes(
    new Uint8Array(device.isPcie === true ? EXTENDED_SPACE : CONVENTIONAL_SPACE),
  );
  const bridge = facts.headerType === 1;
  // What a virtual function's own registers answer for its ids.
  registers.write(0x00, 2, device.isVirtual ? 0xffff : (device.vendor ?? 0));
  registers.write(0x02, 2, device.isVirtual ? 0xffff : (device.device ?? 0));
  if (device.driver !== undefined) registers.write(0x04, 2, COMMAND_IN_USE);
  registers.write(0x08, 4, (((device.class ?? 0) << 8) | (device.revision ?? 0)) >>> 0);
  registers.write(0x0e, 1, (facts.headerType ?? 0) | (facts.multifunctionBit === true ? 0x80 : 0));
  if (bridge && facts.bridge) {
    registers.write(0x18, 1, facts.bridge.primary);
    registers.write(0x19, 1, facts.bridge.secondary);
    registers.write(0x1a, 1, facts.bridge.subordinate);
  } else if (!bridge) {
    registers.write(0x2c, 2, device.subsystemVendor ?? 0);
    registers.write(0x2e, 2, device.subsystemDevice ?? 0);
  }
  if (!device.isVirtual) describeBars(registers, resources, bridge);
  describeCapabilities(registers, device);
  if (registers.bytes.length > CONVENTIONAL_SPACE) describeExtended(registers, device);
  return registers.bytes;
}

function describeBars(
  registers: RegisterBytes,
  resources: readonly (Resource | undefined)[],
  bridge: boolean,
): void {
  const last = bridge ? 2 : 6;
  for (let bar = 0; bar < last; bar++) {
    const resource = resources[bar];
    if (resource === undefined) continue;
    const { start, io, wide, prefetchable } = resource;
    const kind = io ? 1 : (wide ? 4 : 0) | (prefetchable ? 8 : 0);
    registers.write(0x10 + 4 * bar, 4, Number(start & 0xffff_fff0n) + kind);
    if (wide && bar + 1 < last) registers.write(0x10 + 4 * ++bar, 4, Number(start >> 32n));
  }
  const rom = resources[6];
  if (rom !== undefined) registers.write(bridge ? 0x38 : 0x30, 4, Number(rom.start & 0xffff_f800n));
}

function describeCapabilities(registers: RegisterBytes, device: PciDevice): void {
  const { pmReset, pcie, afFlr } = device.facts;
  let pointer = 0x34;
  const begin = (id: number, at: number) => {
    registers.write(0x06, 2, registers.read(0x06, 2) | 0x10);
    registers.write(pointer, 1, at);
    registers.write(at, 1, id);
    pointer = at + 1;
  };
  if (pmReset !== null && pmReset !== undefined) {
    begin(0x01, POWER);
    registers.write(POWER + 2, 2, 3);
    registers.write(POWER + 4, 2, pmReset ? 0 : 0x8);
  }
  if (pcie) {
    begin(0x10, EXPRESS);
    registers.write(EXPRESS + 2, 2, 2 | ((pcie.type & 0xf) << 4));
    registers.write(EXPRESS + 4, 4, pcie.flr === true ? 0x1000_0000 : 0);
    registers.write(EXPRESS + 0x24, 4, pcie.ariForwarding === true ? 0x20 : 0);
    registers.write(EXPRESS + 0x28, 2, pcie.ariForwardingEnabled === true ? 0x20 : 0);
  }
  if (afFlr === true) {
    begin(0x13, ADVANCED_FEATURES);
    registers.write(ADVANCED_FEATURES + 2, 1, 6);
    registers.write(ADVANCED_FEATURES + 3, 1, 3);
  }
}

function describeExtended(registers: RegisterBytes, device: PciDevice): void {
  const { acs, ari, sriov, ats, pasid } = device.facts;
  let at = CONVENTIONAL_SPACE;
  let before: number | undefined;
  const add = (id: number, length: number, fill: (at: number) => void) => {
    registers.write(at, 4, id | (1 << 16));
    if (before !== undefined) registers.write(before, 4, registers.read(before, 4) + at * 0x10_0000);
    fill(at);
    before = at;
    at += length;
  };
  if (acs) {
    add(0x0d, 0x10, (cap) => {
      registers.write(cap + 4, 2, acs.capability);
      registers.write(cap + 6, 2, acs.control);
    });
  }
  if (ari) add(0x0e, 0x08, () => {});
  if (ats) add(0x0f, 0x08, (cap) => registers.write(cap + 6, 2, ats.enabled === true ? 0x8000 : 0));
  if (pasid) add(0x1b, 0x08, (cap) => registers.write(cap + 4, 2, pasid.bits << 8));
  if (sriov) {
    add(0x10, 0x40, (cap) => {
      registers.write(cap + 0x08, 2, sriov.enabled ? 0x9 : 0);
      registers.write(cap + 0x0c, 2, sriov.totalVfs);
      registers.write(cap + 0x0e, 2, sriov.totalVfs);
      registers.write(cap + 0x10, 2, sriov.numVfs);
      registers.write(cap + 0x14, 2, sriov.offset);
      registers.write(cap + 0x16, 2, sriov.stride);
      registers.write(cap + 0x1a, 2, sriov.vfDevice ?? 0);
      registers.write(cap + 0x1c, 4, 0x553);
      registers.write(cap + 0x20, 4, 1);
    });
  }
}
