/**
 * `pcie_acs_override=`, a widespread patch that is not part of Linux: it claims isolation for devices that do not
 * say so themselves.
 */

import type { PciDevice } from './device.ts';
import { PcieType } from './facts.ts';

export interface AcsOverride {
  downstream: boolean;
  multifunction: boolean;
  ids: readonly { vendor: number; device: number }[];
}

/** The patch keeps a fixed table, of which the last place is never used. */
const MAX_IDS = 15;

/** Comma list, compared by how an entry begins; ids are exactly four hex digits each. */
export function parseAcsOverride(text: string): { override: AcsOverride; notes: string[] } {
  let downstream = false;
  let multifunction = false;
  const ids: { vendor: number; device: number }[] = [];
  const notes: string[] = [];
  for (const entry of text.split(',')) {
    if (entry.startsWith('downstream')) downstream = true;
    else if (entry.startsWith('multifunction')) multifunction = true;
    else if (entry.startsWith('id:')) {
      const found = /^id:([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(entry);
      if (found === null) notes.push(`pcie_acs_override=: '${entry}' is not id:vvvv:dddd`);
      else if (ids.length === MAX_IDS) notes.push(`pcie_acs_override=: '${entry}' is one id too many`);
      else ids.push({ vendor: Number.parseInt(found[1]!, 16), device: Number.parseInt(found[2]!, 16) });
    } else if (entry !== '') notes.push(`pcie_acs_override=: '${entry}' is not known`);
  }
  return { override: { downstream, multifunction, ids }, notes };
}

/** Which part of the override speaks for `device`; it never does for one that exposes an ACS capability. */
export function acsOverrideFor(device: PciDevice, override: AcsOverride): string | undefined {
  if (device.isPcie !== true || device.facts.acs) return undefined;
  if (override.ids.some((id) => id.vendor === device.vendor && id.device === device.device)) return 'id';
  switch (device.pcieType) {
    case PcieType.RootPort:
    case PcieType.Downstream:
      return override.downstream ? 'downstream' : undefined;
    case PcieType.Endpoint:
    case PcieType.LegacyEndpoint:
    case PcieType.Upstream:
    case PcieType.IntegratedEndpoint:
      return override.multifunction && device.multifunction ? 'multifunction' : undefined;
    default:
      return undefined;
  }
}
