/** Registers and bits of PCI configuration space that VFIO treats in a way of its own (PCI_* of pci_regs.h). */

export const HEADER_SIZE = 0x40;
export const CONVENTIONAL_SIZE = 0x100;

/** The header every function has. */
export const Header = {
  Vendor: 0x00,
  Device: 0x02,
  Command: 0x04,
  Status: 0x06,
  Revision: 0x08,
  Class: 0x09,
  CacheLine: 0x0c,
  LatencyTimer: 0x0d,
  Bist: 0x0f,
  FirstBar: 0x10,
  LastBar: 0x24,
  SubsystemVendor: 0x2c,
  SubsystemDevice: 0x2e,
  Rom: 0x30,
  CapabilityList: 0x34,
  InterruptLine: 0x3c,
  InterruptPin: 0x3d,
} as const;

export const Command = { Io: 0x1, Memory: 0x2, Master: 0x4, IntxDisable: 0x400 } as const;
export const STATUS_CAPABILITY_LIST = 0x10;
export const ROM_ENABLE = 0x1;

/** Conventional capabilities. */
export const Capability = {
  PowerManagement: 0x01,
  Agp: 0x02,
  Vpd: 0x03,
  Msi: 0x05,
  PciX: 0x07,
  HyperTransport: 0x08,
  Vendor: 0x09,
  Express: 0x10,
  MsiX: 0x11,
  Sata: 0x12,
  AdvancedFeatures: 0x13,
  last: 0x14,
} as const;

/** Extended capabilities. */
export const Extended = {
  AdvancedErrors: 0x01,
  VirtualChannel: 0x02,
  SerialNumber: 0x03,
  PowerBudget: 0x04,
  MultiFunctionVc: 0x08,
  VirtualChannel9: 0x09,
  Vendor: 0x0b,
  Acs: 0x0d,
  Ari: 0x0e,
  Ats: 0x0f,
  Sriov: 0x10,
  Multicast: 0x12,
  PageRequest: 0x13,
  ResizableBar: 0x15,
  PowerAllocation: 0x16,
  Tph: 0x17,
  Ltr: 0x18,
  DesignatedVendor: 0x23,
} as const;

/** Offsets and bits inside capabilities, named by them. */
export const Pm = {
  Pmc: 2,
  Ctrl: 4,
  stateMask: 0x3,
  pmeSupport: 0xf800,
  pmeEnable: 0x100,
  pmeStatus: 0x8000,
} as const;
export const Vpd = { Address: 2, Data: 4 } as const;
export const Msi = {
  Flags: 2,
  Address: 4,
  AddressHigh: 8,
  Data32: 0x8,
  Mask32: 0xc,
  Pending32: 0x10,
  Data64: 0xc,
  Mask64: 0x10,
  Pending64: 0x14,
  enable: 0x1,
  maxMask: 0xe,
  sizeMask: 0x70,
  wide: 0x80,
  maskable: 0x100,
} as const;
export const MsiX = { Flags: 2, Table: 4, sizeMask: 0x7ff, barMask: 0x7 } as const;
export const Express = {
  Capabilities: 4,
  Control: 8,
  Control2: 0x28,
  flrSupported: 0x1000_0000,
  flr: 0x8000,
  payload: 0xe0,
  readRequest: 0x7000,
  phantom: 0x200,
  ari: 0x20,
} as const;
export const Af = { Capabilities: 3, Control: 4, flr: 0x1, flrSupported: 0x2, tpSupported: 0x1 } as const;
