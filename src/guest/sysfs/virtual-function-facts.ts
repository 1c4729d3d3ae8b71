/** What a virtual function is that is switched on now: as it was recorded, else after its physical function. */

import type { PciFacts } from '../../host/snapshot.ts';
import { RegisterBytes } from '../../iommufd/vfio/pci/register-bytes.ts';
import { conventionalCapabilities, extendedCapabilities } from '../../pci/capabilities.ts';
import { type ConfigSpace, EXTENDED_SPACE } from '../../pci/config-space.ts';
import type { PciDevice } from '../../pci/device.ts';
import type { FunctionFacts, SriovFacts } from '../../pci/facts.ts';
import type { FactsByAddress } from './facts-by-address.ts';
import { virtualResources } from './resources.ts';

export interface VirtualFunctionInit {
  /** The physical function. */
  device: PciDevice;
  sriov: SriovFacts;
  index: number;
  address: string;
  facts: FactsByAddress;
}

/** Capabilities that virtual functions have as well: Express and MSI-X; AER, ACS, ARI and ATS. */
const SHARED: ReadonlySet<number> = new Set([0x10, 0x11]);
const SHARED_EXTENDED: ReadonlySet<number> = new Set([0x01, 0x0d, 0x0e, 0x0f]);
const EXPRESS = 0x10;
const FLR = 0x1000_0000;

export function virtualFunctionFacts(init: VirtualFunctionInit): PciFacts {
  const { device, sriov, index, address, facts } = init;
  const own = facts.get(address);
  if (own?.physfn === device.address) return { ...own, driver: null, driverOverride: null };
  const physical = facts.get(device.address);
  const sibling = facts.all().find(({ physfn }) => physfn === device.address);
  const resources = virtualResources(physical, sriov.totalVfs, index);
  return {
    address,
    ...(device.vendor !== undefined && { vendor: device.vendor }),
    ...(sriov.vfDevice !== undefined && { device: sriov.vfDevice }),
    ...given('subsystemVendor', sibling?.subsystemVendor ?? physical?.subsystemVendor),
    ...given('subsystemDevice', sibling?.subsystemDevice ?? physical?.subsystemDevice),
    ...given('class', sibling?.class ?? physical?.class),
    ...given('revision', sibling?.revision ?? physical?.revision),
    ...(sibling?.config ? { config: sibling.config } : configLike(device, physical)),
    ...(sibling?.config === undefined && sibling?.said !== undefined && { said: sibling.said }),
    driver: null,
    driverOverride: null,
    physfn: device.address,
    ...given('numaNode', physical?.numaNode),
    ...given('removable', physical?.removable),
    irq: 0,
    ...(resources.length > 0 && { resources }),
  };
}

function given<K extends keyof PciFacts>(
  name: K,
  value: PciFacts[K] | undefined,
): Partial<Pick<PciFacts, K>> {
  return value === undefined ? {} : ({ [name]: value } as Pick<PciFacts, K>);
}

/** Registers made from the physical function's; words where it had only words. */
function configLike(device: PciDevice, physical: PciFacts | undefined): Pick<PciFacts, 'config' | 'said'> {
  const { config } = device;
  if (config === undefined || config.read <= 64) return { said: factsLike(device.facts) };
  const bytes = Uint8Array.from({ length: EXTENDED_SPACE }, (_, at) => config.byte(at) ?? 0);
  const registers = new RegisterBytes(bytes);
  const express = keepCapabilities(registers, config);
  bytes.fill(0xff, 0x00, 0x04);
  registers.write(0x04, 2, 0);
  registers.write(0x0c, 4, 0);
  bytes.fill(0, 0x10, 0x2c);
  registers.write(0x2c, 2, physical?.subsystemVendor ?? 0);
  registers.write(0x2e, 2, physical?.subsystemDevice ?? 0);
  registers.write(0x30, 4, 0);
  bytes.fill(0, 0x3c, 0x40);
  if (express !== undefined) registers.write(express + 4, 4, (registers.read(express + 4, 4) | FLR) >>> 0);
  return { config: { bytes: Buffer.from(bytes).toString('hex'), read: config.read, size: EXTENDED_SPACE } };
}

/** Takes what a virtual function does not have out of both lists. Answers where the Express capability is. */
function keepCapabilities(registers: RegisterBytes, config: ConfigSpace): number | undefined {
  const { entries } = conventionalCapabilities(config, 0);
  const kept = entries.filter(({ id }) => SHARED.has(id));
  registers.write(0x34, 1, kept[0]?.at ?? 0);
  for (const [index, { at }] of kept.entries()) registers.write(at + 1, 1, kept[index + 1]?.at ?? 0);
  const extended = extendedCapabilities(config, true).entries;
  const shared = extended.filter(({ id }) => SHARED_EXTENDED.has(id));
  // The list begins at 256 whatever is there: an entry without an id only leads on.
  if (shared[0]?.at !== 0x100) registers.write(0x100, 4, (shared[0]?.at ?? 0) * 0x10_0000);
  for (const [index, { at }] of shared.entries()) {
    const next = shared[index + 1]?.at ?? 0;
    registers.write(at, 4, (registers.read(at, 4) & 0xf_ffff) + next * 0x10_0000);
  }
  return kept.find(({ id }) => id === EXPRESS)?.at;
}

/** Nothing but what every virtual function of the same kind has. */
function factsLike(physical: FunctionFacts): FunctionFacts {
  return {
    ...physical,
    headerType: 0,
    multifunctionBit: false,
    bridge: null,
    pcie: physical.pcie && { ...physical.pcie, flr: true },
    sriov: null,
    pmReset: null,
    afFlr: null,
    pasid: null,
    idsHidden: true,
  };
}
