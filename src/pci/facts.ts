/**
 * What one PCI function says of itself, whoever read it: decoded from configuration space bytes, or taken from
 * lspci's words.
 *
 * Three answers everywhere: a value; `null`, known to be absent; `undefined`, not known (no privilege, a
 * truncated read). Unknown is never taken for absent.
 */

/** `undefined`: unknown. `null`: known to be absent. */
export type Fact<T> = T | null | undefined;

/** PCIe device/port type, bits 7:4 of the PCIe capabilities register (`PCI_EXP_TYPE_*`). */
export const PcieType = {
  Endpoint: 0,
  LegacyEndpoint: 1,
  RootPort: 4,
  Upstream: 5,
  Downstream: 6,
  /** PCIe to PCI/PCI-X bridge. */
  PciBridge: 7,
  /** PCI/PCI-X to PCIe bridge ("reverse"). */
  PcieBridge: 8,
  /** Root complex integrated endpoint. */
  IntegratedEndpoint: 9,
  /** Root complex event collector. */
  EventCollector: 10,
} as const;
export type PcieType = (typeof PcieType)[keyof typeof PcieType];

export interface PcieFacts {
  /** Numeric type; values outside `PcieType` occur in junk and are kept. */
  type: number;
  /** DevCap: function-level reset offered. */
  flr?: boolean | undefined;
  /** DevCap2/DevCtl2: the port can forward, or does forward, ARI. */
  ariForwarding?: boolean | undefined;
  ariForwardingEnabled?: boolean | undefined;
}

/** Access Control Services words (capability at +4, control at +6). */
export interface AcsFacts {
  capability: number;
  control: number;
  /** Offset of the capability, where bytes were read. */
  at?: number | undefined;
  /** Intel 100/200 series ports: 32-bit words, control at +8. Only bytes show them. */
  wide?: { capability: number; control: number } | undefined;
}

export interface SriovFacts {
  enabled: boolean;
  numVfs: number;
  totalVfs: number;
  /** Distance of the first VF's requester id from the PF's, and between VFs. */
  offset: number;
  stride: number;
  vfDevice?: number | undefined;
}

/** Bus numbers of a bridge (header type 1 or 2). */
export interface BridgeFacts {
  primary: number;
  secondary: number;
  subordinate: number;
}

export interface CxlPortFacts {
  /** Secondary bus reset has no effect below the port ("Unmask SBR" is off). */
  busResetMasked: boolean;
}

/** The decoded whole. `decodeConfig` makes it of bytes, the lspci reader of words. */
export interface FunctionFacts {
  /** Header layout 0 (device), 1 (PCI bridge), 2 (CardBus); without the multifunction bit. */
  headerType: number | undefined;
  /** Header type bit 7 as it stands in the register; the scan adds what it learns from siblings. */
  multifunctionBit: boolean | undefined;
  bridge: Fact<BridgeFacts>;
  pcie: Fact<PcieFacts>;
  acs: Fact<AcsFacts>;
  ari: Fact<object>;
  sriov: Fact<SriovFacts>;
  /** Power management: a D3hot→D0 transition resets the function (no NoSoftRst). */
  pmReset: Fact<boolean>;
  /** Conventional "advanced features" capability with FLR. */
  afFlr: Fact<boolean>;
  pasid: Fact<{ bits: number }>;
  ats: Fact<{ enabled: boolean | undefined }>;
  /** AMD IOMMU capability header (id 0x0f), which tells NpCache; only on IOMMU functions. */
  iommuCapability: Fact<number>;
  /** Port of a CXL link (designated vendor-specific capability): decides `cxl_bus` resets below it. */
  cxlPort?: Fact<CxlPortFacts>;
  /** Vendor and device id read ffff on a function that answers otherwise: what a virtual function looks like. */
  idsHidden?: boolean | undefined;
  /**
   * A capability chain that loops or leads out of the space. The kernel stops there and sees no more, so what it
   * did not find counts as absent; where the whole space is junk, every fact is unknown.
   */
  damaged?: string | undefined;
}
