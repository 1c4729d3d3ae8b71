/** Configuration space bytes into facts. Any bytes at all give a result; what was not read stays unknown. */

import {
  type CapabilityChain,
  CapabilityId,
  conventionalCapabilities,
  ExtendedId,
  extendedCapabilities,
} from './capabilities.ts';
import { CONVENTIONAL_SPACE, type ConfigSpace } from './config-space.ts';
import {
  type AcsFacts,
  type BridgeFacts,
  type CxlPortFacts,
  type Fact,
  type FunctionFacts,
  type PcieFacts,
  PcieType,
  type SriovFacts,
} from './facts.ts';

const HEADER_TYPE = 0x0e;
const MULTIFUNCTION = 0x80;
const INTEL = 0x8086;

/** Everything unknown: nothing was read, or nothing answered. */
export function unknownFacts(damaged?: string): FunctionFacts {
  return {
    headerType: undefined,
    multifunctionBit: undefined,
    bridge: undefined,
    pcie: undefined,
    acs: undefined,
    ari: undefined,
    sriov: undefined,
    pmReset: undefined,
    afFlr: undefined,
    pasid: undefined,
    ats: undefined,
    iommuCapability: undefined,
    ...(damaged === undefined ? {} : { damaged }),
  };
}

/** What `pci_setup_device()` and the capability initialisers learn of a function. Never throws. */
export function decodeConfig(config: ConfigSpace): FunctionFacts {
  if (config.silent) return unknownFacts('reads all ones: asleep (D3cold), removed or not decoded');
  const header = config.byte(HEADER_TYPE);
  if (header === undefined) return unknownFacts();
  const headerType = header & ~MULTIFUNCTION;
  if (headerType > 2) return unknownFacts(`header type ${headerType} is none of 0, 1, 2`);

  const chain = conventionalCapabilities(config, headerType);
  const { entries, complete } = chain;
  const conventional = <T>(id: number, decode: (at: number) => Fact<T>) =>
    first(entries, complete, id, decode);
  const pcie = conventional(CapabilityId.Express, (at) => decodePcie(config, at));
  const extendedChain = extendedOf(config, chain, pcie);
  const extended = <T>(id: number, decode: (at: number) => Fact<T>) =>
    first(extendedChain.entries, extendedChain.complete, id, decode);

  const facts: FunctionFacts = {
    headerType,
    multifunctionBit: (header & MULTIFUNCTION) !== 0,
    bridge: headerType === 0 ? null : decodeBridge(config),
    pcie,
    acs: extended(ExtendedId.Acs, (at) => decodeAcs(config, at, pcie?.type === PcieType.RootPort)),
    ari: extended(ExtendedId.Ari, () => ({})),
    sriov: extended(ExtendedId.Sriov, (at) => decodeSriov(config, at)),
    pmReset: conventional(CapabilityId.PowerManagement, (at) => decodePmReset(config, at)),
    afFlr: conventional(CapabilityId.AdvancedFeatures, (at) => {
      const offered = config.byte(at + 3);
      return offered === undefined ? undefined : (offered & 0x3) === 0x3;
    }),
    pasid: extended(ExtendedId.Pasid, (at) => {
      const word = config.word(at + 4);
      return word === undefined ? undefined : { bits: (word >> 8) & 0x1f };
    }),
    ats: extended(ExtendedId.Ats, (at) => {
      const control = config.word(at + 6);
      return { enabled: control === undefined ? undefined : (control & 0x8000) !== 0 };
    }),
    iommuCapability: conventional(CapabilityId.Iommu, (at) => config.dword(at)),
    cxlPort: decodeCxlPort(config, extendedChain),
  };
  if (config.dword(0) === 0xffffffff) facts.idsHidden = true;
  const damaged = [chain.damaged, extendedChain.damaged].filter((text) => text !== undefined);
  if (damaged.length > 0) facts.damaged = damaged.join('; ');
  return facts;
}

/** Unknown PCIe-ness with an incomplete conventional list leaves the extended list unknown too. */
function extendedOf(config: ConfigSpace, chain: CapabilityChain, pcie: Fact<PcieFacts>): CapabilityChain {
  const listed = chain.entries.some((entry) => entry.id === CapabilityId.Express);
  const fixed = config.size !== undefined && config.size <= CONVENTIONAL_SPACE;
  if (pcie === undefined && !listed && !fixed) return { entries: [], complete: false };
  return extendedCapabilities(config, listed);
}

function first<T>(
  entries: CapabilityChain['entries'],
  complete: boolean,
  id: number,
  decode: (at: number) => Fact<T>,
): Fact<T> {
  for (const entry of entries) if (entry.id === id) return decode(entry.at);
  return complete ? null : undefined;
}

function decodeBridge(config: ConfigSpace): BridgeFacts | undefined {
  const primary = config.byte(0x18);
  const secondary = config.byte(0x19);
  const subordinate = config.byte(0x1a);
  if (primary === undefined || secondary === undefined || subordinate === undefined) return undefined;
  return { primary, secondary, subordinate };
}

function decodePcie(config: ConfigSpace, at: number): PcieFacts | undefined {
  const flags = config.word(at + 2);
  if (flags === undefined) return undefined;
  const deviceCapabilities = config.dword(at + 4);
  const facts: PcieFacts = {
    type: (flags >> 4) & 0xf,
    flr: deviceCapabilities === undefined ? undefined : (deviceCapabilities & 0x10000000) !== 0,
  };
  // The second set of registers came with version 2 of the capability.
  const second = (flags & 0xf) >= 2;
  const capabilities2 = second ? config.dword(at + 0x24) : 0;
  const control2 = second ? config.word(at + 0x28) : 0;
  facts.ariForwarding = capabilities2 === undefined ? undefined : (capabilities2 & 0x20) !== 0;
  facts.ariForwardingEnabled = control2 === undefined ? undefined : (control2 & 0x20) !== 0;
  return facts;
}

function decodeAcs(config: ConfigSpace, at: number, rootPort: boolean): AcsFacts | undefined {
  const capability = config.word(at + 4);
  const control = config.word(at + 6);
  if (capability === undefined || control === undefined) return undefined;
  const facts: AcsFacts = { capability, control, at };
  if (rootPort && config.word(0) === INTEL) {
    const wideCapability = config.dword(at + 4);
    const wideControl = config.dword(at + 8);
    if (wideCapability !== undefined && wideControl !== undefined) {
      facts.wide = { capability: wideCapability, control: wideControl };
    }
  }
  return facts;
}

function decodeSriov(config: ConfigSpace, at: number): SriovFacts | undefined {
  const control = config.word(at + 0x08);
  const totalVfs = config.word(at + 0x0e);
  const numVfs = config.word(at + 0x10);
  const offset = config.word(at + 0x14);
  const stride = config.word(at + 0x16);
  if (control === undefined || totalVfs === undefined || numVfs === undefined) return undefined;
  if (offset === undefined || stride === undefined) return undefined;
  return { enabled: (control & 1) !== 0, numVfs, totalVfs, offset, stride, vfDevice: config.word(at + 0x1a) };
}

function decodePmReset(config: ConfigSpace, at: number): Fact<boolean> {
  const capabilities = config.word(at + 2);
  const control = config.word(at + 4);
  if (capabilities === undefined || control === undefined) return undefined;
  // Versions past 3 are not understood, so power management is left alone (`pci_pm_init`).
  if ((capabilities & 7) > 3) return null;
  return (control & 0x8) === 0;
}

const CXL_VENDOR = 0x1e98;
const CXL_PORT = 3;

function decodeCxlPort(config: ConfigSpace, chain: CapabilityChain): Fact<CxlPortFacts> {
  for (const { id, at } of chain.entries) {
    if (
      id !== ExtendedId.Designated ||
      config.word(at + 4) !== CXL_VENDOR ||
      config.word(at + 8) !== CXL_PORT
    )
      continue;
    const control = config.word(at + 0x0c);
    return control === undefined ? undefined : { busResetMasked: control !== 0xffff && (control & 1) === 0 };
  }
  return chain.complete ? null : undefined;
}
