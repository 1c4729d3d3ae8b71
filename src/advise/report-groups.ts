/** Reports on groups: list, why, verify, show, diff. */

import type { Reason } from '../iommu/grouping/reason.ts';
import type { AcsVerdict } from '../pci/acs.ts';
import type { AbiLink } from './report-abi.ts';
import type { DeviceLine, GroupLine, HostLine, Report } from './report-base.ts';

/** Why there are no groups, and what to do about it. */
export interface IommuState {
  state: 'on' | 'off' | 'unknown';
  /** What is missing, in the order to mend it. */
  missing: {
    what: 'hardware' | 'firmware' | 'command line' | 'kernel' | 'unknown';
    detail: string;
    remedy: string;
  }[];
}

export interface ListReport extends Report<'list'> {
  /** Groups as the kernel formed them, or as the rules would. */
  source: 'kernel' | 'predicted';
  policy?: string;
  iommu: IommuState;
  groups: GroupLine[];
  ungrouped: DeviceLine[];
  /** Devices whose place rests on facts that could not be read. */
  uncertain: string[];
  notes: string[];
}

export interface WhyReport extends Report<'why'> {
  source: 'kernel' | 'predicted';
  /** Rules that `group`, `reason` and `because` follow. */
  policy: string;
  devices: WhyDevice[];
  /** With two devices: whether they share, and what decides it. */
  pair?: WhyPair;
}

export interface WhyDevice {
  device: DeviceLine;
  /** Group as the kernel formed it, where it did. */
  kernelGroup?: { id: number; members: string[] } | null;
  /** Group by the rules; `null`: none, for `noGroup`. */
  group: { id: number; members: string[] } | null;
  noGroup?: string;
  reason?: Reason;
  /** The chain in words, a sentence a step. */
  because: string[];
  /** How the other members came to it, those with one cause together; whoever began the group is not listed. */
  others: { devices: string[]; because: string }[];
  /** What would change it. */
  changes: Change[];
  certain: boolean;
}

/** Something that would change a grouping, and what it is worth. */
export interface Change {
  what: string;
  /** `isolates`: real isolation. `claims`: the kernel is told to believe it. `splits`/`joins`: changes groups only. */
  effect: 'isolates' | 'claims' | 'reveals' | 'none';
}

export interface WhyPair {
  share: boolean;
  because: string[];
}

export interface VerifyReport extends Report<'verify'> {
  verdict: 'equal' | 'different' | 'cannot tell';
  policy: string;
  /** How many devices were compared. */
  devices: number;
  groups: number;
  differences: Difference[];
  /** Isolation that rests on a claim of the command line, not on hardware or a mainline quirk. */
  claims: string[];
  uncertain: string[];
  notes: string[];
}

/** One place where the kernel's partition and the rules part. */
export interface Difference {
  /** Groups that overlap here, on both sides; `null`: members without a group. */
  kernel: { id: number | null; devices: string[] }[];
  rules: { id: number | null; devices: string[] }[];
  kind: 'kernel splits' | 'kernel merges' | 'kernel leaves out' | 'kernel adds' | 'mixed';
  cause: string;
  explanation: string;
  certain: boolean;
}

export interface ShowReport extends Report<'show'> {
  devices: ShowDevice[];
  groups: ShowGroup[];
}

export interface ShowGroup extends GroupLine {
  source: 'kernel' | 'predicted';
  reservedRegions?: { start: string; end: string; type: string }[];
  /** Where attributes shown are documented, if there is a tree of ABI documents. */
  abi?: AbiLink[];
}

export interface ShowDevice {
  device: DeviceLine;
  path?: string;
  group?: { id: number; source: 'kernel' | 'predicted'; type?: string; members: string[] } | null;
  subsystemName?: string;
  pcieType?: string | null;
  multifunction?: boolean;
  bridge?: { primary: string; secondary: string; subordinate: string };
  acs?: AcsShown | null;
  /** The kernel's answer to "does this function isolate", with what it rests on. */
  isolates?: AcsVerdict;
  aliases: string[];
  sriov?: { enabled: boolean; numVfs: number; totalVfs: number; vfs: string[] } | null;
  physfn?: string | null;
  reset: { methods: string[]; from: 'kernel' | 'capabilities'; unknown: string[]; scope: string[] };
  quirks: string[];
  modules?: string[];
  driverOverride?: string | null;
  bootVga?: boolean;
  removable?: string;
  irq?: number;
  capabilities: string[];
  reservedRegions?: { start: string; end: string; type: string }[];
  parents: string[];
  stableName: string;
  unknown: string[];
  /** Where attributes shown are documented, if there is a tree of ABI documents. */
  abi?: AbiLink[];
}

export interface AcsShown {
  /** Names of bits offered, and of bits on. */
  offered: string[];
  on: string[];
  capability: string;
  control: string;
}

export interface DiffReport extends Report<'diff'> {
  after: HostLine;
  same: boolean;
  changes: {
    kind: 'device' | 'group' | 'kernel' | 'driver' | 'acs';
    where: string;
    before?: string;
    after?: string;
  }[];
}
