/**
 * Devices whose isolation the kernel knows better than their registers say (`pci_dev_acs_enabled`). Plain data,
 * in the kernel's order; `acs-quirk-rules.ts` holds what each kind of claim means.
 */

export type AcsQuirkKind =
  | 'amd_sb'
  | 'mf_endpoint'
  | 'rciep'
  | 'qcom_rp'
  | 'nxp_rp'
  | 'brcm'
  | 'loongson'
  | 'xgene'
  | 'intel_pch'
  | 'intel_spt'
  | 'cavium'
  | 'al'
  | 'zhaoxin_ports'
  | 'wangxun';

export interface AcsQuirk {
  kind: AcsQuirkKind;
  vendor: number;
  /** `any`: every device of the vendor; the claim's own conditions choose. */
  devices: readonly number[] | 'any';
  /** What the ids are, for reports. */
  name: string;
}

export const ACS_QUIRKS: readonly AcsQuirk[] = [
  {
    kind: 'amd_sb',
    vendor: 0x1002,
    devices: [0x4385, 0x439c, 0x4383, 0x439d, 0x4384, 0x4399],
    name: 'ATI south bridge',
  },
  { kind: 'amd_sb', vendor: 0x1022, devices: [0x780f, 0x7809], name: 'AMD FCH' },
  { kind: 'mf_endpoint', vendor: 0x1924, devices: [0x0903, 0x0923, 0x0a03], name: 'Solarflare' },
  {
    kind: 'mf_endpoint',
    vendor: 0x8086,
    devices: [
      0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, 0x10f7, 0x10f8, 0x10f9, 0x10fa, 0x10fb, 0x10fc, 0x1507, 0x1514,
      0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558,
    ],
    name: 'Intel 10G',
  },
  {
    kind: 'mf_endpoint',
    vendor: 0x8086,
    devices: [0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527],
    name: 'Intel 82580',
  },
  {
    kind: 'mf_endpoint',
    vendor: 0x8086,
    devices: [0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526],
    name: 'Intel 82576',
  },
  { kind: 'mf_endpoint', vendor: 0x8086, devices: [0x10a7, 0x10a9, 0x10d6], name: 'Intel 82575' },
  { kind: 'mf_endpoint', vendor: 0x8086, devices: [0x1521, 0x1522, 0x1523, 0x1524], name: 'Intel I350' },
  { kind: 'mf_endpoint', vendor: 0x8086, devices: [0x105e, 0x105f, 0x1060, 0x10d9], name: 'Intel 82571' },
  { kind: 'mf_endpoint', vendor: 0x8086, devices: [0x15b7, 0x15b8], name: 'Intel I219' },
  { kind: 'rciep', vendor: 0x8086, devices: 'any', name: 'Intel integrated endpoint' },
  { kind: 'qcom_rp', vendor: 0x17cb, devices: [0x0400, 0x0401], name: 'Qualcomm QDF2xxx' },
  { kind: 'qcom_rp', vendor: 0x17cb, devices: [0x0115], name: 'Qualcomm SA8775P' },
  { kind: 'qcom_rp', vendor: 0x17cb, devices: [0x0111], name: 'Qualcomm Hamoa' },
  { kind: 'qcom_rp', vendor: 0x17cb, devices: [0x0120], name: 'Qualcomm Glymur' },
  { kind: 'qcom_rp', vendor: 0x1dbf, devices: [0x0401], name: 'HXT SD4800' },
  { kind: 'intel_pch', vendor: 0x8086, devices: 'any', name: 'Intel PCH root port' },
  { kind: 'intel_spt', vendor: 0x8086, devices: 'any', name: 'Intel 100/200 series root port' },
  { kind: 'mf_endpoint', vendor: 0x19a2, devices: [0x0710], name: 'Emulex BE3-R' },
  { kind: 'mf_endpoint', vendor: 0x10df, devices: [0x0720], name: 'Emulex Skyhawk-R' },
  { kind: 'cavium', vendor: 0x177d, devices: 'any', name: 'Cavium ThunderX root port' },
  { kind: 'mf_endpoint', vendor: 0x177d, devices: [0xa026, 0xa059, 0xa060], name: 'Cavium' },
  { kind: 'xgene', vendor: 0x10e8, devices: [0xe004], name: 'APM X-Gene' },
  {
    kind: 'xgene',
    vendor: 0x1def,
    devices: [0xe005, 0xe006, 0xe007, 0xe008, 0xe009, 0xe00a, 0xe00b, 0xe00c],
    name: 'Ampere',
  },
  {
    kind: 'mf_endpoint',
    vendor: 0x14e4,
    devices: [0x16d7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763],
    name: 'Broadcom NIC',
  },
  { kind: 'brcm', vendor: 0x14e4, devices: [0xd714], name: 'Broadcom PAXB' },
  {
    kind: 'loongson',
    vendor: 0x0014,
    devices: [0x3c09, 0x3c19, 0x3c29, 0x7a09, 0x7a19, 0x7a29, 0x7a39, 0x7a49, 0x7a59, 0x7a69],
    name: 'Loongson root port',
  },
  { kind: 'al', vendor: 0x1c36, devices: [0x0031], name: 'Amazon Annapurna Labs root port' },
  { kind: 'mf_endpoint', vendor: 0x1d17, devices: [0x3038, 0x3104, 0x9083], name: 'Zhaoxin' },
  {
    kind: 'nxp_rp',
    vendor: 0x1957,
    devices: [
      0x8d81, 0x8da1, 0x8d83, 0x8d80, 0x8da0, 0x8d82, 0x8d90, 0x8db0, 0x8d92, 0x8d91, 0x8db1, 0x8d93, 0x8d89,
      0x8da9, 0x8d8b, 0x8d88, 0x8da8, 0x8d8a, 0x8d98, 0x8db8, 0x8d9a, 0x8d99, 0x8db9, 0x8d9b,
    ],
    name: 'NXP LX2xxx',
  },
  { kind: 'zhaoxin_ports', vendor: 0x1d17, devices: 'any', name: 'Zhaoxin port' },
  { kind: 'wangxun', vendor: 0x8088, devices: 'any', name: 'Wangxun NIC' },
];

/** Inclusive device id ranges. */
export type IdRanges = readonly (readonly [first: number, last: number])[];

export function inRanges(ranges: IdRanges, id: number): boolean {
  return ranges.some(([first, last]) => first <= id && id <= last);
}

/** Root ports of Intel PCHs that isolate without a capability, once told to (`pci_quirk_intel_pch_acs_ids`). */
export const INTEL_PCH_PORTS: ReadonlySet<number> = new Set([
  // Ibex Peak
  ...range(0x3b42, 0x3b51),
  // Cougar Point
  ...range(0x1c10, 0x1c1f),
  // Panther Point
  ...range(0x1e10, 0x1e1f),
  // Lynx Point-H
  ...range(0x8c10, 0x8c1f),
  // Lynx Point-LP
  ...range(0x9c10, 0x9c1b),
  // Wildcat Point
  ...range(0x9c90, 0x9c9b),
  // Patsburg (X79)
  ...range(0x1d10, 0x1d1e, 2),
  // Wellsburg (X99), which ends one short
  ...range(0x8d10, 0x8d1e),
  // Lynx Point, 9 series
  ...range(0x8c90, 0x8c9e, 2),
]);

/** Root ports with 32-bit ACS words: 100 series, 200 series, 7th and 8th generation mobile. */
export const INTEL_SPT_PORTS: IdRanges = [
  [0xa110, 0xa11f],
  [0xa167, 0xa16a],
  [0xa290, 0xa29f],
  [0xa2e7, 0xa2ee],
  [0x9d10, 0x9d1b],
];

export const CAVIUM_PORTS: IdRanges = [
  [0xa000, 0xa7ff],
  [0xaf84, 0xaf84],
  [0xb884, 0xb884],
];

export const ZHAOXIN_PORTS: IdRanges = [
  [0x0710, 0x071e],
  [0x0721, 0x0721],
  [0x0723, 0x0752],
];

export const WANGXUN_NICS: IdRanges = [
  [0x0100, 0x010f],
  [0x1001, 0x1001],
  [0x2001, 0x2001],
  [0x5010, 0x5010],
  [0x5025, 0x5025],
  [0x5040, 0x5040],
  [0x5110, 0x5110],
  [0x5125, 0x5125],
  [0x5140, 0x5140],
];

function range(first: number, last: number, step = 1): number[] {
  const ids: number[] = [];
  for (let id = first; id <= last; id += step) ids.push(id);
  return ids;
}
