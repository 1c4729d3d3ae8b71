/** lspci's words for capabilities, of all its versions. */

import { ACS_LSPCI_NAMES } from '../pci/acs-bits.ts';
import { PcieType } from '../pci/facts.ts';

/** Longer words first: "Endpoint" stands in three of them. */
const PORT_WORDS: [RegExp, number][] = [
  [/Root Complex Integrated Endpoint/i, PcieType.IntegratedEndpoint],
  [/Root Complex Event Collector/i, PcieType.EventCollector],
  [/Legacy Endpoint/i, PcieType.LegacyEndpoint],
  [/PCI\/PCI-X to PCI[- ]?E(?:xpress)? Bridge/i, PcieType.PcieBridge],
  [/PCI[- ]?E(?:xpress)? to PCI(?:\/PCI-X|-X)? Bridge|PCI\/PCI-X Bridge/i, PcieType.PciBridge],
  [/Root Port/i, PcieType.RootPort],
  [/Upstream Port/i, PcieType.Upstream],
  [/Downstream Port/i, PcieType.Downstream],
  [/\bEndpoint/i, PcieType.Endpoint],
];

export function pcieType(words: string): number | undefined {
  const unknown = /Unknown type (\d{1,2})\b/.exec(words);
  if (unknown) return Number(unknown[1]);
  return PORT_WORDS.find(([pattern]) => pattern.test(words))?.[1];
}

/** Short names of those that are looked into. */
export function extendedName(words: string): string {
  if (/^Access Control(?:s| Services)\b/.test(words)) return 'acs';
  if (words.startsWith('Alternative Routing-ID')) return 'ari';
  if (words.startsWith('Single Root I/O Virtualization')) return 'sriov';
  if (words.startsWith('Address Translation Service')) return 'ats';
  if (words.startsWith('Process Address Space ID')) return 'pasid';
  if (words.startsWith('Designated Vendor-Specific')) return 'dvsec';
  return 'other';
}

/** All seven flags, or `undefined` for a line of which part is missing. */
export function acsWord(line: string): number | undefined {
  let word = 0;
  for (const [bit, name] of ACS_LSPCI_NAMES.entries()) {
    const at = line.indexOf(name);
    const sign = at < 0 ? '' : line[at + name.length];
    if (sign !== '+' && sign !== '-') return undefined;
    if (sign === '+') word |= 1 << bit;
  }
  return word;
}
