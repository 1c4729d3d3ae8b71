/** Reports on handing devices over: check, plan, apply, undo, export. */

import type { DeviceLine, REPORT_VERSION, Report } from './report-base.ts';

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
