/** Access Control Services bits, the same in the capability and the control word (`PCI_ACS_*`). */
export const Acs = {
  /** Source validation. */
  SV: 0x01,
  /** Translation blocking. */
  TB: 0x02,
  /** P2P request redirect. */
  RR: 0x04,
  /** P2P completion redirect. */
  CR: 0x08,
  /** Upstream forwarding. */
  UF: 0x10,
  /** P2P egress control. */
  EC: 0x20,
  /** Direct translated P2P. */
  DT: 0x40,
} as const;

/** What IOMMU grouping asks for (`REQ_ACS_FLAGS`). */
export const REQ_ACS_FLAGS = Acs.SV | Acs.RR | Acs.CR | Acs.UF;

/** The names lspci prints, lowest bit first. */
export const ACS_LSPCI_NAMES = [
  'SrcValid',
  'TransBlk',
  'ReqRedir',
  'CmpltRedir',
  'UpstreamFwd',
  'EgressCtrl',
  'DirectTrans',
] as const;

/** Names of the bits set in a capability or control word, lowest first: `['SrcValid', 'ReqRedir']`. */
export function acsBitNames(word: number): string[] {
  return ACS_LSPCI_NAMES.filter((_, bit) => (word & (1 << bit)) !== 0);
}
