/** Reports on what could be: changes tried on the model, and ways to a group of one's own. */

import type { MachineChange } from '../machine/change.ts';
import type { DeviceLine, GroupLine, Report } from './report-base.ts';

/**
 * What a device gains by. `real`: hardware keeps it apart. `firmware`: it does, if firmware shows what the model
 * was told it would. `rules`: the same hardware under the rules of another kernel. `claim`: the kernel is told to
 * believe it.
 */
export type Worth = 'real' | 'firmware' | 'rules' | 'claim';

export interface WhatIfReport extends Report<'whatif'> {
  /** Rules before, and after. */
  policy: { before: string; after: string };
  changes: TriedChange[];
  /** Words for the kernel command line, in the boot loader. */
  parameters: string[];
  /** Groups by the rules, with the devices of each side. */
  before: GroupLine[];
  after: GroupLine[];
  /** Devices that something became of, in numeric order of what they are called before. */
  devices: WhatIfDevice[];
  summary: {
    groups: { before: number; after: number };
    /** Devices with fewer others in their group, by what it is worth; and with more. */
    gained: Record<Worth, number>;
    lost: number;
  };
  /** Devices of `devices` whose place, before or after, rests on facts that could not be read. */
  uncertain: string[];
  notes: string[];
}

export interface TriedChange {
  change: MachineChange;
  /** As one line, for `--CHANGE=VALUE` and URLs. */
  text: string;
  /** In words. */
  what: string;
  /** What to do about it, beside words to type. */
  how?: string;
}

export interface WhatIfDevice {
  /** As it is before; a device that was added, as it is after. */
  device: DeviceLine;
  /** Its address after; `null`: it is gone. */
  now: string | null;
  effect: 'gained' | 'lost' | 'mixed' | 'renamed' | 'gone' | 'new';
  /** Others of its group, by their addresses then; `null`: no group. Absent before for what is new. */
  before?: string[] | null;
  after?: string[] | null;
  /** Of what was there before and still is: whom it no longer shares with, and whom it does now; names of before. */
  parted: string[];
  joined: string[];
  /** With `gained`: what it is worth. */
  worth?: Worth;
}

export interface GoalReport extends Report<'goal'> {
  policy: string;
  device: DeviceLine;
  /** Others in its group; `null`: it has none. */
  group: string[] | null;
  /** `already`: nothing need be done. `claim`: only by a claim, or other rules. `no`: not by anything tried. */
  reachable: 'already' | 'yes' | 'claim' | 'no';
  /** Why not, where it cannot be reached. */
  because?: string;
  /** Best first: honest before claimed, easy before hard, few before many. */
  ways: Way[];
  /** False: capabilities that decide over it could not be read. */
  certain: boolean;
  /** How many machines were booted to find out. */
  tried: number;
  notes: string[];
}

export interface Way {
  changes: TriedChange[];
  parameters: string[];
  worth: Worth;
  /**
   * `alone`: a group of its own. `card`: with nothing but functions of its own card and ports above it. `virtual`: not for the device
   * but for a virtual function of it. `fewer`: with fewer others than now.
   */
  reaches: 'alone' | 'card' | 'virtual' | 'fewer';
  /** What gets the group: the device, by its address after, or a virtual function. */
  device: string;
  /** The others of that group then. */
  with: string[];
  /** 0: words to type; 1: a setting; 2: a screwdriver; 3: another kernel. */
  effort: number;
  certain: boolean;
}
