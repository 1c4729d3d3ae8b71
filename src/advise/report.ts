/**
 * The reports every door prints: what `--json` writes, what the explorer reads. Field names are stable within
 * `version`; new fields may come. Documented in docs/reports.md.
 *
 * Ids are lower-case hex text as lspci prints them ("8086"), addresses are full. A field that is absent is not
 * known; `null` is known to be none.
 */

import type { Reason } from '../iommu/grouping/reason.ts';
import type { AcsVerdict } from '../pci/acs.ts';

export const REPORT_VERSION = 1;

interface Report<Kind extends string> {
  report: Kind;
  version: typeof REPORT_VERSION;
  host: HostLine;
}

/** Which machine a report speaks of. */
export interface HostLine {
  board?: string;
  arch?: string;
  kernel?: string;
  cmdline?: string;
  /** IOMMU instances by name. */
  iommus?: string[];
}

/** One device, as lists show it. */
export interface DeviceLine {
  /** PCI address, or the name of a device of another bus. */
  address: string;
  /** `pci`, or the bus of a device that is not PCI. */
  bus: string;
  /** Class and sub-class, four hex digits. */
  class?: string;
  progIf?: string;
  vendor?: string;
  device?: string;
  subsystemVendor?: string;
  subsystemDevice?: string;
  revision?: string;
  className?: string;
  vendorName?: string;
  deviceName?: string;
  driver?: string | null;
  iommu?: string | null;
  numaNode?: number;
}

export interface GroupLine {
  id: number;
  type?: string;
  name?: string;
  devices: DeviceLine[];
}

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

/** The hand-over, write by write; as a file it is what `apply` takes. */
export interface PlanReport extends Report<'plan'> {
  /** Driver that gets the devices. */
  driver: string;
  /** Devices that change hands, in that order, in the state the plan assumes. */
  devices: PlanDevice[];
  /** Groups as the kernel formed them, or as the rules would. */
  source: 'kernel' | 'predicted';
  /** The groups of those devices, as the plan assumes them. */
  groups: PlanGroup[];
  /** To be run by hand before. */
  commands: { run: string; why: string }[];
  steps: PlanStep[];
  /** Named devices and members of their groups that stay as they are. */
  left: { device: string; driver?: string | null; why: string }[];
  questions: PlanQuestion[];
  /** What keeps `check` from a yes on all devices above; `apply` wants each overridden by its code. */
  refusals: PlanRefusal[];
  /** Devices whose driver the data does not tell. */
  unknown: string[];
  notes: string[];
}

export interface PlanDevice {
  address: string;
  /** Named on the command line, or another member of the group. */
  role: 'named' | 'sibling';
  /** Below /sys/devices. */
  path?: string;
  vendor?: string;
  device?: string;
  subsystemVendor?: string;
  subsystemDevice?: string;
  before: DriverState;
}

/** Who has a device. `null`: nobody, no override; absent: not known. */
export interface DriverState {
  driver?: string | null;
  override?: string | null;
}

export interface PlanGroup {
  id: number;
  members: { device: string; driver?: string | null }[];
}

/** One write to one file of sysfs. */
export interface PlanStep {
  device: string;
  /** Absolute, below /sys. */
  path: string;
  /** Exactly as written; a lone newline lifts an override. */
  value: string;
  /** Text of the override, or the driver that has the device; `null`: none. */
  before: string | null;
  why: string;
}

export interface PlanQuestion {
  device: string;
  driver?: string | null;
  text: string;
  answer: boolean;
}

export interface PlanRefusal {
  code: string;
  /** `unknown`: `check` cannot tell, and would refuse if it is so. */
  severity: 'refusal' | 'unknown';
  device?: string;
  what: string;
  remedy?: string;
}

export interface ApplyReport extends Report<'apply'> {
  /** `/sys`, or the sysfs of a rehearsal. */
  tree: string;
  result: 'applied' | 'finished' | 'nothing to do' | 'refused' | 'rolled back' | 'not rolled back';
  /** Number of the hand-over, which `undo` takes. */
  id?: number;
  /** What was found unfinished and what became of it. */
  recovered?: Recovered;
  /** How the machine differs from what the plan assumes. */
  differences: string[];
  /** Refusals of `check` that were not overridden. */
  refusals: PlanRefusal[];
  writes: { path: string; value: string }[];
  /** What failed. */
  problem?: string;
  notes: string[];
}

export interface Recovered {
  id: number;
  how: 'finished' | 'undone' | 'not undone';
  why: string;
  devices: ReturnedDevice[];
}

/** One device on its way back. */
export interface ReturnedDevice {
  device: string;
  /** Where it had to go, and what it had when undo came. */
  to: DriverState;
  from?: DriverState;
  outcome: 'returned' | 'was there' | 'gone' | 'another device' | 'failed';
  problem?: string;
}

export interface UndoReport extends Report<'undo'> {
  tree: string;
  result: 'undone' | 'nothing to undo' | 'not undone' | 'forgotten';
  id?: number;
  why?: string;
  devices: ReturnedDevice[];
  writes: { path: string; value: string }[];
  notes: string[];
}

/** Every hand-over on record, oldest first. */
export interface HandoverList {
  report: 'hand-overs';
  version: typeof REPORT_VERSION;
  handovers: HandoverLine[];
}

export interface HandoverLine {
  id: number;
  state: 'applied' | 'undone' | 'forgotten' | 'unfinished' | 'undo unfinished' | 'empty' | 'unreadable';
  time?: string;
  tree?: string;
  driver?: string;
  devices: string[];
}

/** `export`: text for another program, or why there is none. */
export interface ExportReport extends Report<'export'> {
  /** Name of the format. */
  format: string;
  /** How the consumer reaches the devices; absent where the text is the same in both. */
  style?: 'legacy' | 'iommufd';
  verdict: 'yes' | 'no' | 'cannot tell';
  /** Devices exported; empty for formats of the whole machine. */
  devices: string[];
  /** What the consumer reads; absent unless the verdict is yes. */
  text?: string;
  problems: string[];
  notes: string[];
}

/** Whether devices can be handed over, all of those asked for together. */
export interface CheckReport extends Report<'check'> {
  /** `default`, or the file of the policy. */
  policy: string;
  verdict: 'yes' | 'no' | 'cannot tell';
  devices: CheckDevice[];
  groups: CheckGroup[];
  /** Gravest first. */
  findings: Finding[];
  notes: string[];
}

export interface CheckDevice extends DeviceLine {
  verdict: CheckReport['verdict'];
  /** `null`: it is in none. */
  group: number | null;
  stableName: string;
  reset?: CheckReset;
}

export interface CheckReset {
  /** What resets this function now, in the kernel's order. */
  methods: string[];
  from: 'kernel' | 'capabilities';
  unknown: string[];
  /** Whether its whole bus can be reset, and who else that hits. */
  busReset: boolean;
  hits: string[];
}

export interface CheckGroup {
  id: number;
  source: 'kernel' | 'predicted';
  type?: string;
  members: CheckMember[];
}

export interface CheckMember extends DeviceLine {
  /** `vfio`: a driver that hands devices over has it. `shares`: its driver may stay. `in use`: it may not. */
  role: 'asked' | 'no driver' | 'vfio' | 'shares' | 'in use' | 'unknown';
}

/** One reason. `unknown` counts against a yes, `warning` and `note` do not. */
export interface Finding {
  /** Stable name, by which a policy and `apply` speak of it. */
  code: string;
  severity: 'refusal' | 'unknown' | 'warning' | 'note';
  /** The device it speaks of, which need not be one of those asked for. */
  device?: string;
  /** Devices asked for whose verdict it bears on. */
  concerns: string[];
  /** The decisive word alone: a driver, a mount point, an interface. */
  detail?: string;
  what: string;
  remedy?: string;
}

export type AnyReport =
  | ExportReport
  | ListReport
  | WhyReport
  | VerifyReport
  | ShowReport
  | DiffReport
  | CheckReport
  | PlanReport
  | ApplyReport
  | UndoReport
  | HandoverList;
