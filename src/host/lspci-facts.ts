/**
 * From the words of an lspci entry to facts: the place where it is decided what silence means.
 *
 * - No -v (plain list, -nnk): nothing is known of capabilities.
 * - `<access denied>`: the device has capabilities, and none is known.
 * - Capabilities listed: lspci had the privilege to see all. What is not listed is absent; a device without the
 *   Express capability is conventional, and has no extended ones.
 * - No Capabilities line: none, if the entry is whole (Status line without `Cap+`, or the short form's Flags). In
 *   a text cut down to the lines that matter for grouping (no Status or Flags line anywhere), likewise, as long as
 *   it kept the Capabilities lines of other devices.
 * - A cut capability line, or a device that answers all ones (rev ff): unknown.
 * - Extended capabilities not listed are absent where the text is -vv, or where -v lists some for any device
 *   (the first versions with -v listed none).
 * - -v names capabilities but not what is in them: the ACS capability is then unknown, not absent.
 */

import type { FunctionFacts, PcieFacts } from '../pci/facts.ts';
import type { LspciEntry } from './lspci-entry.ts';

/** What kind of text the entries stand in. */
export interface LspciText {
  /** Only the lines that matter for grouping were kept. */
  trimmed: boolean;
  listsExtended: boolean;
}

export function textKind(entries: readonly LspciEntry[]): LspciText {
  return {
    trimmed: entries.some((entry) => entry.standard.size > 0) && !entries.some((entry) => entry.whole),
    listsExtended: entries.some((entry) => entry.extended.size > 0 || entry.statusCap !== undefined),
  };
}

export function entryFacts(entry: LspciEntry, text: LspciText): FunctionFacts {
  const known = capabilitiesKnown(entry, text);
  const pcie = pcieFacts(entry, known);
  const extended = known && (pcie === null || (pcie !== undefined && (text.listsExtended || text.trimmed)));
  const hasExtended = (name: string) => entry.extended.has(name);
  // Cut-down text keeps what decides groups; its silence on anything else says nothing.
  const whole = known && !text.trimmed;
  return {
    headerType: headerType(entry, text),
    multifunctionBit: undefined, // lspci does not print it
    bridge: entry.bridge ?? (headerType(entry, text) === 0 ? null : undefined),
    pcie,
    acs: hasExtended('acs') ? acsFacts(entry) : absentIf(extended),
    ari: hasExtended('ari') ? {} : absentIf(extended),
    sriov: hasExtended('sriov') ? sriovFacts(entry) : absentIf(extended),
    pmReset: entry.standard.has('pm') ? negated(entry.noSoftReset) : absentIf(whole),
    afFlr: entry.standard.has('af') ? entry.afFlr : absentIf(whole),
    pasid: hasExtended('pasid') ? bits(entry.pasidBits) : absentIf(whole && extended),
    ats: hasExtended('ats') ? { enabled: entry.atsEnabled } : absentIf(whole && extended),
    iommuCapability: entry.standard.has('iommu') ? undefined : absentIf(whole),
    ...(whole && extended && !hasExtended('dvsec') && { cxlPort: null }),
    ...(entry.chain !== undefined && { damaged: entry.chain }),
  };
}

function absentIf(known: boolean): null | undefined {
  return known ? null : undefined;
}

function capabilitiesKnown(entry: LspciEntry, text: LspciText): boolean {
  if (entry.denied || entry.cut || entry.header.silent || entry.unknownHeader) return false;
  if (entry.standard.size > 0 || entry.extended.size > 0 || entry.chain !== undefined) return true;
  return entry.whole ? entry.statusCap !== true : text.trimmed;
}

function pcieFacts(entry: LspciEntry, known: boolean): PcieFacts | null | undefined {
  if (!entry.standard.has('express')) return absentIf(known);
  if (entry.pcieType === undefined) return undefined;
  return {
    type: entry.pcieType,
    ...(entry.flr !== undefined && { flr: entry.flr }),
    ...(entry.ariForwarding !== undefined && { ariForwarding: entry.ariForwarding }),
    ...(entry.ariForwardingEnabled !== undefined && { ariForwardingEnabled: entry.ariForwardingEnabled }),
  };
}

/** "Bus:" is printed for bridges only, and for all of them, whoever asks. */
function headerType(entry: LspciEntry, text: LspciText): number | undefined {
  if (entry.unknownHeader || entry.header.silent) return undefined;
  const base = entry.header.class === undefined ? undefined : entry.header.class >> 8;
  if (entry.cardBus || base === 0x0607) return 2;
  if (entry.bridge !== undefined || base === 0x0604) return 1;
  return entry.verbose || text.trimmed ? 0 : undefined;
}

function acsFacts(entry: LspciEntry): FunctionFacts['acs'] {
  const { acsCapability, acsControl } = entry;
  if (acsCapability === undefined || acsControl === undefined) return undefined;
  return { capability: acsCapability, control: acsControl };
}

function sriovFacts(entry: LspciEntry): FunctionFacts['sriov'] {
  const { sriovEnabled, vfs, vfPlace } = entry;
  if (sriovEnabled === undefined || vfs === undefined || vfPlace === undefined) return undefined;
  return {
    enabled: sriovEnabled,
    numVfs: vfs.num,
    totalVfs: vfs.total,
    offset: vfPlace.offset,
    stride: vfPlace.stride,
    vfDevice: vfPlace.device,
  };
}

function negated(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

function bits(value: number | undefined): { bits: number } | undefined {
  return value === undefined ? undefined : { bits: value };
}
