/**
 * The two capability chains of a configuration space, walked as the kernel walks them: bounded in steps, with
 * the low pointer bits masked, ending where it ends on junk.
 */

import { CONVENTIONAL_SPACE, type ConfigSpace, EXTENDED_SPACE } from './config-space.ts';

/** Conventional capability ids (`PCI_CAP_ID_*`). */
export const CapabilityId = {
  PowerManagement: 0x01,
  Iommu: 0x0f,
  Express: 0x10,
  AdvancedFeatures: 0x13,
} as const;

/** Extended capability ids (`PCI_EXT_CAP_ID_*`). */
export const ExtendedId = {
  Acs: 0x0d,
  Ari: 0x0e,
  Ats: 0x0f,
  Sriov: 0x10,
  PageRequest: 0x13,
  Pasid: 0x1b,
  Designated: 0x23,
} as const;

export interface CapabilityChain {
  /** In chain order. An id may occur more than once; the kernel takes the first. */
  entries: { id: number; at: number }[];
  /** False: bytes were missing, so a capability that is not listed may exist all the same. */
  complete: boolean;
  damaged?: string;
}

const STATUS = 0x06;
const STATUS_HAS_LIST = 0x10;
const FIRST_CAPABILITY = 0x40;
/** `PCI_FIND_CAP_TTL` */
const CONVENTIONAL_STEPS = 48;
/** Smallest capability takes 8 bytes: (4096 - 256) / 8. */
const EXTENDED_STEPS = 480;

/** @param headerType 2 (CardBus) keeps its list pointer elsewhere (`PCI_CB_CAPABILITY_LIST`) */
export function conventionalCapabilities(config: ConfigSpace, headerType: number): CapabilityChain {
  const chain: CapabilityChain = { entries: [], complete: true };
  const status = config.word(STATUS);
  if (status === undefined) return { ...chain, complete: false };
  if ((status & STATUS_HAS_LIST) === 0) return chain;
  let next = config.byte(headerType === 2 ? 0x14 : 0x34);
  const seen = new Set<number>();
  for (let steps = CONVENTIONAL_STEPS; steps > 0; steps--) {
    if (next === undefined) return { ...chain, complete: false };
    if (next < FIRST_CAPABILITY)
      return next === 0 ? chain : { ...chain, damaged: pointer('capability', next) };
    const at = next & ~3;
    const entry = config.word(at);
    if (entry === undefined) return { ...chain, complete: false };
    const id = entry & 0xff;
    if (id === 0xff) return { ...chain, damaged: `capability at ${place(at)} reads ff` };
    if (seen.has(at)) return { ...chain, damaged: `capability list comes back to ${place(at)}` };
    seen.add(at);
    chain.entries.push({ id, at });
    next = entry >> 8;
  }
  return { ...chain, damaged: `capability list longer than ${CONVENTIONAL_STEPS} entries` };
}

/**
 * @param express the function has a PCIe capability; without one only a space the kernel calls longer than 256
 *   bytes (PCI-X mode 2) has an extended chain
 */
export function extendedCapabilities(config: ConfigSpace, express: boolean): CapabilityChain {
  const chain: CapabilityChain = { entries: [], complete: true };
  if (config.size !== undefined && config.size <= CONVENTIONAL_SPACE) return chain;
  if (!express && config.size === undefined) return chain;
  if (config.read <= CONVENTIONAL_SPACE) return { ...chain, complete: false };
  if (config.size === undefined && aliased(config)) return chain;
  let at = CONVENTIONAL_SPACE;
  const seen = new Set<number>();
  for (let steps = EXTENDED_STEPS; steps > 0; steps--) {
    const header = config.dword(at);
    if (header === undefined) return { ...chain, complete: false };
    if (header === 0 && at === CONVENTIONAL_SPACE) return chain;
    if (header === 0xffffffff) {
      // At the very start this is how a space that ends at 256 bytes reads.
      return at === CONVENTIONAL_SPACE
        ? chain
        : { ...chain, damaged: `extended capability at ${place(at)} reads ff` };
    }
    if (seen.has(at)) return { ...chain, damaged: `extended capability list comes back to ${place(at)}` };
    seen.add(at);
    chain.entries.push({ id: header & 0xffff, at });
    const next = (header >>> 20) & 0xffc;
    if (next < CONVENTIONAL_SPACE) {
      return next === 0 ? chain : { ...chain, damaged: pointer('extended capability', next) };
    }
    at = next;
  }
  return { ...chain, damaged: `extended capability list longer than ${EXTENDED_STEPS} entries` };
}

/** Some bridges repeat the first 256 bytes all the way up (`pci_ext_cfg_is_aliased`). */
function aliased(config: ConfigSpace): boolean {
  const ids = config.dword(0);
  for (let at = CONVENTIONAL_SPACE; at < EXTENDED_SPACE; at += CONVENTIONAL_SPACE) {
    const repeated = config.dword(at);
    if (repeated === undefined || repeated !== ids) return false;
  }
  return true;
}

function pointer(what: string, value: number): string {
  return `${what} pointer ${place(value)} leads outside the list`;
}

function place(at: number): string {
  return `0x${at.toString(16)}`;
}
