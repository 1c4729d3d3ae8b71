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

/** Short names of the bits set, lowest first: `['SV', 'RR']`. */
export function acsBitNames(bits: number): string[] {
  return Object.entries(Acs)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name);
}
