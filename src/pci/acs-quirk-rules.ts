/** What the rows of `ACS_QUIRKS` claim, and under which conditions (`pci_dev_specific_acs_enabled`). */

import { Acs } from './acs-bits.ts';
import { type AcsControl, type AcsWords, isIntelPchPort, isIntelSptPort } from './acs-control.ts';
import {
  ACS_QUIRKS,
  type AcsQuirk,
  type AcsQuirkKind,
  CAVIUM_PORTS,
  inRanges,
  WANGXUN_NICS,
  ZHAOXIN_PORTS,
} from './acs-quirks.ts';
import type { PciDevice } from './device.ts';
import { PcieType } from './facts.ts';

/** Facts of the machine that a claim depends on. */
export interface QuirkFacts {
  control: AcsControl;
  /** The firmware has an IVRS table; unknown counts as yes, since AMD chips are isolated by nothing else. */
  ivrs: boolean | undefined;
  /** Names of rows that are left out. */
  withoutQuirks?: ReadonlySet<string> | undefined;
}

export interface QuirkAnswer {
  enabled: boolean;
  /** False: the claim rests on a fact that was not known. */
  known: boolean;
  words?: AcsWords | undefined;
}

/** `undefined`: the row does not speak for this device, the next one may. */
type Rule = (device: PciDevice, flags: number, facts: QuirkFacts) => QuirkAnswer | undefined;

/** `pci_acs_ctrl_enabled` */
function claim(flags: number, provided: number): QuirkAnswer {
  return { enabled: (flags & provided) === flags, known: true };
}

const ISOLATING = Acs.SV | Acs.RR | Acs.CR | Acs.UF;

const isolating: Rule = (_device, flags) => claim(flags, ISOLATING);

const RULES: Record<AcsQuirkKind, Rule> = {
  amd_sb(device, flags, { ivrs }) {
    if (!device.multifunction || !device.pciBus.isRoot || ivrs === false) return undefined;
    const answer = claim(flags & (Acs.RR | Acs.CR | Acs.EC | Acs.DT), Acs.RR | Acs.CR);
    return { ...answer, known: ivrs !== undefined };
  },
  mf_endpoint: (_device, flags) => claim(flags, ISOLATING | Acs.TB | Acs.DT),
  rciep: (device, flags) =>
    device.pcieType === PcieType.IntegratedEndpoint ? claim(flags, ISOLATING) : undefined,
  qcom_rp: isolating,
  nxp_rp: isolating,
  brcm: isolating,
  loongson: isolating,
  xgene: isolating,
  intel_pch(device, flags, { control }) {
    if (!isIntelPchPort(device)) return undefined;
    // Firmware that leaves the base address disabled does not get as far as Linux: unknown counts as enabled.
    const enabled = control.pchEnabled(device);
    return { ...claim(flags, enabled === false ? 0 : ISOLATING), known: enabled !== undefined };
  },
  intel_spt(device, flags, { control }) {
    if (!isIntelSptPort(device)) return undefined;
    const words = control.wideWords(device);
    if (words === null) return undefined;
    if (words === undefined) return { enabled: false, known: false };
    return { ...claim(flags & (words.capability | Acs.EC), words.control), words };
  },
  cavium: (device, flags) =>
    device.pcieType === PcieType.RootPort && inRanges(CAVIUM_PORTS, device.device!)
      ? claim(flags, ISOLATING)
      : undefined,
  al: (device, flags) => (device.pcieType === PcieType.RootPort ? claim(flags, ISOLATING) : undefined),
  zhaoxin_ports(device, flags) {
    const { pcieType } = device;
    if (pcieType !== PcieType.RootPort && pcieType !== PcieType.Downstream) return undefined;
    return inRanges(ZHAOXIN_PORTS, device.device!)
      ? claim(flags, ISOLATING)
      : { enabled: false, known: true };
  },
  wangxun: (device, flags) =>
    inRanges(WANGXUN_NICS, device.device!) ? claim(flags, ISOLATING) : { enabled: false, known: true },
};

const BY_VENDOR = new Map<number, AcsQuirk[]>();
for (const quirk of ACS_QUIRKS) {
  const rows = BY_VENDOR.get(quirk.vendor);
  if (rows === undefined) BY_VENDOR.set(quirk.vendor, [quirk]);
  else rows.push(quirk);
}

/** The first row that speaks for `device`. Without ids there is none; the caller has to say so. */
export function devSpecificAcsEnabled(
  device: PciDevice,
  flags: number,
  facts: QuirkFacts,
): { quirk: AcsQuirk; answer: QuirkAnswer } | undefined {
  if (device.vendor === undefined || device.device === undefined) return undefined;
  for (const quirk of BY_VENDOR.get(device.vendor) ?? []) {
    if (quirk.devices !== 'any' && !quirk.devices.includes(device.device)) continue;
    if (facts.withoutQuirks?.has(quirk.name)) continue;
    const answer = RULES[quirk.kind](device, flags, facts);
    if (answer !== undefined) return { quirk, answer };
  }
  return undefined;
}
